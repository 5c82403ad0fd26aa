import type { Adapter } from "#engine/adapters/adapter.ts";
import { canonicalName } from "#engine/page/name-filter.ts";
import type { Labels } from "#engine/page/series.ts";
import type { SignalName } from "#metric/catalogue.ts";
import { gauge, namesOf, type SignalTerms, type Term } from "./term.ts";

/** A condition on one label. A label that a series lacks is the empty text, as in PromQL. */
export interface Matcher {
  readonly label: string;
  readonly op: "=" | "!=";
  readonly value: string;
}

/** A metric that the user named, on any Prometheus page. */
export interface NamedMetric {
  /** As the page spells it. */
  readonly metric: string;
  /**
   * `rate` for counters. Absent: by the page's `# TYPE`, and without one by the name, of which
   * `_total`, `_sum` and `_count` end counters.
   */
  readonly as?: "gauge" | "rate";
  /** How several series become one number; the default is `sum`. */
  readonly reduce?: "sum" | "mean" | "max";
}

/** What is wanted of a target. */
export interface SignalQuery {
  readonly signal: SignalName | NamedMetric;
  /** 0: the newest value of a gauge, and 60 s for rates, means and quantiles. */
  readonly windowMs: number;
  readonly match: readonly Matcher[];
  /**
   * Triton's ensembles, whose requests are counted again at their parts; empty when there are none.
   * Absent: unknown, and then counters of several models are not added up.
   */
  readonly ensembles?: readonly string[];
}

/** A stable text for an ask, to remember things under. */
export function queryKey({ signal, windowMs, match, ensembles }: SignalQuery): string {
  return JSON.stringify([signal, windowMs, match, ensembles]);
}

export function matches(labels: Labels, match: readonly Matcher[]): boolean {
  return match.every(({ label, op, value }) => ((labels[label] ?? "") === value) === (op === "="));
}

/** What signal an ask is for, in words. */
export function signalText({ signal }: SignalQuery): string {
  return typeof signal === "string" ? signal : signal.metric;
}

/**
 * The ways to make what is asked, at this engine; empty when it does not export it.
 *
 * @param types The page's `# TYPE`s, for a metric named by the user.
 */
export function termsOf(
  { signal }: SignalQuery,
  signals: SignalTerms,
  types: ReadonlyMap<string, string> = new Map(),
): readonly Term[] {
  if (typeof signal === "string") return signals[signal] ?? [];
  const name = canonicalName(signal.metric);
  const { as = kindOf(name, types), reduce = "sum" } = signal;
  return as === "rate" ? [{ kind: "rate", names: [name] }] : [{ ...gauge(name), reduce }];
}

/** A counter taken for a gauge would only ever grow, and the workload with it. */
function kindOf(name: string, types: ReadonlyMap<string, string>): "gauge" | "rate" {
  const type = types.get(name);
  if (type === "counter") return "rate";
  return type === undefined && /_(total|sum|count)$/.test(name) ? "rate" : "gauge";
}

const guards = ["queue_depth", "running_requests"] as const;

/**
 * Every name that must be on the page's allow-list to answer the asks: with the engine unknown,
 * those of all engines.
 */
export function wantedNames(
  asks: readonly SignalQuery[],
  among: readonly Adapter[],
): ReadonlySet<string> {
  const names = new Set([processStart]);
  for (const { signals } of among) {
    const guarding = guards.flatMap((guard) => signals[guard] ?? []);
    for (const ask of asks)
      for (const term of [...termsOf(ask, signals), ...guarding])
        for (const name of namesOf(term)) names.add(name);
  }
  return names;
}
export const processStart = "process_start_time_seconds";
