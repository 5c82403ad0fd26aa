/**
 * `serve`: wires the rooms together, in the direction in which a number travels.
 *
 * @module
 */

import type { Answerer } from "#answer/answer.ts";
import { answerer } from "#answer/answerer.ts";

import { lineLog } from "#core/log.ts";
import type { CollectorOptions } from "#device/collector.ts";
import { type Sampler, startSampler } from "#device/sampler.ts";
import { spawnThread } from "#device/thread.ts";
import { fleetStore } from "#fleet/store.ts";
import type { ReadingName } from "#metric/reading.ts";
import { startHttp } from "#observe/http.ts";
import { processMetrics } from "#observe/metrics.ts";
import { startGrpcServer } from "#serve/grpc-server.ts";
import { grpcLimits } from "#serve/limits.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import type { ServeOptions } from "./commands.ts";
import { listenFault } from "./listen-fault.ts";
import type { World } from "./run.ts";
import { signal } from "./signal.ts";

/**
 * Serves until it is stopped or only a new process can help.
 *
 * @returns The exit code: 0 when it was stopped, 1 when the devices are out of reach for good.
 * @throws {Fault} `address-unusable` when a port cannot be listened on.
 */
export async function serve(
  flags: ServeOptions,
  options: CollectorOptions,
  world: World,
): Promise<number> {
  const { clock, version, revision, hostname: localNode, stderr, stopSignal } = world;
  const { bind, port, "http-port": httpPort, "sample-interval": sampleIntervalMs } = flags;
  const log = lineLog({
    level: flags["log-level"],
    format: flags["log-format"],
    write: stderr,
    clock,
  });
  log("info", "starting", { version, revision, role: flags.role, collector: flags.collector });

  const store = fleetStore({ clock });
  const changes = signal();
  store.subscribe(changes.emit);
  const open = { streams: 0, connections: 0 };
  const dead = Promise.withResolvers<"dead">();

  const sampler = startSampler({
    options,
    sampleIntervalMs,
    watchdogMs: flags["device-watchdog"],
    clock,
    log,
    spawn: spawnThread,
    onCollection: ({ collection, takenAtMs, tookMs }) => {
      metrics.collection(tookMs);
      store.put({
        ...collection,
        name: localNode,
        sampleIntervalMs,
        ageMs: clock.monotonicMs() - takenAtMs,
        devices: collection.devices.map((device) => ({ ...device, holders: [] })),
      });
    },
    onChange: changes.emit,
    onDead: () => dead.resolve("dead"),
  });
  const fresh = () => sampler.state().phase === "sampling";
  const metrics = processMetrics({
    clock,
    version,
    revision,
    devices: () => (fresh() ? (store.view().nodes.get(localNode)?.devices ?? []) : []),
    fresh,
    sampling: sampler.stats,
    open: () => open,
  });

  const listening = async <Server>(flag: string, portAsked: number, start: () => Server) => {
    try {
      return await start();
    } catch (error) {
      throw listenFault(flag, bind, portAsked, error);
    }
  };
  const grpc = await listening("--port", port, () =>
    startGrpcServer({
      host: bind,
      port,
      answerer: withFault(
        answerer({ store, clock, localNode, asked: demandOf(sampler) }),
        sampler,
        changes.subscribe,
      ),
      parse: parseTrigger,
      health: { serving: fresh, subscribe: changes.subscribe },
      clock,
      log,
      limits: { ...grpcLimits, connectionAgeMs: flags["connection-age"] },
      meter: {
        finished: metrics.rpc,
        openStreams: (streams) => Object.assign(open, { streams }),
        openConnections: (connections) => Object.assign(open, { connections }),
      },
    }),
  );
  const http = await listening("--http-port", httpPort, () =>
    startHttp({ bind, port: httpPort, metrics, unready: () => unready(sampler) }),
  );
  log("info", "serving", { bind, grpcPort: grpc.port, httpPort: http.port, node: localNode });

  const cause = await Promise.race([stopSignal, dead.promise]);
  log("info", "stopping", { cause });
  await grpc.stop();
  await Promise.all([http.stop(), sampler.stop()]);
  metrics.stop();
  log("info", "stopped");
  return cause === "dead" ? 1 : 0;
}

/**
 * While nothing is fresh, the collector's own words say more than the age of the last sample: a
 * missing library, a driver that reloads, a mock file with a mistake.
 */
function withFault(inner: Answerer, sampler: Sampler, subscribe: Answerer["subscribe"]): Answerer {
  const refuse = () => {
    const { phase, fault } = sampler.state();
    if (phase !== "sampling" && fault !== undefined) throw fault;
  };
  return {
    value: (ref, trigger) => {
      refuse();
      return inner.value(ref, trigger);
    },
    activity: (ref, trigger) => {
      if (!trigger.alwaysActive) refuse();
      return inner.activity(ref, trigger);
    },
    subscribe,
  };
}

/** Passes on the need for readings that nobody takes unasked. */
function demandOf(sampler: Sampler): (needs: readonly ReadingName[]) => void {
  return (needs) => {
    if (needs.some((need) => need.startsWith("pcie"))) sampler.demand({ pcieThroughput: true });
  };
}

function unready(sampler: Sampler): string | undefined {
  const { phase, fault } = sampler.state();
  return phase === "sampling" ? undefined : (fault?.message ?? `devices are ${phase}`);
}
