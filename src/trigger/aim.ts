/**
 * What a trigger compares with what: its metric and target, and what decides between none and one.
 *
 * @module
 */
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import type { TriggerValues } from "./keys.ts";
import type { Profile } from "./profiles.ts";

const defaultMetric: MetricName = "gpu_utilization";
const defaultTarget = 80;

/** Keys that stand for a metric and its target at once. */
export const shorthands = {
  targetGpuUtilization: "gpu_utilization",
  targetMemoryUtilization: "memory_used_percent",
} as const satisfies Partial<Record<keyof TriggerValues, MetricName>>;
export const shorthandNames = Object.keys(shorthands) as (keyof typeof shorthands)[];

export interface Aim {
  readonly metric: MetricName;
  readonly target: number;
  readonly activationMetric: MetricName;
  readonly activationThreshold: number;
}

/** The keys given, then the shorthand, then `engineMetric`, then the profile, then the defaults. */
export function aimOf(values: TriggerValues, profile: Profile | undefined): Aim {
  const shorthand = shorthandNames.find((name) => values[name] !== undefined);
  const named = values.metricType ?? (shorthand && shorthands[shorthand]) ?? seriesMetric(values);
  const metric = named ?? profile?.metric ?? defaultMetric;
  const activationMetric = values.activationMetricType ?? profile?.activationMetric ?? metric;
  return {
    metric,
    target:
      values.targetValue ?? (shorthand && values[shorthand]) ?? profile?.target ?? defaultTarget,
    activationMetric,
    activationThreshold: values.activationThreshold ?? profileThreshold(activationMetric, profile),
  };
}

/** A series that is named decides on the size, unless it is asked for to decide on activity. */
function seriesMetric({ engineMetric, activationMetricType }: TriggerValues) {
  return engineMetric === undefined || activationMetricType === "engine_metric"
    ? undefined
    : "engine_metric";
}

/** A threshold in another unit than the profile's would be a number that nobody chose. */
function profileThreshold(metric: MetricName, profile: Profile | undefined): number {
  if (profile === undefined) return 0;
  const { activationMetric = profile.metric, activationThreshold } = profile;
  return hasUnitOf(metric, activationMetric) ? activationThreshold : 0;
}

export function hasUnitOf(one: MetricName, other: MetricName): boolean {
  return metricOf(one).unit === metricOf(other).unit;
}
