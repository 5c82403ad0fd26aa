/**
 * Roles `scaler` and `all`: answers KEDA, in the direction in which a number travels.
 *
 * @module
 */
import { answerer } from "#answer/answerer.ts";
import { scopeFault } from "#answer/scope.ts";
import type { ParseTrigger } from "#answer/warnings.ts";
import type { Fault } from "#core/fault.ts";
import { pushSpacingMs } from "#core/limits.ts";
import { readRegularFile } from "#core/regular-file.ts";
import { type ReadingDemand, readingDemand } from "#fleet/demand.ts";
import { fleetStore } from "#fleet/store.ts";
import type { FleetStore } from "#fleet/view.ts";
import { ExternalScaler } from "#gen/externalscaler/externalscaler_pb.ts";
import { externalScaler } from "#keda/external-scaler.ts";
import type { ReadingName } from "#metric/reading.ts";
import { podResourcesSocket } from "#node/pod-resources.ts";
import type { FleetStats } from "#observe/scaler-metrics.ts";
import { registration } from "#rpc/server.ts";
import { type Trigger, triggerParser } from "#trigger/trigger.ts";
import { instrumentedAnswerer } from "./answers.ts";
import {
  findKubernetes,
  fleetStats,
  followAgents,
  followWorkloads,
  type Kubernetes,
} from "./cluster.ts";
import { devicePrefetch } from "./device-prefetch.ts";
import { startEngines } from "./engines.ts";
import { type LocalNode, localNode } from "./local-node.ts";
import type { ServeOptions } from "./options.ts";
import { profilesFile } from "./profiles-file.ts";
import type { RoleContext, RunningRole } from "./role.ts";
import { warningRecorder } from "./trigger-warnings.ts";

/**
 * Starts to follow what answers are made of.
 *
 * @throws {Fault} `file-invalid` for a profiles file or a kubeconfig that cannot be used;
 * `usage-invalid` when the role cannot work with these options here.
 */
export async function startScaler(
  options: ServeOptions,
  context: RoleContext,
): Promise<RunningRole> {
  const { clock, log, changes } = context;
  const path = options.profilesFile;
  const profiles = await profilesFile({ path, clock, log, readFile: readRegularFile });
  const demand = readingDemand(clock);
  const store = fleetStore({ clock, demanded: demand.current });
  store.subscribe(changes.notify);
  const kubernetes = await findKubernetes(options, clock);
  const devices = startDevices(options, context, kubernetes, store, demand);
  const workloads = kubernetes && followWorkloads(kubernetes, options, context);
  workloads?.subscribe(changes.notify);
  const parse = triggerParser(profiles.table);
  const forbidden = (trigger: Trigger) =>
    scopeFault(trigger, workloads !== undefined, options.allowedScopes);
  const parseAllowed = refusing(forbidden, parse);
  const engines = startEngines(options, { ...context, kubernetes, workloads, parse: parseAllowed });
  const localNode = devices.node && options.nodeName;
  const request = (readings: readonly ReadingName[]) => {
    demand.request(readings);
    devices.node?.request(readings);
  };
  const warnings = warningRecorder({ clock, log });
  const answers = answerer({
    engines: engines.reader,
    parse,
    store: { view: store.view, subscribe: changes.subscribe },
    clock,
    localNode,
    asked: request,
    workloads: workloads?.view,
    synced: devices.synced,
  });
  const { prepare } = answers;
  const prefetch = { clock, workloads, parse: parseAllowed, store, prepare, localNode, request };
  const stopPrefetch = devicePrefetch(prefetch);
  const service = externalScaler({
    answerer: instrumentedAnswerer(answers, {
      scopeFault: forbidden,
      deviceFault: () => devices.node?.fault(),
      onRequest: engines.requested,
      onWarnings: warnings.record,
      log,
    }),
    parse,
    onParseChange: profiles.subscribe,
    pushSpacingMs,
    clock,
  });
  return {
    service: registration(ExternalScaler, service),
    metrics: {
      node: devices.node?.stats,
      fleet: devices.fleet,
      engines: engines.stats,
      warnings: warnings.counts,
    },
    unready: () => devices.unready() ?? workloads?.waitingFor().at(0) ?? engines.waitingFor(),
    stop: async () => {
      stopPrefetch();
      demand.stop();
      engines.stop();
      profiles.stop();
      workloads?.stop();
      await devices.stop();
    },
  };
}

/** Parses what is read before anybody asks: nothing is for a trigger that would not be answered. */
function refusing(fault: (trigger: Trigger) => Fault | undefined, parse: ParseTrigger) {
  return (metadata: Readonly<Record<string, string>>): Trigger => {
    const trigger = parse(metadata);
    const refused = fault(trigger);
    if (refused !== undefined) throw refused;
    return trigger;
  };
}

/** Where the readings of devices come from: this node, or every agent. */
interface Devices {
  readonly node?: LocalNode | undefined;
  /** Absent where no agents are followed. */
  readonly fleet?: FleetStats | undefined;
  /** Whether all agents have been heard or tried; absent where none is followed. */
  readonly synced?: (() => boolean) | undefined;
  readonly unready: () => string | undefined;
  readonly stop: () => Promise<void>;
}

function startDevices(
  options: ServeOptions,
  context: RoleContext,
  kubernetes: Kubernetes | undefined,
  store: FleetStore,
  demand: ReadingDemand,
): Devices {
  if (options.role === "scaler") {
    const follower = followAgents(store, kubernetes, options, context, demand);
    const { synced, close } = follower;
    return {
      fleet: fleetStats(store, follower, context.clock),
      synced,
      unready: () => (synced() ? undefined : "the agents have not been heard yet"),
      stop: async () => close(),
    };
  }
  // On a laptop there is no kubelet to ask; in a cluster every node has one.
  const socket = options.podResourcesSocket ?? (kubernetes && podResourcesSocket);
  const node = localNode({ ...options, podResourcesSocket: socket }, context);
  const stopCopying = node.reports.subscribe(() => {
    const report = node.reports.latest();
    if (report !== undefined) store.put(report);
  });
  return {
    node,
    unready: () => node.fault()?.message,
    stop: async () => {
      stopCopying();
      await node.stop();
    },
  };
}
