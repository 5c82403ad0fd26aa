/**
 * The HPA controller for external metrics, from what it is told to `spec.replicas`.
 *
 * Written after its source and not with the product's arithmetic, for it is what the product is
 * judged by. Usage and target are whole thousandths, as KEDA hands them over.
 *
 * Source: kubernetes, pkg/controller/podautoscaler: horizontal.go (`reconcileAutoscaler`,
 * `computeReplicasForMetrics`, `stabilizeRecommendationWithBehaviors`,
 * `convertDesiredReplicasWithBehaviorRate`), replica_calculator.go, pkg/apis/autoscaling/v2/defaults.go.
 *
 * @module
 */
import type { MetricType } from "#kubernetes/hpa.ts";
import type { HpaPolicy, HpaRules, ScaledObjectModel } from "./scenario.ts";

export interface HpaMetric {
  readonly metricType: MetricType;
  readonly targetMilli: number;
}

/** What the HPA sees at a sync. */
export interface HpaInput {
  readonly specReplicas: number;
  readonly statusReplicas: number;
  /** Ready pods of the target's selector, those that are being deleted included. */
  readonly readyPods: number;
  /** Of each metric, in thousandths; absent where the metrics API gave an error. */
  readonly usagesMilli: readonly (number | undefined)[];
}

export interface HpaDecision {
  /** The new `spec.replicas`. */
  readonly replicas: number;
  /** Before stabilization, policies and limits; absent where the metrics gave no number. */
  readonly recommended: number | undefined;
}

export interface Hpa {
  readonly sync: (input: HpaInput, nowMs: number) => HpaDecision;
}

export interface HpaOptions {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly metrics: readonly HpaMetric[];
  readonly behavior: ScaledObjectModel["behavior"];
}

/** `--horizontal-pod-autoscaler-tolerance`, for a direction whose rules have none of their own. */
const hpaTolerance = 0.1;

const scaleUpDefaults: Required<HpaRules> = {
  stabilizationWindowSeconds: 0,
  selectPolicy: "Max",
  policies: [
    { type: "Pods", value: 4, periodSeconds: 15 },
    { type: "Percent", value: 100, periodSeconds: 15 },
  ],
  tolerance: hpaTolerance,
};
const scaleDownDefaults: Required<HpaRules> = {
  stabilizationWindowSeconds: 300,
  selectPolicy: "Max",
  policies: [{ type: "Percent", value: 100, periodSeconds: 15 }],
  tolerance: hpaTolerance,
};

export interface Tolerances {
  readonly up: number;
  readonly down: number;
}

/** The API server refuses a policy with a longer period. */
const policyPeriodSecondsMax = 1800;

/** What one metric proposes. */
export function proposal(
  { metricType, targetMilli }: HpaMetric,
  usageMilli: number,
  { specReplicas, statusReplicas, readyPods }: Omit<HpaInput, "usagesMilli">,
  { up, down }: Tolerances,
): number {
  const isWithin = (ratio: number) => 1 - down <= ratio && ratio <= 1 + up;
  if (metricType === "AverageValue") {
    const ratio = usageMilli / (targetMilli * statusReplicas);
    return isWithin(ratio) ? statusReplicas : Math.ceil(usageMilli / targetMilli);
  }
  const ratio = usageMilli / targetMilli;
  if (specReplicas === 0) return Math.ceil(ratio);
  return isWithin(ratio) ? specReplicas : Math.ceil(ratio * readyPods);
}

/** The highest proposal; `undefined` where an invalid metric forbids to say. */
function recommendation(
  metrics: readonly HpaMetric[],
  input: HpaInput,
  tolerances: Tolerances,
): number | undefined {
  let highest: number | undefined;
  let invalid = 0;
  for (const [index, metric] of metrics.entries()) {
    const usage = input.usagesMilli[index];
    if (usage === undefined) invalid += 1;
    else highest = Math.max(highest ?? 0, proposal(metric, usage, input, tolerances));
  }
  if (highest === undefined) return undefined;
  return invalid > 0 && highest < input.specReplicas ? undefined : highest;
}

export function hpa({ minReplicas, maxReplicas, metrics, behavior }: HpaOptions): Hpa {
  const up = { ...scaleUpDefaults, ...behavior?.scaleUp };
  const down = { ...scaleDownDefaults, ...behavior?.scaleDown };
  const tolerances = { up: up.tolerance, down: down.tolerance };
  const stabilize = stabilization(up, down);
  const events: ScaleEvents = { added: timedCounts(up), removed: timedCounts(down) };

  const limited = (desired: number, current: number, nowMs: number): number => {
    if (desired > current) {
      const limit = Math.max(current, upLimit(up, current, events, nowMs));
      return Math.min(desired, limit, maxReplicas);
    }
    if (desired < current) {
      const limit = Math.min(current, downLimit(down, current, events, nowMs));
      return Math.max(desired, limit, minReplicas);
    }
    return desired;
  };

  const decided = (input: HpaInput, nowMs: number): HpaDecision => {
    const { specReplicas: current } = input;
    // The HPA leaves a target alone that somebody else has set to 0.
    if (current === 0) return { replicas: 0, recommended: undefined };
    if (current > maxReplicas) return { replicas: maxReplicas, recommended: undefined };
    if (current < minReplicas) return { replicas: minReplicas, recommended: undefined };
    const recommended = recommendation(metrics, input, tolerances);
    if (recommended === undefined) return { replicas: current, recommended };
    const replicas = limited(stabilize.recommend(recommended, current, nowMs), current, nowMs);
    return { replicas, recommended };
  };

  return {
    sync: (input, nowMs) => {
      stabilize.begin(input.specReplicas, nowMs);
      const decision = decided(input, nowMs);
      const change = decision.replicas - input.specReplicas;
      if (change > 0) events.added.add(nowMs, change);
      if (change < 0) events.removed.add(nowMs, -change);
      return decision;
    },
  };
}

/** Over the up window the lowest, over the down window the highest of what was recommended. */
function stabilization(up: Required<HpaRules>, down: Required<HpaRules>) {
  const [upMs, downMs] = [up, down].map((rules) => rules.stabilizationWindowSeconds * 1000);
  const earlier = timedList(Math.max(upMs ?? 0, downMs ?? 0));
  let hasBegun = false;
  /** At the first sync what there is counts as recommended (`recordInitialRecommendation`). */
  const begin = (current: number, nowMs: number) => {
    if (!hasBegun) earlier.add(nowMs, current);
    hasBegun = true;
  };
  const recommend = (desired: number, current: number, nowMs: number): number => {
    let [lowest, highest] = [desired, desired];
    for (const { atMs, count } of earlier.all) {
      if (atMs > nowMs - (upMs ?? 0)) lowest = Math.min(lowest, count);
      if (atMs > nowMs - (downMs ?? 0)) highest = Math.max(highest, count);
    }
    earlier.add(nowMs, desired);
    return Math.min(highest, Math.max(lowest, current));
  };
  return { begin, recommend };
}

interface ScaleEvents {
  readonly added: ReturnType<typeof timedCounts>;
  readonly removed: ReturnType<typeof timedCounts>;
}

/** How many there were when the policy's period began. */
function periodStart(
  current: number,
  { periodSeconds }: HpaPolicy,
  { added, removed }: ScaleEvents,
  nowMs: number,
): number {
  const fromMs = nowMs - periodSeconds * 1000;
  return current - added.since(fromMs) + removed.since(fromMs);
}

function upLimit(
  { selectPolicy, policies }: Required<HpaRules>,
  current: number,
  events: ScaleEvents,
  nowMs: number,
): number {
  if (selectPolicy === "Disabled") return current;
  const limits = policies.map((policy) => {
    const start = periodStart(current, policy, events, nowMs);
    return policy.type === "Pods"
      ? start + policy.value
      : Math.ceil(start * (1 + policy.value / 100));
  });
  return selectPolicy === "Min" ? Math.min(...limits) : Math.max(...limits);
}

function downLimit(
  { selectPolicy, policies }: Required<HpaRules>,
  current: number,
  events: ScaleEvents,
  nowMs: number,
): number {
  if (selectPolicy === "Disabled") return current;
  const limits = policies.map((policy) => {
    const start = periodStart(current, policy, events, nowMs);
    return policy.type === "Pods"
      ? start - policy.value
      : Math.trunc(start * (1 - policy.value / 100));
  });
  // The policy that changes least leaves most.
  return selectPolicy === "Min" ? Math.max(...limits) : Math.min(...limits);
}

/** Counts with their times, kept for as long as a window lasts. */
function timedList(windowMs: number) {
  const all: { readonly atMs: number; readonly count: number }[] = [];
  return {
    all,
    add: (atMs: number, count: number) => {
      while (all[0] !== undefined && all[0].atMs <= atMs - windowMs) all.shift();
      all.push({ atMs, count });
    },
  };
}

/** How many pods were added or removed, kept for the longest period of the rules. */
function timedCounts({ policies }: Required<HpaRules>) {
  // A policy of the other direction may look further back; the API allows half an hour at most.
  const periods = policies.map(({ periodSeconds }) => periodSeconds);
  const { all, add } = timedList(Math.max(policyPeriodSecondsMax, ...periods) * 1000);
  const since = (fromMs: number) =>
    all.reduce((sum, { atMs, count }) => (atMs > fromMs ? sum + count : sum), 0);
  return { add, since };
}
