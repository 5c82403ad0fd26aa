import type { MetricType } from "#kubernetes/hpa.ts";
import type { MetricName, SignalName } from "#metric/catalogue.ts";
import type { Percentiles, UsageSummary } from "./usage-summary.ts";

export type RecommendationCode =
  | "memory-constant"
  | "utilization-saturated"
  | "engine-unread"
  | "steady-work"
  | "requests-wait"
  | "target-low"
  | "cache-full"
  | "cache-roomy"
  | "replicas-restless"
  | "maximum-reached"
  | "often-idle"
  | "slow-start";

/** What to do about a workload, and why. */
export interface Recommendation {
  readonly code: RecommendationCode;
  /** `change`: something would serve better. `note`: something to know before anything is changed. */
  readonly level: "change" | "note";
  /** What to do; a sentence for people, as `why` is. */
  readonly text: string;
  readonly why: string;
  /** What `why` rests on, with the unit in each name. */
  readonly evidence: Readonly<Record<string, number>>;
  /** Of the trigger that is recommended, beside `scalerAddress`. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Of that trigger; absent: KEDA's default fits. */
  readonly metricType?: MetricType | undefined;
}

/** A trigger of the object, as far as advice depends on it. */
export interface AdvisedTrigger {
  readonly metricName: string;
  readonly metric: MetricName;
  /** What engines are asked for; absent of a metric of devices. */
  readonly signal?: SignalName | undefined;
  readonly source: "device" | "engine";
  readonly target: number;
  readonly metricType: MetricType;
  readonly alwaysActive: boolean;
}

export interface AdviceContext {
  readonly summary: UsageSummary;
  readonly triggers: readonly AdvisedTrigger[];
  /** What runs in the pods, as its page or the name of its container says. */
  readonly engine?: string | undefined;
  readonly minReplicas: number;
  readonly maxReplicas: number;
}

export type AdviceRule = (context: AdviceContext) => Recommendation | undefined;

/** Minutes of all minutes, as people say it. */
export function minutesText(minutes: number, of: number, kind = "busy minutes"): string {
  return `${minutes} of ${of} ${kind}`;
}

export function rangeText({ p5, p95 }: Percentiles, unit: string): string {
  return p5 === p95 ? `${p5} ${unit}` : `${p5} to ${p95} ${unit}`;
}

export function readsSignal(
  triggers: readonly AdvisedTrigger[],
  ...signals: readonly SignalName[]
): AdvisedTrigger | undefined {
  return triggers.find(({ signal }) => signal !== undefined && signals.includes(signal));
}
