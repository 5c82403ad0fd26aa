/**
 * What will not work as its author hopes, although every rule is kept.
 *
 * A warning is given on facts alone: what is not known gives none.
 *
 * @module
 */

import { hpaTolerance, type MetricType } from "#kubernetes/hpa.ts";
import { isLatency, metricOf } from "#metric/catalogue.ts";
import { engineFacts } from "#metric/engines.ts";
import { metricKind } from "./metric-kind.ts";
import type { Trigger } from "./trigger.ts";

export type WarningCode =
  | "memory-runs-away"
  | "no-wake-source"
  | "latency-without-guard"
  | "inverted-metric"
  | "cache-without-guard"
  | "target-as-fraction"
  | "target-beyond-percentage"
  | "target-off-bucket-edge"
  | "target-beyond-buckets"
  | "metric-type-unsuited"
  | "average-of-average"
  | "sum-under-value"
  | "total-under-value"
  | "shared-device";

export interface TriggerWarning {
  readonly code: WarningCode;
  /** What happens, why, and what to do instead. */
  readonly message: string;
}

/** A trigger of the same ScaledObject. */
export interface OtherTrigger {
  /** As the ScaledObject names it: `external`, `prometheus`, `cron` … */
  readonly type: string;
  /** Where it is one of ours. */
  readonly trigger?: Trigger | undefined;
}

/** What is known around a trigger; absent is unknown. */
export interface TriggerFacts {
  readonly minReplicas?: number;
  /** Of the ScaledObject's trigger, KEDA's default filled in. */
  readonly metricType?: MetricType;
  /** All others; empty where there are none. */
  readonly otherTriggers?: readonly OtherTrigger[];
  /** Device memory in use in a replica that has started. */
  readonly memoryPercent?: number | undefined;
  /** The server takes its memory at start, whatever it then does with it. */
  readonly prealloc?: boolean | undefined;
  /** Pods that hold the most shared of its devices; absent where none is shared. */
  readonly sharedBy?: number | undefined;
  /** `behavior.scaleUp.tolerance`, or the HPA's default. */
  readonly scaleUpTolerance?: number | undefined;
  /** Upper bounds of the histogram that the metric comes from, ascending, in the metric's unit. */
  readonly bucketEdges?: readonly number[] | undefined;
}

/** Everything that there is to warn of; pure. */
export function triggerWarnings(trigger: Trigger, facts: TriggerFacts): readonly TriggerWarning[] {
  return checks.flatMap((check) => check(trigger, facts) ?? []);
}

/** Whether it can be active while the workload itself has no replica. */
export function canWake(trigger: Trigger): boolean {
  const { alwaysActive, scope = "workload", podSelector, activationMetric } = trigger;
  if (alwaysActive || scope !== "workload" || podSelector !== undefined) return true;
  if (metricOf(activationMetric).source !== "engine" || trigger.endpoint === undefined)
    return false;
  return trigger.engine === undefined || engineFacts(trigger.engine).isFrontEnd;
}

type Check = (trigger: Trigger, facts: TriggerFacts) => TriggerWarning | undefined;

const memoryRunsAway: Check = (
  { metric, target },
  { memoryPercent, prealloc, scaleUpTolerance = hpaTolerance },
) => {
  if (metric !== "memory_used_percent" || prealloc !== true || memoryPercent === undefined) return;
  if (memoryPercent <= target * (1 + scaleUpTolerance)) return;
  const least = Math.ceil((memoryPercent / (1 + scaleUpTolerance)) * 10) / 10;
  return {
    code: "memory-runs-away",
    message:
      `Each replica that has started uses ${memoryPercent.toFixed(1)} % of its memory whatever its load, above the target of ${target} %: ` +
      "every new one asks for another, up to maxReplicaCount, and none ever leaves; " +
      `scale on queue_depth or concurrency (profiles vllm-queue-depth, llm-concurrency), let the server take less, or take a target of at least ${least}`,
  };
};

/** These say how busy replicas are, and so nothing of none. */
const ownLoad: ReadonlySet<string> = new Set(["cpu", "memory"]);

const noWakeSource: Check = (trigger, { minReplicas, otherTriggers }) => {
  if (minReplicas !== 0 || otherTriggers === undefined || canWake(trigger)) return;
  const wakes = otherTriggers.some((other) =>
    other.trigger === undefined ? !ownLoad.has(other.type) : canWake(other.trigger),
  );
  if (wakes) return;
  return {
    code: "no-wake-source",
    message:
      "minReplicaCount is 0 and no trigger sees demand while there is no replica: once at zero the workload stays there; " +
      "add a trigger on what stands in front (profile gateway-flow-control) or on a queue, or set minReplicaCount to 1",
  };
};

const guards: ReadonlySet<string> = new Set([
  "queue_depth",
  "vllm_queue_depth",
  "concurrency",
  "running_requests",
]);

/** Whether another trigger sees the requests themselves; true where the others are not known. */
function isGuarded({ otherTriggers }: TriggerFacts): boolean {
  if (otherTriggers === undefined) return true;
  return otherTriggers.some(({ trigger }) => trigger !== undefined && guards.has(trigger.metric));
}

const latencyWithoutGuard: Check = ({ metric }, facts) => {
  if (!isLatency(metric) || isGuarded(facts)) return;
  return {
    code: "latency-without-guard",
    message:
      `${metric} is known only of requests that got through, so it comes late when a queue forms and is silent when the engine hangs; ` +
      "add a second trigger with metricType queue_depth: the HPA takes the larger of both",
  };
};

const invertedMetric: Check = ({ metric }) => {
  const row = metricOf(metric);
  if (row.source !== "engine" || row.isInverted !== true) return;
  return {
    code: "inverted-metric",
    message:
      `${metric} is good when it is high, and the HPA adds replicas above the target and removes them below it: ` +
      "as it falls, replicas go; scale on queue_depth or concurrency (profiles vllm-queue-depth, llm-concurrency)",
  };
};

const caches: ReadonlySet<string> = new Set(["kv_cache_usage", "vllm_kv_cache_usage"]);

const cacheWithoutGuard: Check = ({ metric, target }, facts) => {
  if (!caches.has(metric) || isGuarded(facts)) return;
  return {
    code: "cache-without-guard",
    message:
      `An engine whose batch is full before its cache stays below the target of ${target} % however many requests wait: replicas are removed and none is added; ` +
      "add a second trigger with profile llm-concurrency: the HPA takes the larger of both",
  };
};

const targetAsFraction: Check = ({ metric, target }) => {
  if (metricOf(metric).unit !== "%" || target > 1) return;
  return {
    code: "target-as-fraction",
    message:
      `${metric} is a percentage, from 0 to 100, and the target of ${target} is ${target} %: nearly any load asks for maxReplicaCount; ` +
      `write ${Math.round(target * 1e5) / 1e3} if a share of 1 was meant`,
  };
};

const targetBeyondPercentage: Check = (trigger, { metricType: actual }) => {
  const { metric, target, aggregation, replicaAggregation } = trigger;
  const { unit, source } = metricOf(metric);
  if (unit !== "%" || target <= 100) return;
  // Sums of percentages do pass 100: of a replica's devices, or of replicas under Value.
  if (source === "device" && aggregation === "sum") return;
  if (actual === "Value" && replicaAggregation === "sum") return;
  return {
    code: "target-beyond-percentage",
    message: `${metric} is at most 100 % in each replica, which never passes the target of ${target}: nothing is ever added; take a target below 100, or aggregation sum where a replica's devices are to be added up`,
  };
};

const targetOffBuckets: Check = ({ metric, target }, { bucketEdges = [] }) => {
  const finite = bucketEdges.filter(Number.isFinite);
  const last = finite.at(-1);
  if (!isLatency(metric) || last === undefined) return;
  // Edges come as decimal text in other units, and so not always exactly.
  const isOn = finite.some((edge) => Math.abs(edge - target) <= target * 1e-6);
  if (isOn) return;
  const unit = metricOf(metric).unit;
  if (target > last)
    return {
      code: "target-beyond-buckets",
      message:
        `The engine counts everything above ${last} ${unit} alike, so ${metric} never passes a target of ${target}; ` +
        `take ${last} or less`,
    };
  const above = finite.find((edge) => edge > target);
  const below = finite.findLast((edge) => edge < target) ?? 0;
  return {
    code: "target-off-bucket-edge",
    message:
      `The engine cannot tell values between ${below} and ${above} ${unit} apart, and the target of ${target} lies there; ` +
      `take ${[below, above].filter((edge) => edge !== 0).join(" or ")}`,
  };
};

const unsuitedMetricType: Check = (trigger, { metricType: actual }) => {
  const { advisedMetricType, metric, profile } = trigger;
  const advised = advisedMetricType ?? (isLatency(metric) ? "Value" : undefined);
  if (actual === undefined || advised === undefined || actual === advised) return;
  const whose = advisedMetricType === undefined ? metric : `profile ${profile}`;
  return {
    code: "metric-type-unsuited",
    message: `The target of ${whose} is meant for metricType ${advised}, and the ScaledObject's trigger has ${actual}; write metricType: ${advised} beside metadata, not in it`,
  };
};

const averageOfAverage: Check = (trigger, { metricType: actual }) => {
  const { metric, replicaAggregation = "sum", scope = "workload", endpoint } = trigger;
  if (actual !== "AverageValue") return;
  const isOne = scope !== "workload" || endpoint !== undefined;
  const isIntensity = metricKind(metric, trigger) === "intensity";
  if (isOne ? !isIntensity : replicaAggregation === "sum") return;
  const what = isOne ? `the ${metric} of all together` : `the ${replicaAggregation} over replicas`;
  return {
    code: "average-of-average",
    message:
      `Under AverageValue the HPA divides what it gets by the replicas, and ${what} does not grow with them: it asks for value/target replicas, however many there are; ` +
      `write metricType: Value beside metadata${isOne ? "" : ", or leave replicaAggregation out"}`,
  };
};

const sumUnderValue: Check = (
  { replicaAggregation, scope = "workload" },
  { metricType: actual },
) => {
  if (actual !== "Value" || scope !== "workload" || replicaAggregation !== "sum") return;
  return {
    code: "sum-under-value",
    message:
      "Under Value the HPA multiplies value/target by the replicas, and a sum grows with them already: each new replica asks for more; " +
      "write metricType: AverageValue beside metadata, or leave replicaAggregation out",
  };
};

/** Where the profile says which metricType is right, that has been said already. */
const totalUnderValue: Check = (trigger, { metricType: actual }) => {
  const { metric, endpoint, advisedMetricType } = trigger;
  const { kind, source } = metricOf(metric);
  const isTotal = endpoint !== undefined && kind === "quantity" && source === "engine";
  if (actual !== "Value" || !isTotal || advisedMetricType !== undefined) return;
  return {
    code: "total-under-value",
    message: `Under Value the HPA multiplies value/target by the replicas, and the ${metric} that one page tells of all does not shrink with each new one: every replica asks for more; write metricType: AverageValue beside metadata`,
  };
};

const sharedDevice: Check = ({ metric }, { sharedBy }) => {
  const row = metricOf(metric);
  if (row.source !== "device" || sharedBy === undefined) return;
  const counts = row.isShared ? "an equal part for each of them" : "whole for each of them";
  return {
    code: "shared-device",
    message:
      `A device is shared by ${sharedBy} pods, and nothing tells how much of ${metric} is whose: it counts ${counts}, so that a pod's value is also made by its neighbours; ` +
      "scale on what the engine says of its own requests (profile llm-concurrency), give each pod a device or a MIG slice, or run agents with --process-attribution",
  };
};

/** In the order in which people read them. */
const checks: readonly Check[] = [
  memoryRunsAway,
  noWakeSource,
  latencyWithoutGuard,
  invertedMetric,
  cacheWithoutGuard,
  targetAsFraction,
  targetBeyondPercentage,
  targetOffBuckets,
  unsuitedMetricType,
  averageOfAverage,
  sumUnderValue,
  totalUnderValue,
  sharedDevice,
];
