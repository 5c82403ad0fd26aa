/**
 * `serve`: wires the rooms together, in the direction in which a number travels.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { answerer } from "#answer/answerer.ts";
import type { ServeOptions } from "#cli/commands.ts";
import type { World } from "#cli/run.ts";
import { pushSpacingMs } from "#core/limits.ts";
import { type Listeners, listeners } from "#core/listeners.ts";
import { type Log, lineLog } from "#core/log.ts";
import type { CollectorOptions } from "#device/collector.ts";
import { fleetStore } from "#fleet/store.ts";
import type { FleetStore } from "#fleet/view.ts";
import { ExternalScaler } from "#gen/externalscaler/externalscaler_pb.ts";
import { NodeTelemetry } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { externalScaler } from "#keda/external-scaler.ts";
import { podResourcesSocket } from "#node/pod-resources.ts";
import { nodeTelemetry } from "#node/telemetry-service.ts";
import { startHttp } from "#observe/http.ts";
import { processMetrics } from "#observe/metrics.ts";
import { grpcLimits, type Registration, registration, startGrpcServer } from "#rpc/server.ts";
import { connectionKey } from "#rpc/streams.ts";
import { triggerParser } from "#trigger/trigger.ts";
import { told, withFault } from "./answers.ts";
import { findKubernetes, followAgents, followWorkloads, type Kubernetes } from "./cluster.ts";
import { allowedEndpoints, type Engines, startEngines } from "./engines.ts";
import { engineFacts, fleetFacts } from "./facts.ts";
import { listening } from "./listening.ts";
import { type LocalNode, localNode } from "./local-node.ts";
import { type ProfilesFile, profilesFile } from "./profiles-file.ts";
import { type WarningCount, warning } from "./trigger-warnings.ts";

/** What a role adds to the process. */
interface Part {
  readonly service: Registration;
  /** Absent in a process that reads none. */
  readonly engines?: Engines;
  readonly warnings?: () => readonly WarningCount[];
  /** Why it cannot answer now, for people; `undefined` when it can. */
  readonly unready: () => string | undefined;
  readonly stop: () => void | Promise<void>;
}

/** What all parts share. */
interface Scene {
  readonly flags: ServeOptions;
  readonly world: World;
  readonly log: Log;
  readonly profiles: ProfilesFile;
  /** Something changed that an answer or a health may depend on. */
  readonly changes: Listeners;
  readonly store: FleetStore;
}

/**
 * Serves until it is stopped or only a new process can help.
 *
 * @returns The exit code: 0 when it was stopped, 1 when the devices are out of reach for good.
 * @throws {Fault} `address-unusable` when a port cannot be listened on; `usage-invalid` and
 * `file-invalid` for what only shows once it is tried.
 */
export async function serve(
  flags: ServeOptions,
  collector: CollectorOptions,
  world: World,
): Promise<number> {
  const { clock, version, revision, stderr, stopSignal } = world;
  const log = lineLog({
    level: flags["log-level"],
    format: flags["log-format"],
    write: stderr,
    clock,
  });
  const profiles = await profilesFile({
    path: flags.profiles,
    clock,
    log,
    readFile: (path) => readFile(path, "utf8"),
  });
  const changes = listeners();
  const store = fleetStore({ clock });
  store.subscribe(changes.notify);
  const scene: Scene = { flags, world, log, profiles, changes, store };
  const dead = Promise.withResolvers<"dead">();
  const open = { streams: 0, connections: 0 };

  const kubernetes = flags.role === "agent" ? undefined : await findKubernetes(flags, world);
  const node =
    flags.role === "scaler"
      ? undefined
      : startNode(scene, collector, kubernetes, {
          onPass: (durationMs) => metrics.collection(durationMs),
          onDead: () => dead.resolve("dead"),
        });
  const part =
    flags.role === "agent" && node !== undefined
      ? agentPart(scene, node)
      : scalerPart(scene, kubernetes, node);
  // Flags that cannot be served have thrown by now, and so are told in one line.
  log("info", "starting", { version, revision, role: flags.role, collector: flags.collector });
  const metrics = processMetrics({
    clock,
    version,
    revision,
    fresh: () => part.unready() === undefined,
    ...(node === undefined ? {} : { node: { devices: node.devices, sampling: node.stats } }),
    ...(flags.role === "scaler" ? { fleet: fleetFacts(store, world) } : {}),
    ...(part.warnings === undefined ? {} : { warnings: part.warnings }),
    ...(part.engines === undefined ? {} : { engines: engineFacts(part.engines, world) }),
    open: () => open,
  });

  const { bind, port, "http-port": httpPort } = flags;
  const grpc = await listening({ flag: "--port", bind, port }, () =>
    startGrpcServer({
      host: bind,
      port,
      services: [part.service],
      health: { serving: () => part.unready() === undefined, subscribe: changes.subscribe },
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
  const http = await listening({ flag: "--http-port", bind, port: httpPort }, () =>
    startHttp({ bind, port: httpPort, metrics, unready: part.unready }),
  );
  log("info", "serving", { bind, grpcPort: grpc.port, httpPort: http.port, node: nodeName(scene) });

  const cause = await Promise.race([stopSignal, dead.promise]);
  log("info", "stopping", { cause });
  await grpc.stop();
  await Promise.all([http.stop(), part.stop(), node?.stop()]);
  metrics.stop();
  log("info", "stopped");
  return cause === "dead" ? 1 : 0;
}

function nodeName({ flags, world }: Scene): string {
  return flags["node-name"] ?? world.environment.nodeName ?? world.hostname;
}

function startNode(
  scene: Scene,
  collector: CollectorOptions,
  kubernetes: Kubernetes | undefined,
  events: { readonly onPass: (durationMs: number) => void; readonly onDead: () => void },
): LocalNode {
  const { flags, world, log, changes } = scene;
  // On a laptop there is no kubelet to ask; in a cluster every node has one.
  const inCluster = flags.role === "agent" || kubernetes !== undefined;
  const node = localNode({
    name: nodeName(scene),
    collector,
    sampleIntervalMs: flags["sample-interval"],
    watchdogMs: flags["device-watchdog"],
    podResourcesSocket:
      flags["pod-resources-socket"] ?? (inCluster ? podResourcesSocket : undefined),
    clock: world.clock,
    log,
    ...events,
  });
  node.onHealth(changes.notify);
  return node;
}

/** Serves this node to scalers. */
function agentPart({ world: { clock } }: Scene, node: LocalNode): Part {
  const telemetry = nodeTelemetry({
    source: node.reports,
    clock,
    startedAtMs: clock.wallMs(),
    draining: ({ values }) => values.get(connectionKey),
  });
  return {
    service: registration(NodeTelemetry, telemetry),
    unready: () => node.fault()?.message,
    stop: () => {},
  };
}

/** Answers KEDA: from this machine's devices if there is a node, else from every agent's. */
function scalerPart(
  scene: Scene,
  kubernetes: Kubernetes | undefined,
  node: LocalNode | undefined,
): Part {
  const { flags, world, log, profiles, changes, store } = scene;
  const { clock } = world;
  const workloads = kubernetes && followWorkloads(kubernetes, flags, world, log);
  workloads?.subscribe(changes.notify);
  const agents =
    node === undefined ? followAgents(store, kubernetes, flags, world, log) : undefined;
  const copyReport = () => {
    const report = node?.reports.latest();
    if (report !== undefined) store.put(report);
  };
  const stopCopying = node?.reports.subscribe(copyReport);

  const parse = triggerParser(profiles.table);
  const engines = startEngines({
    world,
    log,
    kubernetes,
    workloads,
    allow: allowedEndpoints(flags, kubernetes),
    tokenDir: flags["engine-token-dir"],
    parse,
    changed: changes.notify,
  });

  const answers = answerer({
    engines: engines.source,
    parse,
    store: { view: store.view, subscribe: changes.subscribe },
    clock,
    ...(node === undefined ? {} : { localNode: nodeName(scene), asked: node.asked }),
    ...(workloads === undefined ? {} : { workloads: workloads.view }),
    ...(agents === undefined ? {} : { synced: agents.synced }),
  });
  const warnings = warning(node === undefined ? answers : withFault(answers, node), { clock, log });
  return {
    service: registration(
      ExternalScaler,
      externalScaler({
        answerer: engines.remembering(told(warnings.answers, log)),
        parse,
        onParseChange: profiles.subscribe,
        pushSpacingMs,
        clock,
      }),
    ),
    unready: () =>
      node?.fault()?.message ??
      (agents?.synced() === false ? "the agents have not been heard yet" : undefined) ??
      workloads?.waitingFor().at(0) ??
      engines.waitingFor(),
    engines,
    warnings: warnings.counts,
    stop: () => {
      engines.stop();
      profiles.stop();
      stopCopying?.();
      agents?.close();
      workloads?.stop();
    },
  };
}
