/**
 * What can be read of a target: a signal, over a window, of the series that matchers select.
 *
 * @module
 */
import type { Adapter } from "#engine/adapters/adapter.ts";
import { type LabelMatcher, seriesText } from "#metric/engines.ts";
import { type AskedSignal, activityFormulas, formulasOf, waitingSignal } from "./asked.ts";
import { namesOf } from "./formula.ts";

export interface SignalQuery {
  readonly signal: AskedSignal;
  /** 0: the newest value of a gauge, and 60 s for rates, means and quantiles. */
  readonly windowMs: number;
  readonly match: readonly LabelMatcher[];
  /**
   * Triton's ensembles, whose requests are counted again at the models they are made of; empty when
   * there are none. Absent: unknown, and then counters of several models are not added up.
   */
  readonly ensembles?: readonly string[] | undefined;
}

/** A stable text for a query: equal queries have equal keys. */
export function queryKey({ signal, windowMs, match, ensembles }: SignalQuery): string {
  return JSON.stringify([signal, windowMs, match, ensembles]);
}

/** The signal's name, as the user wrote it; `activity` for what nobody wrote. */
export function signalText({ signal }: SignalQuery): string {
  return typeof signal === "string" ? signal : seriesText(signal);
}

/**
 * Every name that must be read from the page for these queries: with the engine unknown, those of
 * all engines.
 */
export function queryNames(
  queries: readonly SignalQuery[],
  adapters: readonly Adapter[],
): ReadonlySet<string> {
  const names = new Set([processStart]);
  for (const { signals } of adapters) {
    // They also tell what an engine does while it observes no latency, and how full its cache is.
    const always = [...activityFormulas(signals), ...(signals.kv_cache_usage ?? [])];
    for (const { signal } of queries)
      for (const formula of [
        ...formulasOf(signal, signals),
        ...formulasOf(waitingSignal(signal), signals),
        ...always,
      ])
        for (const name of namesOf(formula)) names.add(name);
  }
  return names;
}
export const processStart = "process_start_time_seconds";
