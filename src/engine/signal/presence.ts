/**
 * What the newest page has of a formula: its series, nothing yet, or nothing at all.
 *
 * @module
 */
import type { Series } from "#engine/page/series.ts";
import { averageNames } from "./counters.ts";
import {
  declaredNames,
  type Formula,
  type GaugeFormula,
  type SingleFormula,
  termsOf,
} from "./formula.ts";
import { isIn, type QueryContext } from "./history.ts";
import type { SignalResult } from "./result.ts";
import { firstOnPage, isDeclared, selectedSeries, seriesOnPage } from "./selection.ts";

/** What a page gives as NaN or infinite is no number, and not absent either. */
export function unusableSeries(context: QueryContext, formula: Formula): SignalResult | undefined {
  const { notFinite } = context.newest;
  if (notFinite === undefined || notFinite.size === 0) return undefined;
  const read = seriesOf(context, formula);
  const series = read.find(({ id }) => notFinite.has(id));
  return (
    series && { reason: "no-samples", why: `its ${series.spelling} is ${notFinite.get(series.id)}` }
  );
}

/** The series of the newest page that a formula reads, but for a histogram's. */
function seriesOf(context: QueryContext, formula: Formula): readonly Series[] {
  const ofFirst = (names: readonly string[]) =>
    selectedSeries(context, firstOnPage(context, names) ?? "");
  switch (formula.kind) {
    case "gauge":
      return [...gaugeSeries(context, formula), ...ofFirst(formula.meanOver ?? [])];
    case "rate":
    case "label-list":
      return ofFirst(formula.names);
    case "average":
      return (averageNames(context, formula) ?? []).flatMap((name) => ofFirst([name]));
    case "quantile":
      return [];
    case "sum":
    case "ratio":
      return termsOf(formula).flatMap((term) => seriesOf(context, term));
  }
}

/** `zero`: absent because nothing has happened yet. */
type Presence = "present" | "zero" | "absent";

export function applicable(
  context: QueryContext,
  formulas: readonly Formula[],
): Formula | undefined {
  let zero: Formula | undefined;
  for (const formula of formulas) {
    const presence = presenceOf(context, formula);
    if (presence === "present") return formula;
    if (presence === "zero") zero ??= formula;
  }
  return zero;
}

function presenceOf(context: QueryContext, formula: Formula): Presence {
  if (formula.kind === "sum" || formula.kind === "ratio") {
    const needed = formula.kind === "sum" ? formula.terms : termsOf(formula);
    const presences = needed.map((term) => presenceOf(context, term));
    if (presences.includes("absent")) return "absent";
    return presences.includes("present") ? "present" : "zero";
  }
  if (!isKeptUp(context, formula)) return "absent";
  if (isPresent(context, formula)) return "present";
  return isZero(context, formula) ? "zero" : "absent";
}

export function isPresent(context: QueryContext, formula: SingleFormula): boolean {
  switch (formula.kind) {
    case "gauge":
      return (
        gaugeSeries(context, formula).length > 0 &&
        (formula.meanOver === undefined || firstOnPage(context, formula.meanOver) !== undefined)
      );
    case "average":
      return averageNames(context, formula) !== undefined;
    case "quantile":
      return firstOnPage(context, formula.names, "_bucket") !== undefined;
    case "rate":
    case "label-list":
      return firstOnPage(context, formula.names) !== undefined;
  }
}

function isKeptUp(context: QueryContext, { onlyBeside }: SingleFormula): boolean {
  return onlyBeside === undefined || isAnyOnPage(context, onlyBeside);
}

function isAnyOnPage(context: QueryContext, names: readonly string[]): boolean {
  return names.some((name) => seriesOnPage(context, name).length > 0);
}

function isZero(context: QueryContext, formula: SingleFormula): boolean {
  const { lazy } = formula;
  const names = sampleNames(formula);
  const declared = declaredNames(formula).some((name) => isDeclared(context, name));
  // A gauge with a `# TYPE` and no series was not set yet, which does not mean 0; a counter starts there.
  if (lazy === undefined)
    return formula.kind !== "gauge" && declared && !isAnyOnPage(context, names);
  const { shownBy = [], unless = [] } = lazy;
  return (
    firstOnPage(context, unless) === undefined &&
    (declared || isAnyOnPage(context, [...names, ...shownBy]))
  );
}

function sampleNames({ kind, names }: SingleFormula): readonly string[] {
  return kind === "quantile" ? names.map((name) => `${name}_bucket`) : names;
}

/**
 * The series of the first name that the newest page has any of. A gauge's labels are all there from
 * the start, so unlike a counter's it is absent when none passes `where`.
 */
export function gaugeSeries(
  context: QueryContext,
  { names, where = () => true }: GaugeFormula,
): readonly Series[] {
  for (const name of names) {
    const series = selectedSeries(context, name).filter(({ labels }) => where(labels));
    if (series.some((one) => isIn(context.newest, one))) return series;
  }
  return [];
}
