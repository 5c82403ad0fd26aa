/**
 * The profiles that are built in, and what a profile is.
 *
 * The first ten are a contract: their metric, target and activation do not change. The others are
 * written in signals that every engine has, whatever it calls them.
 *
 * @module
 */
import type { MetricType } from "#kubernetes/hpa.ts";
import type { MetricName } from "#metric/catalogue.ts";
import type {
  EngineName,
  LabelMatcher,
  NamedSeries,
  SeriesKind,
  SeriesReducer,
} from "#metric/engines.ts";
import type { ReducerName } from "#metric/reduce.ts";

/** Ways for the replicas of a workload to become one value. */
export const replicaReducers = ["sum", "avg", "max", "p95"] as const;

/** Trigger keys that a profile may answer as well; absent as in metadata. */
export interface ProfileDefaults {
  readonly aggregation?: ReducerName | undefined;
  readonly replicaAggregation?: (typeof replicaReducers)[number] | undefined;
  readonly windowSeconds?: number | undefined;
  /** The engine it means. */
  readonly engine?: EngineName | undefined;
  readonly engineMetric?: NamedSeries | undefined;
  readonly engineMetricKind?: SeriesKind | undefined;
  readonly engineReduce?: SeriesReducer | undefined;
  readonly engineLabels?: readonly LabelMatcher[] | undefined;
}

/** What a profile stands for; explicit metadata wins over each field. */
export interface Profile extends ProfileDefaults {
  readonly metric: MetricName;
  /** In the metric's unit. */
  readonly target: number;
  /** Absent: `metric`. */
  readonly activationMetric?: MetricName | undefined;
  /** In the unit of `activationMetric`. */
  readonly activationThreshold: number;
  /** False: its workload is never scaled to zero, so it is always active. */
  readonly scalesToZero: boolean;
  /** The `metricType` of the ScaledObject's trigger that the target is meant for. */
  readonly metricType: MetricType;
}
export type ProfileTable = ReadonlyMap<string, Profile>;

export const profiles = {
  "vllm-inference": profile("memory_used_percent", 80, 5),
  // A device is busy or idle at any one moment: only a mean says how much it has to do.
  "triton-inference": profile("gpu_utilization", 75, 10, { windowSeconds: 60 }),
  training: profile("gpu_utilization", 90, 0, { scalesToZero: false }),
  batch: profile("memory_used_percent", 70, 1),
  "vllm-queue-depth": profile("vllm_queue_depth", 5, 1, { engine: "vllm" }),
  "triton-queue-wait": profile("triton_queue_wait_ms", 50, 5, {
    engine: "triton",
    metricType: "Value",
  }),
  "triton-request-rate": profile("triton_request_rate", 50, 1, { engine: "triton" }),
  ollama: profile("memory_used_percent", 70, 3),
  "tgi-inference": profile("memory_used_percent", 75, 5),
  "distributed-training": profile("nvlink_tx_mbps", 50_000, 5_000),

  "vllm-kv-cache": profile("kv_cache_usage", 80, 1, { engine: "vllm" }),
  "llm-concurrency": profile("concurrency", 16, 0),
  // A quantile says nothing of a quiet minute, so it may not decide that nobody is there.
  "llm-ttft-p95": profile("ttft_p95_ms", 1_000, 50, {
    windowSeconds: 60,
    metricType: "Value",
    scalesToZero: false,
  }),
  "tgi-queue-depth": profile("queue_depth", 4, 0, { engine: "tgi" }),
  "sglang-queue-depth": profile("queue_depth", 5, 1, { engine: "sglang" }),
  "gateway-flow-control": profile("queue_depth", 1, 0, { engine: "epp" }),
} as const satisfies Record<string, Profile>;
export type ProfileName = keyof typeof profiles;

function profile(
  metric: MetricName,
  target: number,
  activationThreshold: number,
  more: Partial<Profile> = {},
): Profile {
  return {
    metric,
    target,
    activationThreshold,
    scalesToZero: true,
    metricType: "AverageValue",
    ...more,
  };
}

export const profileNames = Object.keys(profiles) as ProfileName[];
export const builtInProfiles: ProfileTable = new Map(Object.entries(profiles));

export function profileOf(name: ProfileName): Profile {
  return profiles[name];
}
