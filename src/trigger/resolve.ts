/**
 * What a trigger compares with what: its metric and target, and what decides between none and one;
 * and which engine has it.
 *
 * @module
 */
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import {
  type EngineName,
  isQuantile,
  type NamedSeries,
  type SeriesKind,
  type SeriesReducer,
  seriesQuantiles,
  seriesText,
} from "#metric/engines.ts";
import type { ParsedMetadata, TriggerValues } from "./keys.ts";
import type { Profile } from "./profiles.ts";

export const defaultMetric: MetricName = "gpu_utilization";

/** Keys that stand for a metric and its target at once. */
export const shorthands = {
  targetGpuUtilization: "gpu_utilization",
  targetMemoryUtilization: "memory_used_percent",
} as const satisfies Partial<Record<keyof TriggerValues, MetricName>>;
export const shorthandNames = Object.keys(shorthands) as (keyof typeof shorthands)[];

/** Keys that give a URL in place of the pods, and the engine that each means. */
export const endpointEngines = {
  endpoint: undefined,
  vllmEndpoint: "vllm",
  tritonEndpoint: "triton",
} as const satisfies Partial<Record<keyof TriggerValues, EngineName | undefined>>;
export const endpointNames = Object.keys(endpointEngines) as (keyof typeof endpointEngines)[];

export interface ResolvedMetrics {
  readonly metric: MetricName;
  /** In the metric's unit. */
  readonly target: number;
  readonly activationMetric: MetricName;
  /** In the unit of `activationMetric`. */
  readonly activationThreshold: number;
  /** The URL that `endpoint`, `vllmEndpoint` or `tritonEndpoint` gave. */
  readonly endpoint?: string | undefined;
  /** Absent: found out from the pods' pages. */
  readonly engine?: EngineName | undefined;
}

/** Metadata beside what it resolves to; both leave out the keys whose own rule is broken. */
export interface ResolvedMetadata extends ParsedMetadata {
  readonly profile: Profile | undefined;
  readonly resolved: ResolvedMetrics;
}

/** The keys decide, then the shorthand, then `engineMetric`, then the profile, then the defaults. */
export function resolveMetrics(
  values: TriggerValues,
  profile: Profile | undefined,
): ResolvedMetrics {
  const shorthand = shorthandNames.find((name) => values[name] !== undefined);
  const named = values.metricType ?? (shorthand && shorthands[shorthand]) ?? seriesMetric(values);
  const metric = named ?? profile?.metric ?? defaultMetric;
  const activationMetric = values.activationMetricType ?? profile?.activationMetric ?? metric;
  const endpoint = endpointNames.find((name) => values[name] !== undefined);
  return {
    metric,
    // The default is a percentage: any other metric must be given a target.
    target: values.targetValue ?? (shorthand && values[shorthand]) ?? profile?.target ?? 80,
    activationMetric,
    activationThreshold: values.activationThreshold ?? profileThreshold(activationMetric, profile),
    endpoint: endpoint && values[endpoint],
    engine:
      values.engine ??
      (endpoint && endpointEngines[endpoint]) ??
      (values.engineJsonPath === undefined ? undefined : "json") ??
      profile?.engine ??
      (endpoint && readsSeriesAlone([metric, activationMetric]) ? "prometheus" : undefined),
  };
}

/** A page that is read for a series by its name may be anybody's. */
function readsSeriesAlone(metrics: readonly MetricName[]): boolean {
  const read = metrics.filter((name) => metricOf(name).source === "engine");
  return read.length > 0 && read.every((name) => name === "engine_metric");
}

/** What a series is said to be, against how it is to become one value. */
export function kindProblem(
  series: NamedSeries | undefined,
  kind: SeriesKind | undefined,
  reduce: SeriesReducer | undefined,
): string | undefined {
  const quantiles = Object.keys(seriesQuantiles).join(", ");
  const isOfHistogram = reduce !== undefined && isQuantile(reduce);
  const ratio = series?.denominator === undefined ? undefined : seriesText(series);
  if (ratio !== undefined && isOfHistogram)
    return `engineReduce: ${reduce} is of one histogram, got the ratio ${ratio}`;
  if (ratio !== undefined && kind === "histogram")
    return `engineMetricKind: must be gauge or counter for the ratio ${ratio}, got histogram`;
  if (kind === "histogram" && !isOfHistogram)
    return `engineReduce: must be one of ${quantiles} for engineMetricKind histogram`;
  if (kind !== undefined && kind !== "histogram" && isOfHistogram)
    return `engineReduce: ${reduce} means engineMetricKind histogram, got ${kind}`;
  if (kind === "counter" && (reduce === "mean" || reduce === "max"))
    return `engineReduce: must be sum for engineMetricKind counter, got ${reduce}`;
  return undefined;
}

/** A series that is named decides on the size, unless it is to decide on activity. */
function seriesMetric({ engineMetric, engineJsonPath, activationMetricType }: TriggerValues) {
  const isNamed = engineMetric !== undefined || engineJsonPath !== undefined;
  return isNamed && activationMetricType !== "engine_metric" ? "engine_metric" : undefined;
}

/** How series become one value; a count is of values of a page in JSON. */
export function seriesReduce({ engineReduce }: TriggerValues): SeriesReducer | undefined {
  return engineReduce === "count" ? undefined : engineReduce;
}

/** A threshold in another unit than the profile's would be a number that nobody chose. */
function profileThreshold(metric: MetricName, profile: Profile | undefined): number {
  if (profile === undefined) return 0;
  const { activationMetric = profile.metric, activationThreshold } = profile;
  return haveSameUnit(metric, activationMetric) ? activationThreshold : 0;
}

/** The name under which KEDA registers a metric that is given no other. */
export function defaultMetricName(metric: MetricName): string {
  const name = metric.replaceAll("_", "-");
  return name.startsWith("gpu-") ? name : `gpu-${name}`;
}

export function haveSameUnit(one: MetricName, other: MetricName): boolean {
  return metricOf(one).unit === metricOf(other).unit;
}
