/**
 * What can be asked of an engine, and the formulas that answer it.
 *
 * @module
 */
import type { SignalName } from "#metric/catalogue.ts";
import {
  isQuantile,
  type SeriesKind,
  type SeriesReducer,
  seriesQuantiles,
} from "#metric/engines.ts";
import { type Formula, gauge, type SignalFormulas, type SingleFormula } from "./formula.ts";

/** Signals that tell of use; `concurrency` is what waits and what runs in one. */
const activitySignals = [
  "concurrency",
  "queue_depth",
  "running_requests",
  "request_rate",
] as const satisfies readonly SignalName[];
export type ActivitySignal = (typeof activitySignals)[number];

/** What is read to know whether an engine is in use, and whether its latencies stand still. */
export function activityFormulas(signals: SignalFormulas): readonly Formula[] {
  return activitySignals.flatMap((signal) => signals[signal] ?? []);
}

/** The requests whose waiting shows that a latency is at least that long. */
export function waitingSignal(signal: AskedSignal): "queue_depth" | "kv_transfer_requests" {
  return signal === "kv_transfer_p95_ms" ? "kv_transfer_requests" : "queue_depth";
}

/** What can be asked of an engine: `activity` is whether anything waits, runs or arrives there. */
export type AskedSignal = SignalName | NamedMetric | "activity";

/** A metric that the user named, on any Prometheus page. */
export interface NamedMetric {
  /** As the page spells it. */
  readonly metric: string;
  /**
   * Absent: by the page's `# TYPE`, and where that does not say it by the name, of which `_total`,
   * `_sum`, `_count` and `_bucket` end counters.
   */
  readonly kind?: SeriesKind | undefined;
  /** How several series become one number; the default is `sum`. Quantiles are of a histogram. */
  readonly reduce?: SeriesReducer | undefined;
}

/**
 * The formulas for a signal at one engine, in the order to try; none when it does not export it.
 *
 * @param types The page's `# TYPE`s, for a metric that the user named.
 */
export function formulasOf(
  signal: AskedSignal,
  signals: SignalFormulas,
  types: ReadonlyMap<string, string> = new Map(),
): readonly Formula[] {
  if (signal === "activity") return activityFormulas(signals);
  if (typeof signal === "string") return signals[signal] ?? [];
  return [namedFormula(signal, types)];
}

function namedFormula(
  { metric, kind, reduce = "sum" }: NamedMetric,
  types: ReadonlyMap<string, string>,
): SingleFormula {
  if (isQuantile(reduce))
    return { kind: "quantile", names: [metric], q: seriesQuantiles[reduce], scale: 1, lazy: {} };
  return (kind ?? kindOf(metric, types)) === "counter"
    ? { kind: "rate", names: [metric], lazy: {} }
    : { ...gauge(metric), reduce };
}

/** A counter taken for a gauge would only ever grow, and the workload with it. */
function kindOf(name: string, types: ReadonlyMap<string, string>): "gauge" | "counter" {
  const type = types.get(name);
  if (type === "counter" || type === "gauge") return type;
  return /_(total|sum|count|bucket)$/.test(name) ? "counter" : "gauge";
}
