/**
 * What a simulation plays, as data: load, replicas, cluster, scale target, ScaledObject and incidents.
 *
 * Every field but the load, the length and the triggers has a default; `completed` fills them in.
 *
 * @module
 */
import type { MetricType } from "#kubernetes/hpa.ts";
import { builtInProfiles, type ProfileTable } from "#trigger/profiles.ts";

/** Requests a second over time. */
export type LoadRate =
  | { readonly kind: "constant"; readonly perSecond: number }
  /** Each holds until the next begins. */
  | { readonly kind: "steps"; readonly steps: readonly RatePoint[] }
  /** Straight lines between the points; before the first and after the last as at that one. */
  | { readonly kind: "ramps"; readonly points: readonly RatePoint[] }
  | {
      readonly kind: "bursts";
      readonly perSecond: number;
      readonly burstPerSecond: number;
      readonly everySeconds: number;
      readonly burstSeconds: number;
    }
  /** Never below 0. */
  | {
      readonly kind: "sine";
      readonly meanPerSecond: number;
      readonly amplitudePerSecond: number;
      readonly periodSeconds: number;
    };

export interface RatePoint {
  readonly atSecond: number;
  readonly perSecond: number;
}

/** TokenCount of a request: always as many, or log-normal. */
export type TokenCount = number | { readonly p50: number; readonly p95: number };

export type Load =
  | {
      readonly rate: LoadRate;
      /** `even`: as far apart as the rate says; the default is `poisson`. */
      readonly arrivals?: "poisson" | "even";
      readonly promptTokens?: TokenCount;
      readonly outputTokens?: TokenCount;
    }
  | { readonly trace: Trace };

/** Requests as they came; the arrays are equally long and the times ascend. */
export interface Trace {
  /** From the start of the simulation. */
  readonly atMs: readonly number[];
  readonly promptTokens: readonly number[];
  readonly outputTokens: readonly number[];
}

/** One replica: a pod with an engine, or a group of pods of which the first has it. */
export interface ReplicaModel {
  /** From the start of the container to readiness. */
  readonly loadSeconds: number;
  /** Requests worked on at once. */
  readonly batchSlots: number;
  /** One prompt after the other. */
  readonly prefillTokensPerSecond: number;
  /** Of a request that is alone. */
  readonly decodeTokensPerSecond: number;
  /** A request in a full batch takes this much longer for a token: 1 is twice as long. */
  readonly batchSlowdown: number;
  /** A request reserves blocks for all its tokens while it is worked on. */
  readonly kvBlocks: number;
  readonly kvBlockTokens: number;
  /** Devices of each pod. */
  readonly gpus: number;
  /** Device memory that a pod takes on each of its devices at its start. */
  readonly memoryMib: number;
  /** Busy share of the batch at which the device's utilization is 100 %. */
  readonly saturatedAt: number;
  /** After this a pod that is being deleted is killed with what it still works on. */
  readonly drainSeconds: number;
}

export interface ClusterModel {
  /** What the names of its nodes begin with. */
  readonly nodePrefix: string;
  readonly nodes: number;
  readonly gpusPerNode: number;
  readonly gpuMemoryMib: number;
  /** What the driver takes of it. */
  readonly driverMemoryMib: number;
  /** Pods that a device is divided among by time slicing; 1 divides none. */
  readonly podsPerGpu: number;
  /** MIG slices of each device, a device each for the scheduler; 0 cuts none. */
  readonly slicesPerGpu: number;
  /** From creation until a node is chosen. */
  readonly schedulingSeconds: number;
  /** Pods that the namespace may have; more are not created. */
  readonly podQuota: number;
  readonly sampleSeconds: number;
}

export interface TargetModel {
  /** The ScaledObject's as well. */
  readonly name: string;
  readonly kind: "Deployment" | "StatefulSet" | "LeaderWorkerSet";
  /** `spec.replicas` at the start, all of them ready. */
  readonly replicas: number;
  /** Of a Deployment. */
  readonly strategy: "RollingUpdate" | "Recreate";
  /** Pods, or a share of the replicas as text: `25%`. */
  readonly maxSurge: number | `${number}%`;
  readonly maxUnavailable: number | `${number}%`;
  /** Of a StatefulSet: `Parallel` creates and deletes all at once. */
  readonly podManagement: "OrderedReady" | "Parallel";
  /** Pods of a group; of a LeaderWorkerSet. */
  readonly groupSize: number;
}

export interface TriggerModel {
  readonly type?: "external" | "external-push";
  readonly metricType?: MetricType;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface HpaPolicy {
  readonly type: "Pods" | "Percent";
  readonly value: number;
  readonly periodSeconds: number;
}

/** As in an HPA's `behavior`; what is left out has the API server's default. */
export interface HpaRules {
  readonly stabilizationWindowSeconds?: number;
  readonly selectPolicy?: "Max" | "Min" | "Disabled";
  readonly policies?: readonly HpaPolicy[];
  readonly tolerance?: number;
}

export interface FallbackModel {
  readonly failureThreshold: number;
  readonly replicas: number;
  readonly behavior?:
    | "static"
    | "currentReplicas"
    | "currentReplicasIfHigher"
    | "currentReplicasIfLower";
}

/** The fields of a KEDA ScaledObject that decide on replicas, under KEDA's own names. */
export interface ScaledObjectModel {
  readonly triggers: readonly TriggerModel[];
  readonly minReplicaCount?: number;
  readonly maxReplicaCount?: number;
  readonly idleReplicaCount?: number;
  /** Seconds, as the next two. */
  readonly pollingInterval?: number;
  readonly cooldownPeriod?: number;
  readonly initialCooldownPeriod?: number;
  readonly fallback?: FallbackModel;
  readonly behavior?: { readonly scaleUp?: HpaRules; readonly scaleDown?: HpaRules };
}

/** Something that goes wrong, or is done, at a time; `untilSecond` absent means for ever. */
export type Incident =
  /** The node's agent is not heard. */
  | {
      readonly kind: "silent-node";
      readonly node: number;
      readonly atSecond: number;
      readonly untilSecond?: number;
    }
  /** The engine of the replica that is the n-th by age cannot be scraped. */
  | {
      readonly kind: "unreachable-engine";
      readonly replica: number;
      readonly atSecond: number;
      readonly untilSecond?: number;
    }
  /** The engine of the replica that is the n-th by age exports nothing but its queue's length. */
  | { readonly kind: "misfit-engine"; readonly replica: number; readonly atSecond: number }
  /** The replica that is the n-th by age crashes and loads again; its requests start anew. */
  | { readonly kind: "crash"; readonly replica: number; readonly atSecond: number }
  /** A new pod template: every pod is replaced. */
  | { readonly kind: "rollout"; readonly atSecond: number }
  /** What the scaler remembers is lost. */
  | { readonly kind: "scaler-restart"; readonly scaler: number; readonly atSecond: number }
  /** KEDA's connection moves to another replica of the scaler. */
  | { readonly kind: "scaler-switch"; readonly scaler: number; readonly atSecond: number }
  /** KEDA cannot reach the scaler: every call fails, GetMetricSpec too. */
  | { readonly kind: "scaler-down"; readonly atSecond: number; readonly untilSecond?: number };

export interface Scenario {
  readonly seconds: number;
  readonly load: Load;
  readonly replica?: Partial<ReplicaModel>;
  readonly cluster?: Partial<ClusterModel>;
  readonly target?: Partial<TargetModel>;
  readonly scaledObject: ScaledObjectModel;
  readonly incidents?: readonly Incident[];
  /** Those that triggers may name; the built-in ones where left out. */
  readonly profiles?: ProfileTable;
  /** Replicas of the scaler; KEDA asks the first until an incident says otherwise. */
  readonly scalers?: number;
  /** Which replica the front end chooses: `random` is how a Service of Kubernetes does it. */
  readonly routing?: "fewest-requests" | "random";
  /** Whether scalers write deletion costs, so that a scale-in takes the idlest pods of a Deployment. */
  readonly deletionCost?: boolean;
  /** How often the timeline has a row although nothing changed. */
  readonly timelineSeconds?: number;
}

/** A scenario with every default filled in. */
export interface CompleteScenario extends Required<Scenario> {
  readonly replica: ReplicaModel;
  readonly cluster: ClusterModel;
  readonly target: TargetModel;
}

/** A 7B model on one device of 80 GB, as a round number each; presets with sources are another file's. */
const replicaDefaults: ReplicaModel = {
  loadSeconds: 60,
  batchSlots: 32,
  prefillTokensPerSecond: 20_000,
  decodeTokensPerSecond: 60,
  batchSlowdown: 1,
  kvBlocks: 16_000,
  kvBlockTokens: 16,
  gpus: 1,
  memoryMib: 73_000,
  saturatedAt: 1,
  drainSeconds: 30,
};

const clusterDefaults: ClusterModel = {
  nodePrefix: "node",
  nodes: 16,
  gpusPerNode: 8,
  gpuMemoryMib: 81_559,
  driverMemoryMib: 500,
  podsPerGpu: 1,
  slicesPerGpu: 0,
  schedulingSeconds: 1,
  podQuota: Number.POSITIVE_INFINITY,
  sampleSeconds: 1,
};

/** `maxSurge` and the rest are the API server's defaults. */
const targetDefaults: TargetModel = {
  name: "llm",
  kind: "Deployment",
  replicas: 1,
  strategy: "RollingUpdate",
  maxSurge: "25%",
  maxUnavailable: "25%",
  podManagement: "OrderedReady",
  groupSize: 1,
};

export function completed(scenario: Scenario): CompleteScenario {
  return {
    incidents: [],
    profiles: builtInProfiles,
    scalers: 1,
    routing: "fewest-requests",
    deletionCost: false,
    timelineSeconds: 15,
    ...scenario,
    replica: { ...replicaDefaults, ...scenario.replica },
    cluster: { ...clusterDefaults, ...scenario.cluster },
    target: { ...targetDefaults, ...scenario.target },
  };
}
