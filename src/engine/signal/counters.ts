/**
 * What counters gained over a window, series by series: rates, means and quantiles.
 *
 * Prometheus' rule for resets is kept (a lower value is a new start and counts whole), its
 * extrapolation to the window's edges is not: with a handful of scrapes it makes requests that
 * nobody sent, and the elapsed time between two scrapes is known exactly.
 *
 * @module
 */
import { counterWindowMs, widestWindowMs } from "#core/limits.ts";
import type { Series } from "#engine/page/series.ts";
import type { AverageFormula, QuantileFormula, RateFormula } from "./formula.ts";
import {
  firstOnPage,
  type QueryContext,
  type Scrape,
  selectedSeries,
  valueIn,
  windowOf,
} from "./history.ts";
import type { Bucket } from "./quantile.ts";
import { meanResult, mergedBuckets, quantileResult, type SignalResult } from "./result.ts";

interface Span {
  /** Those that read the name; at least two, oldest first. */
  readonly scrapes: readonly Scrape[];
  readonly elapsedMs: number;
  /** When the engine started, if inside the window: series that came since then began at 0. */
  readonly startedAtMs?: number | undefined;
  /** The exporter makes a series at its first event: one that was absent before was 0. */
  readonly isLazy: boolean;
}

const pending: SignalResult = { reason: "pending", why: "a rate needs two scrapes" };

export function rateResult(context: QueryContext, formula: RateFormula): SignalResult {
  const name = firstOnPage(context, formula.names);
  const windowMs = counterWindowOf(context);
  const span = spanOf(context, name ?? formula.names[0] ?? "", windowMs, formula);
  if (span === undefined) return pending;
  const gained = name === undefined ? 0 : increase(span, countedSeries(context, formula, name));
  return { value: (gained / span.elapsedMs) * 1000 };
}

export function averageResult(context: QueryContext, formula: AverageFormula): SignalResult {
  const names = averageNames(context, formula);
  if (names === undefined) return { reason: "no-samples", why: "nothing was counted yet" };
  const windowMs = counterWindowOf(context);
  const [gained, events] = names.map((name) => {
    const span = spanOf(context, name, windowMs, formula);
    return span && increase(span, countedSeries(context, formula, name));
  });
  if (gained === undefined || events === undefined) return pending;
  return meanResult({ sum: gained, count: events, scale: formula.scale });
}

/** The first pair of a counter and its counter of events that the page has. */
export function averageNames(
  context: QueryContext,
  { names, countNames }: AverageFormula,
): readonly [name: string, countName: string] | undefined {
  for (const [at, name] of names.entries()) {
    const countName = countNames[at] ?? "";
    if (firstOnPage(context, [name]) !== undefined && firstOnPage(context, [countName]))
      return [name, countName];
  }
  return undefined;
}

/** Widens the window while there are too few observations in it. */
export function histogramResult(context: QueryContext, formula: QuantileFormula): SignalResult {
  const base = firstOnPage(context, formula.names, "_bucket");
  if (base === undefined) return { reason: "no-samples", why: "nothing was observed yet" };
  const name = `${base}_bucket`;
  const { q, scale } = formula;
  const series = countedSeries(context, formula, name);
  let windowMs = counterWindowOf(context);
  for (;;) {
    const span = spanOf(context, name, windowMs, formula);
    if (span === undefined) return pending;
    const result = quantileResult({ q, scale, buckets: histogramIncrease(span, series) });
    if ("value" in result || windowMs >= widestWindowMs) return result;
    windowMs = Math.min(windowMs * 2, widestWindowMs);
  }
}

/** The window that counters are read over: at least two intervals, or there are no two scrapes. */
function counterWindowOf({ query, intervalMs }: QueryContext): number {
  return Math.max(query.windowMs === 0 ? counterWindowMs : query.windowMs, 2 * intervalMs);
}

function countedSeries(
  context: QueryContext,
  { where }: RateFormula | AverageFormula | QuantileFormula,
  name: string,
): readonly Series[] {
  const series = selectedSeries(context, name);
  return where === undefined ? series : series.filter(({ labels }) => where(labels));
}

/** @returns `undefined` until two scrapes of the window have read `name`. */
function spanOf(
  { history, intervalMs }: QueryContext,
  name: string,
  windowMs: number,
  { lazy }: RateFormula | AverageFormula | QuantileFormula,
): Span | undefined {
  const window = windowOf(history, windowMs, intervalMs);
  const scrapes = window.filter(({ filter }) => filter.has(name));
  const [first] = scrapes;
  const last = scrapes.at(-1);
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined;
  const isLazy = lazy !== undefined;
  const { atMs, startedAtMs } = last;
  if (startedAtMs === undefined || atMs - startedAtMs > windowMs)
    return { scrapes, elapsedMs: atMs - first.atMs, isLazy };
  return { scrapes, elapsedMs: atMs - Math.min(first.atMs, startedAtMs), startedAtMs, isLazy };
}

/** What the series gained together; a series that is new has no baseline and adds 0. */
function increase(span: Span, series: readonly Series[]): number {
  return series.reduce((total, one) => total + (columnIncreases(span, [one])[0] ?? 0), 0);
}

/**
 * What each bucket gained, over all series of the histogram.
 *
 * A reset of one bucket is a reset of its whole histogram, or the buckets would contradict each
 * other. Where layouts differ only the bounds that all have are kept: counts are cumulative, so
 * those stay true.
 *
 * @param series The `_bucket` series; those without a bound are left out.
 */
function histogramIncrease(span: Span, series: readonly Series[]): readonly Bucket[] {
  const groups = Map.groupBy(
    series.filter(({ le }) => le !== undefined),
    ({ group }) => group,
  );
  return mergedBuckets(
    [...groups.values()].map((group) => {
      const columns = columnsOfAllPages(span, group);
      const gains = columnIncreases(span, columns);
      return columns.map(({ le = Number.NaN }, at) => ({ le, count: gains[at] ?? 0 }));
    }),
  );
}

/** Without the bounds that came or went with a restart inside the window. */
function columnsOfAllPages({ scrapes }: Span, group: readonly Series[]): readonly Series[] {
  const pages = scrapes.filter((scrape) =>
    group.some((column) => valueIn(scrape, column) !== undefined),
  );
  return group.filter((column) => pages.every((page) => valueIn(page, column) !== undefined));
}

type Row = readonly (number | undefined)[];

/** The gains of columns that start anew together. */
function columnIncreases(span: Span, columns: readonly Series[]): readonly number[] {
  let gains = columns.map(() => 0);
  let earlier: Row | undefined;
  for (const scrape of span.scrapes) {
    const row = columns.map((column) => valueIn(scrape, column));
    if (row.some((value) => value !== undefined)) {
      const gained = gain(earlier ?? baseline(span, scrape, row), row);
      gains = gains.map((total, at) => total + (gained[at] ?? 0));
      earlier = row;
    } else if (span.isLazy) {
      // Absent from a good page of a lazy exporter: nothing was counted yet.
      earlier ??= columns.map(() => 0);
    }
  }
  return gains;
}

function gain(before: Row, row: Row): readonly number[] {
  const isReset = row.some((value, at) => (value ?? 0) < (before[at] ?? 0));
  return row.map((value, at) => (value ?? 0) - (isReset ? 0 : (before[at] ?? 0)));
}

/** 0 for what began inside the window; the values themselves where the past is unknown. */
function baseline({ startedAtMs }: Span, { atMs }: Scrape, row: Row): Row {
  return startedAtMs !== undefined && atMs >= startedAtMs ? row.map(() => 0) : row;
}
