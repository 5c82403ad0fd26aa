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
import { isLatency } from "#metric/catalogue.ts";
import { averageNames, averageResult, histogramResult, rateResult } from "./counters.ts";
import {
  type Formula,
  formulasOf,
  type GaugeFormula,
  namesOf,
  type RatioFormula,
  type SingleFormula,
  type SumFormula,
} from "./formula.ts";
import {
  firstOnPage,
  type QueryContext,
  type Scrape,
  selectedSeries,
  seriesOnPage,
  valueIn,
  windowOf,
} from "./history.ts";
import { type LatencyState, latencyResult, latencyStateAfter } from "./latency.ts";
import { notFound, notOffered, refusalOf } from "./no-value.ts";
import { type SignalQuery, signalText } from "./query.ts";
import type { SignalResult } from "./result.ts";

export interface Evaluation {
  readonly result: SignalResult;
  /** For the next scrape's evaluation. */
  readonly latency: LatencyState;
}

/** @param latency Of the scrape before. */
export function evaluate(context: QueryContext, latency: LatencyState): Evaluation {
  const { query, newest } = context;
  const observed = signalResult(context);
  if (!isOfLatency(query)) return { result: observed, latency };
  const load = {
    waiting: gaugeNow(context, "queue_depth"),
    running: () => gaugeNow(context, "running_requests"),
  };
  const next = latencyStateAfter(latency, observed, load, newest.atMs);
  return { result: latencyResult(observed, next, load, newest.atMs), latency: next };
}

/** How long scrapes are kept for a query: few requests widen the window of a latency. */
export function retentionMs(query: SignalQuery, intervalMs: number): number {
  const widestMs = isOfLatency(query) ? widestWindowMs : counterWindowMs;
  return Math.max(query.windowMs, widestMs) + 2 * intervalMs;
}

function isOfLatency({ signal }: SignalQuery): boolean {
  return typeof signal === "string" && isLatency(signal);
}

/** @returns `undefined` when this engine does not say, or not now. */
function gaugeNow(
  context: QueryContext,
  signal: "queue_depth" | "running_requests",
): number | undefined {
  const query: SignalQuery = { ...context.query, signal, windowMs: 0 };
  const result = signalResult({ ...context, query });
  return "value" in result ? result.value : undefined;
}

function signalResult(context: QueryContext): SignalResult {
  const { adapter, history, newest, query } = context;
  const formulas = formulasOf(query.signal, adapter.signals, history.types);
  if (formulas.length === 0) return notOffered(context);
  if (!formulas.flatMap(namesOf).every((name) => newest.filter.has(name)))
    return { reason: "pending", why: "it was not looked for yet" };
  const refusal = refusalOf(context, formulas);
  if (refusal !== undefined) return refusal;
  const formula = applicable(context, formulas);
  if (formula === undefined) return notFound(context, formulas);
  return possible(formulaResult(context, formula), signalText(query));
}

/** Counts, shares and times are never negative and always finite. */
function possible(result: SignalResult, signal: string): SignalResult {
  return "value" in result && !(result.value >= 0 && Number.isFinite(result.value))
    ? { reason: "no-samples", why: `its ${signal} is ${result.value}, which cannot be` }
    : result;
}

/** `zero`: absent because nothing has happened yet. */
type Presence = "present" | "zero" | "absent";

function applicable(context: QueryContext, formulas: readonly Formula[]): Formula | undefined {
  let zero: Formula | undefined;
  for (const formula of formulas) {
    const presence = presenceOf(context, formula);
    if (presence === "present") return formula;
    if (presence === "zero") zero ??= formula;
  }
  return zero;
}

function presenceOf(context: QueryContext, formula: Formula): Presence {
  if (formula.kind === "sum") {
    const presences = formula.terms.map((term) => presenceOf(context, term));
    if (presences.includes("absent")) return "absent";
    return presences.includes("present") ? "present" : "zero";
  }
  // A share of something that is not there is no share of 0.
  if (formula.kind === "ratio" && firstOnPage(context, [formula.denominator]) === undefined)
    return "absent";
  if (isPresent(context, formula)) return "present";
  return isZero(context, formula) ? "zero" : "absent";
}

function isPresent(context: QueryContext, formula: SingleFormula): boolean {
  switch (formula.kind) {
    case "gauge":
      return gaugeSeries(context, formula).length > 0;
    case "average":
      return averageNames(context, formula) !== undefined;
    case "quantile":
      return firstOnPage(context, formula.names, "_bucket") !== undefined;
    case "rate":
    case "ratio":
      return firstOnPage(context, formula.names) !== undefined;
  }
}

function isZero(context: QueryContext, { lazy }: SingleFormula): boolean {
  const isOnPage = (name: string) => seriesOnPage(context, name).length > 0;
  if (typeof lazy !== "object") return lazy === true;
  return "ifPresent" in lazy ? isOnPage(lazy.ifPresent) : !lazy.unlessPresent.some(isOnPage);
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
    case "sum":
      return sumResult(context, formula);
  }
}

function gaugeResult(context: QueryContext, formula: GaugeFormula): SignalResult {
  const { history, query } = context;
  const series = newestCopies(context, gaugeSeries(context, formula));
  const scrapes = windowOf(history, query.windowMs, 0);
  const values = scrapes.flatMap((scrape) => reducedValue(formula, scrape, series) ?? []);
  // Scrapes are evenly apart, so that their plain mean is the mean over time.
  return { value: (total(values) / values.length) * formula.scale };
}

/**
 * The series of the first name that the newest page has any of. A gauge's labels are all there from
 * the start, so unlike a counter's it is absent when none passes `where`.
 */
function gaugeSeries(
  context: QueryContext,
  { names, where = () => true }: GaugeFormula,
): readonly Series[] {
  for (const name of names) {
    const series = selectedSeries(context, name).filter(({ labels }) => where(labels));
    if (series.some((one) => valueIn(context.newest, one) !== undefined)) return series;
  }
  return [];
}

/** @returns `undefined` when the scrape has none of the series, and that does not mean 0. */
function reducedValue(
  { reduce, lazy }: GaugeFormula,
  scrape: Scrape,
  series: readonly Series[],
): number | undefined {
  const values = series.flatMap((one) => valueIn(scrape, one) ?? []);
  if (values.length === 0) return lazy === undefined ? undefined : 0;
  if (reduce === "max") return Math.max(...values);
  return reduce === "mean" ? total(values) / values.length : total(values);
}

/** Of gauges that several processes print, the newest process' one. */
function newestCopies(
  { adapter, newest }: QueryContext,
  series: readonly Series[],
): readonly Series[] {
  const { copyLabel } = adapter;
  if (copyLabel === undefined) return series;
  const copies = Map.groupBy(
    series.filter((one) => valueIn(newest, one) !== undefined),
    ({ labels }) =>
      JSON.stringify(
        Object.entries(labels)
          .filter(([label]) => label !== copyLabel)
          .sort(),
      ),
  );
  const age = ({ labels }: Series) => Number(labels[copyLabel] ?? 0);
  return [...copies.values()].flatMap((group) =>
    group.toSorted((one, other) => age(other) - age(one)).slice(0, 1),
  );
}

function ratioResult(context: QueryContext, formula: RatioFormula): SignalResult {
  const { names, denominator, scale } = formula;
  const sumOf = (name: string) =>
    total(selectedSeries(context, name).map((series) => valueIn(context.newest, series) ?? 0));
  const whole = sumOf(denominator);
  return whole > 0
    ? { value: (sumOf(names[0] ?? "") / whole) * scale }
    : { reason: "no-samples", why: `its ${denominator} is ${whole}` };
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

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
