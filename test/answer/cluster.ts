/** Workloads and nodes as tests see them: pods that hold devices, and what a view says of them. */
import { answerer } from "#answer/answerer.ts";
import type { FleetDevice, FleetNode, FleetView, UnavailableAgent } from "#fleet/view.ts";
import type { Holder } from "#telemetry/report.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { PodFilter, Workload, WorkloadView } from "#workload/workload.ts";
import { gpu, node, nowMs } from "./fleet.ts";

export const llm = { namespace: "ml", name: "llm", scalerMetadata: { scalerAddress: "here" } };

export function pod(name: string, changes: Partial<Pod> = {}): Pod {
  return {
    namespace: "ml",
    name,
    uid: `uid-${name}`,
    node: "a",
    state: "counted",
    ready: true,
    containers: [{ name: "server", ready: true, ports: [] }],
    labels: {},
    requestsDevice: false,
    onHostNetwork: false,
    ...changes,
  };
}

export const holder = (name: string, changes: Partial<Holder> = {}): Holder => ({
  namespace: "ml",
  pod: name,
  container: "server",
  ...changes,
});

/** A GPU under load that a pod of namespace `ml` holds alone. */
export function held(
  name: string,
  utilizationPercent: number,
  changes: Partial<FleetDevice> = {},
): FleetDevice {
  return gpu({
    uuid: `GPU-${name}`,
    readings: { utilizationPercent },
    holders: [holder(name)],
    ...changes,
  });
}

/** A node whose kubelet has just told who holds what. */
export function host(
  name: string,
  devices: readonly FleetDevice[],
  changes: Partial<FleetNode> = {},
): FleetNode {
  const own = devices.map((device) => ({ ...device, node: name }));
  return node(own, { name, holdersAtMs: nowMs - 2_000, ...changes });
}

export interface ClusterState {
  readonly nodes?: readonly FleetNode[];
  readonly pods?: readonly Pod[];
  readonly workload?: Partial<Workload>;
  readonly silent?: readonly UnavailableAgent[];
  readonly average?: FleetView["average"];
  readonly synced?: boolean;
}

export function workload({ pods = [], workload: changes = {} }: ClusterState): Workload {
  return {
    kind: "ScaledObject",
    metricType: "AverageValue",
    replicas: pods.length,
    statusReplicas: changes.replicas ?? pods.length,
    readyPods: pods.filter(({ containers }) => containers.every(({ ready }) => ready)).length,
    drainingPods: 0,
    isAtZero: false,
    tolerances: { up: 0.1, down: 0.1 },
    minReplicas: 1,
    maxReplicas: 100,
    otherTriggers: [],
    ageMs: 1_000,
    generation: 1,
    ...changes,
    pods,
  };
}

/** A process in a cluster whose state and time the test changes between two questions. */
export function inCluster(first: ClusterState) {
  let state = first;
  let passedMs = 0;
  const lookUps: unknown[] = [];
  const workloads: WorkloadView = {
    of: (namespace, name, metadata, narrowing: PodFilter = {}) => {
      lookUps.push([namespace, name, metadata, narrowing]);
      return workload(state);
    },
  };
  const view = (): FleetView => ({
    nodes: new Map((state.nodes ?? []).map((one) => [one.name, later(one, passedMs)])),
    unavailable: state.silent ?? [],
    average: state.average ?? (() => undefined),
  });
  const clock = { monotonicMs: () => nowMs + passedMs };
  const start = () =>
    answerer({
      store: { view, subscribe: () => () => undefined },
      clock,
      workloads,
      synced: () => state.synced ?? true,
    });
  let answers = start();
  return {
    lookUps,
    workloads,
    clock,
    answers: () => answers,
    become: (next: ClusterState) => {
      state = next;
    },
    pass: (ms: number) => {
      passedMs += ms;
    },
    restart: () => {
      answers = start();
    },
    value: (metadata: Readonly<Record<string, string>> = {}) =>
      answers.value(llm, parseTrigger(metadata)),
    activity: (metadata: Readonly<Record<string, string>> = {}) =>
      answers.activity(llm, parseTrigger(metadata)),
  };
}

/** A node that is read on and on, unless it was silent to begin with. */
function later(one: FleetNode, passedMs: number): FleetNode {
  const isSilent = nowMs - one.sampledAtMs > 5_000;
  const shift = isSilent ? 0 : passedMs;
  const { holdersAtMs } = one;
  const isDeaf = holdersAtMs === undefined || nowMs - holdersAtMs > 60_000;
  return {
    ...one,
    sampledAtMs: one.sampledAtMs + shift,
    devices: one.devices.map((device) => ({ ...device, sampledAtMs: device.sampledAtMs + shift })),
    ...(isDeaf ? {} : { holdersAtMs: holdersAtMs + passedMs }),
  };
}
