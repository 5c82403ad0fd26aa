/**
 * Roles `scaler` and `all`: answers KEDA, in the direction in which a number travels.
 *
 * @module
 */
import type { WorkloadRef } from "#answer/answer.ts";
import { answerer } from "#answer/answerer.ts";
import { scopeFault } from "#answer/scope.ts";
import type { Clock } from "#core/clock.ts";
import { type Fault, unlessFault } from "#core/fault.ts";
import { pushSpacingMs } from "#core/limits.ts";
import { readRegularFile } from "#core/regular-file.ts";
import { type ReadingDemand, readingDemand } from "#fleet/demand.ts";
import { fleetStore } from "#fleet/store.ts";
import type { FleetStore } from "#fleet/view.ts";
import { ExternalScaler } from "#gen/externalscaler/externalscaler_pb.ts";
import { externalScaler } from "#keda/external-scaler.ts";
import { throttled } from "#keda/throttle.ts";
import type { ReadingName } from "#metric/reading.ts";
import { podResourcesSocket } from "#node/pod-resources.ts";
import type { FleetStats } from "#observe/scaler-metrics.ts";
import type { StatusSource } from "#observe/status.ts";
import { registration } from "#rpc/server.ts";
import { type Trigger, triggerParser } from "#trigger/trigger.ts";
import type { Workloads } from "#workload/watch-workloads.ts";
import { type Admission, type EvaluatingAnswerer, instrumentedAnswerer } from "./answers.ts";
import {
  findKubernetes,
  fleetStats,
  followAgents,
  followWorkloads,
  type Kubernetes,
} from "./cluster.ts";
import { decisions } from "./decisions.ts";
import { deletionCosts } from "./deletion-costs.ts";
import { type Engines, startEngines } from "./engines.ts";
import { type LocalNode, localNode } from "./local-node.ts";
import { type ObjectEvents, objectEvents } from "./object-events.ts";
import type { ServeOptions } from "./options.ts";
import { profilesFile } from "./profiles-file.ts";
import type { RoleContext, RunningRole } from "./role.ts";
import { fleetNodes, silentAgents } from "./status-nodes.ts";
import { triggerRounds } from "./trigger-rounds.ts";
import { usageRecorder } from "./usage.ts";
import { meteredStore, type WorkloadDeviceUse, workloadDeviceUse } from "./workload-device-use.ts";

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
  const deviceUse = workloadDeviceUse(clock);
  const store = meteredStore(fleetStore({ clock, demanded: demand.current }), deviceUse.put);
  store.subscribe(changes.notify);
  const kubernetes = await findKubernetes(options, clock);
  const devices = startDevices(options, context, kubernetes, store, demand);
  const workloads = kubernetes && followWorkloads(kubernetes, options, context);
  workloads?.subscribe(changes.notify);
  const parse = triggerParser(profiles.table);
  const forbidden = scopeCheck(options, workloads);
  const parseAllowed = allowedParser(parse, forbidden);
  const served = { ...context, kubernetes, workloads, parse: parseAllowed };
  const engines = startEngines(options, served);
  const events = objectEvents(options, { ...served, store });
  const { answers, inner, triggers, refused, usageOf, stopRounds } = startAnswers({
    ...options,
    ...served,
    events,
    parseAny: parse,
    devices,
    engines,
    store,
    deviceUse,
    forbidden,
  });
  const costs = deletionCosts(options, { ...served, answers: inner });
  const service = externalScaler({
    answerer: answers,
    parse,
    onParseChange: profiles.subscribe,
    pushSpacingMs,
    clock,
    onRefused: refused,
  });
  return {
    service: registration(ExternalScaler, service),
    metrics: {
      node: devices.node?.stats,
      fleet: devices.fleet,
      engines: engines.stats,
      triggers,
      deletionCosts: costs?.written,
      deviceUse: workloads && deviceUse.totals,
    },
    status: scalerStatus({ ...answers, ...deviceUse, clock, store, triggers, usageOf }),
    unready: () => devices.unready() ?? workloads?.waitingFor().at(0) ?? engines.waitingFor(),
    stop: async () => {
      stopRounds();
      costs?.stop();
      events?.stop();
      demand.stop();
      engines.stop();
      profiles.stop();
      workloads?.stop();
      await devices.stop();
    },
  };
}

interface AnswersOptions
  extends Pick<ServeOptions, "nodeName">,
    Pick<RoleContext, "clock" | "log" | "changes"> {
  readonly devices: Devices;
  readonly engines: Engines;
  readonly store: FleetStore;
  readonly deviceUse: WorkloadDeviceUse;
  readonly workloads: Workloads | undefined;
  readonly events: ObjectEvents | undefined;
  /** Refuses what is never answered. */
  readonly parse: ReturnType<typeof triggerParser>;
  readonly parseAny: ReturnType<typeof triggerParser>;
  readonly forbidden: (trigger: Trigger) => Fault | undefined;
}

/** Answers, and remembers what was answered: to KEDA, and to nobody in the rounds. */
function startAnswers(options: AnswersOptions) {
  const { clock, log, changes, devices, engines, store, deviceUse, workloads } = options;
  const { parse, parseAny, forbidden, nodeName, events } = options;
  const localNode = devices.node && nodeName;
  const isKnown = (ref: WorkloadRef) => isAdmitted(workloads, ref);
  const { triggers, record, refused, broken, expire } = decisions({ clock, log, isKnown });
  const inner = answerer({
    engines: engines.reader,
    parse: parseAny,
    store: { view: store.view, subscribe: changes.subscribe },
    clock,
    localNode,
    asked: devices.request,
    workloads: workloads?.view,
    synced: devices.synced,
  });
  const answers = instrumentedAnswerer(inner, {
    scopeFault: forbidden,
    admission: workloads && admissionOf(workloads, clock),
    deviceFault: () => devices.node?.fault(),
    onRequest: engines.requested,
    onRefused: refused,
    onDecision: record,
  });
  const { evaluate } = answers;
  const { request } = devices;
  const read = { clock, workloads, parse, store, evaluate, localNode, request };
  const recorder = usageRecorder({ ...read, engines: { ...engines.reader, peek: engines.peek } });
  const stopRounds = triggerRounds({
    ...read,
    onEvaluated: recorder.evaluated,
    onFault: broken,
    onPods: deviceUse.claim,
    onRound: () => {
      expire();
      deviceUse.endRound();
      events?.check(triggers());
    },
  });
  return { answers, inner, triggers, refused, usageOf: recorder.of, stopRounds };
}

function scalerStatus({
  clock,
  store,
  triggers,
  usageOf,
  powerWattsOf,
  evaluate,
}: Pick<RoleContext, "clock"> &
  Pick<StatusSource, "triggers" | "usageOf" | "powerWattsOf"> &
  Pick<EvaluatingAnswerer, "evaluate"> & { readonly store: FleetStore }): StatusSource {
  return {
    nodes: () => fleetNodes(store.view(), clock.monotonicMs()),
    unavailable: () => silentAgents(store.view().unavailable, clock.monotonicMs()),
    triggers,
    usageOf,
    powerWattsOf,
    evaluate: ({ ref, trigger }) => (trigger === undefined ? [] : evaluate(ref, trigger)),
  };
}

function scopeCheck({ allowedScopes }: ServeOptions, workloads: Workloads | undefined) {
  return (trigger: Trigger) => scopeFault(trigger, workloads !== undefined, allowedScopes);
}

/** Refuses what is never answered: nothing is prepared for it. */
function allowedParser(
  parse: ReturnType<typeof triggerParser>,
  forbidden: (trigger: Trigger) => Fault | undefined,
): typeof parse {
  return (metadata) => {
    const trigger = parse(metadata);
    const fault = forbidden(trigger);
    if (fault !== undefined) throw fault;
    return trigger;
  };
}

/** Whether an object has the trigger that asks; whoever asks where there is no Kubernetes API. */
function isAdmitted(
  workloads: Workloads | undefined,
  { namespace, name, scalerMetadata }: WorkloadRef,
): boolean {
  if (workloads === undefined) return true;
  return (
    unlessFault(() => {
      workloads.admit(namespace, name, scalerMetadata);
      return true;
    }) === true
  );
}

/** Where there is a Kubernetes API, only what one of its objects really asks for is answered. */
function admissionOf({ admit, subscribe }: Workloads, clock: Clock): Admission {
  return {
    admit: ({ namespace, name, scalerMetadata }) => admit(namespace, name, scalerMetadata),
    subscribe: throttled(subscribe, pushSpacingMs, clock),
  };
}

/** Where the readings of devices come from: this node, or every agent. */
interface Devices {
  readonly node?: LocalNode | undefined;
  /** Has these readings taken for a while. */
  readonly request: (readings: readonly ReadingName[]) => void;
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
      request: demand.request,
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
    request: (readings) => {
      demand.request(readings);
      node.request(readings);
    },
    unready: () => node.fault()?.message,
    stop: async () => {
      stopCopying();
      await node.stop();
    },
  };
}
