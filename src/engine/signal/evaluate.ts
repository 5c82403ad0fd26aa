/**
 * From the scrapes of one target to the number that a query means. Pure.
 *
 * The first formula whose names the newest page has makes the value. Where there is none, a formula
 * of a lazy exporter makes a true 0; else there is a reason for no value.
 *
 * @module
 */
import { counterWindowMs, widestWindowMs } from "#core/limits.ts";
import type { Series } from "#engine/page/series.ts";
import { isLatency, type SignalName } from "#metric/catalogue.ts";
import { activityResult } from "./activity.ts";
import { formulasOf, waitingSignal } from "./asked.ts";
import { averageResult, counterWindowOf, histogramResult, rateResult } from "./counters.ts";
import {
  type Formula,
  type GaugeFormula,
  namesOf,
  type RateFormula,
  type RatioFormula,
  type SumFormula,
} from "./formula.ts";
import { type QueryContext, type Scrape, valueIn, windowOf } from "./history.ts";
import { labelListResult } from "./label-list.ts";
import { type LatencyState, latencyResult, latencyStateAfter } from "./latency.ts";
import { isOfEvents } from "./named.ts";
import { notFound, notOffered, refusalOf } from "./no-value.ts";
import { applicable, gaugeSeries, isPresent, unusableSeries } from "./presence.ts";
import { type SignalQuery, signalText } from "./query.ts";
import { meanResult, type SignalResult } from "./result.ts";
import { firstOnPage, newestCopies, selectedSeries } from "./selection.ts";
import { standstillResult } from "./standstill.ts";

export interface Evaluation {
  readonly result: SignalResult;
  /** For the next scrape's evaluation. */
  readonly latency: LatencyState;
}

/** @param latency Of the scrape before. */
export function evaluate(context: QueryContext, latency: LatencyState): Evaluation {
  const { query, newest, choice } = context;
  const result = signalResult(context);
  const why = choice.refusal();
  const observed: SignalResult = why === undefined ? result : { reason: "refused", why };
  const { signal } = query;
  const isNamed = typeof signal !== "string";
  if (isNamed ? !isOfEvents(signal) : !isOfLatency(query)) return { result: observed, latency };
  const load = {
    waiting: valueNow(context, waitingSignal(query.signal)),
    // An engine that does not say what runs says what arrives.
    running: () => valueNow(context, "running_requests") ?? valueNow(context, "request_rate"),
  };
  if (isNamed) {
    const formulas = formulasOf(signal, context.adapter.signals, context.history.types);
    return { result: standstillResult(context, observed, formulas, load), latency };
  }
  const next = latencyStateAfter(latency, observed, load, newest.atMs);
  return { result: latencyResult(observed, next, load, newest.atMs), latency: next };
}

/** How long scrapes are kept for a query: few requests widen the window of a latency. */
export function retentionMs(query: SignalQuery, intervalMs: number): number {
  const { signal } = query;
  const isWidened = typeof signal === "string" ? isOfLatency(query) : isOfEvents(signal);
  const widestMs = isWidened ? widestWindowMs : counterWindowMs;
  return Math.max(query.windowMs, widestMs) + 2 * intervalMs;
}

function isOfLatency({ signal }: SignalQuery): boolean {
  return typeof signal === "string" && signal !== "activity" && isLatency(signal);
}

/** @returns `undefined` when this engine does not say, or not now. */
function valueNow(context: QueryContext, signal: SignalName): number | undefined {
  const result = resultNow(context, signal);
  return "value" in result ? result.value : undefined;
}

function resultNow(context: QueryContext, signal: SignalName): SignalResult {
  return signalResult({ ...context, query: { ...context.query, signal, windowMs: 0 } });
}

function signalResult(context: QueryContext): SignalResult {
  const { adapter, history, newest, query } = context;
  if (query.signal === "activity") return activityResult((signal) => resultNow(context, signal));
  const formulas = formulasOf(query.signal, adapter.signals, history.types);
  if (formulas.length === 0) return notOffered(context);
  if (!formulas.flatMap(namesOf).every((name) => newest.filter.has(name)))
    return { reason: "pending", why: "it was not looked for yet" };
  const refusal = refusalOf(context, formulas);
  if (refusal !== undefined) return refusal;
  const formula = applicable(context, formulas);
  if (formula === undefined) return newest.noNumber ?? notFound(context, formulas);
  const unusable = unusableSeries(context, formula);
  if (unusable !== undefined) return unusable;
  return possible(formulaResult(context, formula), signalText(query));
}

/** Counts, shares and times are never negative and always finite. */
function possible(result: SignalResult, signal: string): SignalResult {
  return "value" in result && !(result.value >= 0 && Number.isFinite(result.value))
    ? { reason: "no-samples", why: `its ${signal} is ${result.value}, which cannot be` }
    : result;
}

function formulaResult(context: QueryContext, formula: Formula): SignalResult {
  switch (formula.kind) {
    case "gauge":
      return gaugeResult(context, formula);
    case "rate":
      return rateResult(context, formula);
    case "ratio":
      return ratioResult(context, formula);
    case "average":
      return averageResult(context, formula);
    case "quantile":
      return histogramResult(context, formula);
    case "label-list":
      return labelListResult(context, formula);
    case "sum":
      return sumResult(context, formula);
  }
}

function gaugeResult(context: QueryContext, formula: GaugeFormula): SignalResult {
  const { history, query } = context;
  const series = newestCopies(context, gaugeSeries(context, formula));
  const counted = selectedSeries(context, firstOnPage(context, formula.meanOver ?? []) ?? "");
  const scrapes = windowOf(history, query.windowMs);
  const values = scrapes.flatMap((scrape) => {
    const value = reducedValue(formula, scrape, series);
    if (value === undefined) return [];
    return formula.meanOver === undefined ? value : value * totalIn(scrape, counted);
  });
  const { scale, ownShare = 0 } = formula;
  // Scrapes are evenly apart, so that their plain mean is the mean over time.
  const mean = total(values) / values.length;
  // A number below 0 is none that can be, and no 0.
  return { value: (mean < 0 ? mean : Math.max(0, mean - ownShare)) * scale };
}

/** @returns `undefined` when the scrape has none of the series, and that does not mean 0. */
function reducedValue(
  { reduce, lazy }: GaugeFormula,
  scrape: Scrape,
  series: readonly Series[],
): number | undefined {
  if (series.some(({ id }) => scrape.notFinite?.has(id))) return undefined;
  const values = series.flatMap((one) => valueIn(scrape, one) ?? []);
  if (values.length === 0) return lazy === undefined ? undefined : 0;
  if (reduce === "max") return Math.max(...values);
  return reduce === "mean" ? total(values) / values.length : total(values);
}

/** Widens the window of counters while there is nothing to divide by. */
function ratioResult(context: QueryContext, formula: RatioFormula): SignalResult {
  const { numerator, denominator, scale } = formula;
  const isWidened = denominator.kind === "rate";
  let windowMs = counterWindowOf(context);
  for (;;) {
    const termResult = (term: GaugeFormula | RateFormula) =>
      term.kind === "rate" ? rateResult(context, term, windowMs) : gaugeResult(context, term);
    const part = termResult(numerator);
    const whole = termResult(denominator);
    if (!("value" in part)) return part;
    if (!("value" in whole)) return whole;
    const counted = { sum: part.value, count: whole.value, scale };
    if (whole.value > 0) return meanResult(counted);
    if (!isWidened || windowMs >= widestWindowMs)
      return {
        reason: "no-samples",
        why: `its ${firstOnPage(context, denominator.names) ?? denominator.names[0]} is 0`,
        observations: { kind: "mean", ...counted },
      };
    windowMs = Math.min(windowMs * 2, widestWindowMs);
  }
}

function sumResult(context: QueryContext, { terms, optional }: SumFormula): SignalResult {
  let value = 0;
  const present = optional.filter((term) => isPresent(context, term));
  for (const term of [...terms, ...present]) {
    const result = formulaResult(context, term);
    if (!("value" in result)) return result;
    value += result.value;
  }
  return { value };
}

function totalIn(scrape: Scrape, series: readonly Series[]): number {
  return total(series.map((one) => valueIn(scrape, one) ?? 0));
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
