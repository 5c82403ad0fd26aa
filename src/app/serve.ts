/**
 * The life of a process: starts its role, opens its ports, and stops both in order.
 *
 * @module
 */
import { credentialFileBytesMax, withdrawMs } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import { readRegularFile } from "#core/regular-file.ts";
import { processMetrics } from "#observe/metrics.ts";
import { startAgent } from "./agent.ts";
import type { Runtime, ServeOptions } from "./options.ts";
import { openPorts } from "./ports.ts";
import type { RoleContext, RunningRole } from "./role.ts";
import { startScaler } from "./scaler.ts";
import { tlsFiles } from "./tls-files.ts";

export interface ServeContext extends Runtime {
  readonly version: string;
  readonly revision: string;
  /** Resolves with what asked the process to stop, such as `SIGTERM`. */
  readonly stopSignal: Promise<string>;
}

/**
 * Serves until it is stopped or only a new process can help.
 *
 * @returns The exit code: 0 when it was stopped, 1 when the devices are out of reach for good.
 * @throws {Fault} `address-unusable` when a port cannot be listened on; `usage-invalid` and
 * `file-invalid` for options that turn out to be unusable only when they are tried.
 */
export async function serve(options: ServeOptions, context: ServeContext): Promise<number> {
  const { clock, log, random, version, revision, stopSignal } = context;
  const changes = listeners();
  const dead = Promise.withResolvers<"dead">();
  const credentials =
    options.tls &&
    (await tlsFiles({
      ...options.tls,
      clock,
      log,
      readFile: (at) => readRegularFile(at, credentialFileBytesMax),
    }));
  const role = await startRole(options, {
    clock,
    log,
    random,
    changes,
    credentials,
    // The first pass ends on another thread, and so after the metrics are made.
    onCollection: (durationMs) => metrics.collected(durationMs),
    onDead: () => dead.resolve("dead"),
  });
  // Options that cannot be used have thrown by now, so that their error stands alone.
  log("info", "starting", {
    version,
    revision,
    role: options.role,
    collector: options.collector.collector,
  });
  const metrics = processMetrics({
    clock,
    version,
    revision,
    isFresh: () => role.unready() === undefined,
    certificateExpiresAtMs: credentials?.expiresAtMs,
    ...role.metrics,
  });
  const ports = await openPorts(options, {
    clock,
    log,
    random,
    role,
    version,
    metrics,
    changes,
    credentials,
  });
  log("info", "serving", {
    bind: options.bind,
    grpcPort: ports.grpcPort,
    httpPort: ports.httpPort,
    node: options.nodeName,
  });

  const cause = await Promise.race([stopSignal, dead.promise]);
  log("info", "stopping", { cause });
  if (cause === "SIGTERM" && isBehindService(options))
    await new Promise<void>((resolve) => clock.after(withdrawMs, resolve));
  await ports.stopGrpc();
  await Promise.all([ports.stopHttp(), role.stop()]);
  credentials?.stop();
  metrics.stop();
  log("info", "stopped");
  return cause === "dead" ? 1 : 0;
}

/** Whether others stand ready in its place: a client that reconnects must not meet this process again. */
function isBehindService({ role, kubeconfig, kubernetesAddress }: ServeOptions): boolean {
  return role !== "agent" && (kubeconfig ?? kubernetesAddress) !== undefined;
}

async function startRole(options: ServeOptions, context: RoleContext): Promise<RunningRole> {
  return options.role === "agent" ? startAgent(options, context) : startScaler(options, context);
}
