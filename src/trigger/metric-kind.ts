import { type MetricKind, type MetricName, metricOf } from "#metric/catalogue.ts";
import { isQuantile } from "#metric/engines.ts";
import type { Trigger } from "./trigger.ts";

/**
 * Whether a trigger's metric adds up over replicas. A series that the trigger names is taken to, but
 * a quantile and a ratio do not, and nor does what a process made of its own observations, a summary.
 */
export function metricKind(
  metric: MetricName,
  { engineMetric, engineLabels = [] }: Pick<Trigger, "engineMetric" | "engineLabels">,
): MetricKind {
  const { kind } = metricOf(metric);
  if (metric !== "engine_metric" || engineMetric === undefined) return kind;
  const isOfSummary = engineLabels.some(({ label, op }) => label === "quantile" && op === "=");
  const { denominator, reduce } = engineMetric;
  return denominator !== undefined || isQuantile(reduce) || isOfSummary ? "intensity" : kind;
}
