/**
 * A named quantile or ratio of an engine in which nothing happens: no observation, or 0 for each of
 * 0.
 *
 * Prometheus says NaN. For a replica that is no value, and one without a value is never removed, so
 * that an idle engine would be held for ever. An engine that says that nothing waits and nothing
 * runs is idle, and its value 0; one in which something waits or runs may be stuck, and has none. A
 * page that says neither is believed when its series have stood still for as long as any window is.
 *
 * @module
 */
import { widestWindowMs } from "#core/limits.ts";
import { type Formula, namesOf } from "./formula.ts";
import { type QueryContext, type Scrape, valueIn } from "./history.ts";
import type { EngineLoad } from "./latency.ts";
import type { Observations, SignalResult } from "./result.ts";
import { selectedSeries } from "./selection.ts";

/** @returns What was observed, or 0 of an engine that is idle. */
export function standstillResult(
  context: QueryContext,
  observed: SignalResult,
  formulas: readonly Formula[],
  { waiting, running }: EngineLoad,
): SignalResult {
  if ("value" in observed || observed.reason !== "no-samples") return observed;
  const { observations } = observed;
  if (observations === undefined) return observed;
  const [queued, inside] = [waiting, running()];
  if ((queued ?? 0) > 0 || (inside ?? 0) > 0) return observed;
  const isIdle = queued === 0 && inside === 0;
  // Of a few observations, too few for a quantile, nothing is to be awaited in an idle engine.
  const isNothing = isEmpty(observations) || (isIdle && observations.kind === "buckets");
  return isNothing && (isIdle || unchangedMs(context, formulas) >= widestWindowMs)
    ? { value: 0, queueState: "idle" }
    : observed;
}

function isEmpty(observations: Observations): boolean {
  return observations.kind === "mean"
    ? observations.sum === 0 && observations.count === 0
    : observations.buckets.every(({ count }) => count === 0);
}

/** For how long all that is read has had its newest value, as far as scrapes are kept. */
function unchangedMs(context: QueryContext, formulas: readonly Formula[]): number {
  const { history, newest } = context;
  const names = formulas.flatMap(namesOf);
  const series = names.flatMap((name) => selectedSeries(context, name));
  const isSame = (scrape: Scrape) =>
    names.every((name) => scrape.filter.has(name)) &&
    series.every((one) => valueIn(scrape, one) === valueIn(newest, one));
  const changed = history.scrapes.findLastIndex((scrape) => !isSame(scrape));
  return newest.atMs - (history.scrapes[changed + 1] ?? newest).atMs;
}
