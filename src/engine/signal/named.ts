/**
 * Metrics that a trigger names itself: a series of a page, a quantile of a histogram, or one series
 * for each of another.
 *
 * @module
 */
import {
  isQuantile,
  type NamedSeries,
  type SeriesKind,
  type SeriesReducer,
  seriesQuantiles,
} from "#metric/engines.ts";
import { type Formula, type GaugeFormula, gauge, type RateFormula } from "./formula.ts";

/** A metric that the user named, on any Prometheus page. */
export interface NamedMetric extends NamedSeries {
  /**
   * Of both. Absent: of each by the page's `# TYPE`, and where that does not say it by the name, of
   * which `_total`, `_sum`, `_count` and `_bucket` end counters.
   */
  readonly kind?: SeriesKind | undefined;
  /** How several series become one number; the default is `sum`. Quantiles are of a histogram. */
  readonly reduce?: SeriesReducer | undefined;
}

/** @param types The page's `# TYPE`s. */
export function namedFormula(named: NamedMetric, types: ReadonlyMap<string, string>): Formula {
  const { metric, denominator, reduce = "sum" } = named;
  if (isQuantile(reduce)) {
    const names = [...new Set([metric, histogramName(metric)])];
    return { kind: "quantile", names, q: seriesQuantiles[reduce], scale: 1, lazy: {} };
  }
  const term = (name: string): GaugeFormula | RateFormula =>
    namedKind(named, name, types) === "counter"
      ? { kind: "rate", names: [name], lazy: {} }
      : { ...gauge(name), reduce };
  return denominator === undefined
    ? term(metric)
    : { kind: "ratio", numerator: term(metric), denominator: term(denominator), scale: 1 };
}

/** A histogram is also known by the name of its buckets. */
export function histogramName(metric: string): string {
  return metric.replace(/_bucket$/, "");
}

/** A counter taken for a gauge would only ever grow, and the workload with it. */
export function namedKind(
  { kind }: NamedMetric,
  name: string,
  types: ReadonlyMap<string, string>,
): SeriesKind {
  const type = types.get(name);
  if (kind !== undefined) return kind;
  if (type === "counter" || type === "gauge") return type;
  return /_(total|sum|count|bucket)$/.test(name) ? "counter" : "gauge";
}

/** Whether it is made of events, so that an engine where none happens says nothing of it. */
export function isOfEvents({ denominator, reduce = "sum" }: NamedMetric): boolean {
  return denominator !== undefined || isQuantile(reduce);
}
