/**
 * What counters gained over a window, series by series: rates, means and quantiles.
 *
 * Prometheus' rule for resets is kept (a lower value is a new start and counts whole), its
 * extrapolation is not: with a handful of scrapes it makes requests that nobody sent. Scrapes never
 * fall on the window's edge, so what was gained between the two around it counts by the part of
 * that time which lies inside. Otherwise a scrape that comes a little early or late would change
 * how long the window is, and the rate with it.
 *
 * @module
 */
import { counterWindowMs, widestWindowMs } from "#core/limits.ts";
import type { Series } from "#engine/page/series.ts";
import type { AverageFormula, QuantileFormula, RateFormula } from "./formula.ts";
import { type QueryContext, type Scrape, valueIn } from "./history.ts";
import type { Bucket } from "./quantile.ts";
import { meanResult, mergedQuantile, type Observations, type SignalResult } from "./result.ts";
import { firstOnPage, selectedSeries } from "./selection.ts";

interface Span {
  /** Those that read the name; at least two, oldest first, and at most one before `startMs`. */
  readonly scrapes: readonly Scrape[];
  /** Where the window starts, or what is known of it. */
  readonly startMs: number;
  readonly elapsedMs: number;
  /** When the engine started, if inside the window: series that came since then began at 0. */
  readonly startedAtMs?: number | undefined;
}

const pending: SignalResult = { reason: "pending", why: "a rate needs two scrapes" };

export function rateResult(
  context: QueryContext,
  formula: RateFormula,
  windowMs = counterWindowOf(context),
): SignalResult {
  const name = firstOnPage(context, formula.names);
  const span = spanOf(context, name ?? formula.names[0] ?? "", windowMs);
  if (span === undefined) return pending;
  const gained = name === undefined ? 0 : increase(span, countedSeries(context, formula, name));
  return { value: (gained / span.elapsedMs) * 1000 };
}

export function averageResult(context: QueryContext, formula: AverageFormula): SignalResult {
  const names = averageNames(context, formula);
  if (names === undefined) return { reason: "no-samples", why: "nothing was counted yet" };
  const windowMs = counterWindowOf(context);
  const [gained, events] = names.map((name) => {
    const span = spanOf(context, name, windowMs);
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
  const { q, scale } = formula;
  if (base === undefined) {
    const observations: Observations = { kind: "buckets", q, scale, buckets: [] };
    return { reason: "no-samples", why: "nothing was observed yet", observations };
  }
  const name = `${base}_bucket`;
  const series = countedSeries(context, formula, name);
  let windowMs = counterWindowOf(context);
  let result: SignalResult = pending;
  let earlier: Span | undefined;
  for (;;) {
    const span = spanOf(context, name, windowMs);
    if (span === undefined) return pending;
    // While the history is short a wider window has no more in it, and a page may have 20,000 buckets.
    if (!isSameSpan(span, earlier))
      result = mergedQuantile({ q, scale, histograms: histogramIncreases(span, series) });
    earlier = span;
    if ("value" in result || result.reason === "refused" || windowMs >= widestWindowMs)
      return result;
    windowMs = Math.min(windowMs * 2, widestWindowMs);
  }
}

function isSameSpan(one: Span, other: Span | undefined): boolean {
  return one.startMs === other?.startMs && one.scrapes.length === other.scrapes.length;
}

/** The window that counters are read over: at least two intervals, or there are no two scrapes. */
export function counterWindowOf({ query, intervalMs }: QueryContext): number {
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
function spanOf({ history }: QueryContext, name: string, windowMs: number): Span | undefined {
  const read = history.scrapes.filter(({ filter }) => filter.has(name));
  const last = read.at(-1);
  if (last === undefined) return undefined;
  const edgeMs = last.atMs - windowMs;
  const before = read.findLast(({ atMs }) => atMs <= edgeMs);
  const scrapes = read.filter((scrape) => scrape === before || scrape.atMs > edgeMs);
  const [first] = scrapes;
  if (first === undefined || last.atMs <= first.atMs) return undefined;
  const { startedAtMs } = last;
  const knownMs = Math.max(first.atMs, edgeMs);
  if (startedAtMs === undefined || startedAtMs < edgeMs)
    return { scrapes, startMs: knownMs, elapsedMs: last.atMs - knownMs };
  const startMs = Math.min(knownMs, startedAtMs);
  return { scrapes, startMs, elapsedMs: last.atMs - startMs, startedAtMs };
}

/** What the series gained together. */
function increase(span: Span, series: readonly Series[]): number {
  return series.reduce((total, one) => total + (columnIncreases(span, [one])[0] ?? 0), 0);
}

/**
 * What each bucket of each histogram gained.
 *
 * A reset of one bucket is a reset of its whole histogram, or the buckets would contradict each
 * other. A process never changes its bounds, so that other bounds are those of another process: what
 * that one had counted is not known to the newest one's bounds, and is left out.
 *
 * @param series The `_bucket` series; those without a bound are left out.
 */
function histogramIncreases(span: Span, series: readonly Series[]): readonly (readonly Bucket[])[] {
  const groups = Map.groupBy(
    series.filter(({ le }) => le !== undefined),
    ({ group }) => group,
  );
  return [...groups.values()].map((group) => {
    const columns = newestBounds(span, group);
    const newest = new Set(columns);
    const others = group.filter((column) => !newest.has(column));
    const gains = columnIncreases(span, columns, others);
    return columns.map(({ le = Number.NaN }, at) => ({ le, count: gains[at] ?? 0 }));
  });
}

function newestBounds({ scrapes }: Span, group: readonly Series[]): readonly Series[] {
  const isAny = (scrape: Scrape) => group.some((column) => valueIn(scrape, column) !== undefined);
  const newest = scrapes.findLast(isAny);
  return newest === undefined
    ? []
    : group.filter((column) => valueIn(newest, column) !== undefined);
}

/** What columns had at a time. */
interface Baseline {
  /** Absent: they were not on the page yet, or nothing was counted. */
  readonly scrape?: Scrape | undefined;
  readonly atMs: number;
}

/**
 * The gains of columns that start anew together. A page that was read and lacks all of them says
 * that they are 0: exporters make a series at its first event.
 *
 * @param others Columns that no page has beside `columns` unless another process printed it.
 */
function columnIncreases(
  span: Span,
  columns: readonly Series[],
  others: readonly Series[] = [],
): readonly number[] {
  const gains = columns.map(() => 0);
  let earlier: Baseline | undefined;
  for (const scrape of span.scrapes) {
    const { atMs } = scrape;
    if (columns.some(({ id }) => scrape.notFinite?.has(id))) continue;
    const isIn = (column: Series) => valueIn(scrape, column) !== undefined;
    const isOther = others.some(isIn);
    if (!isOther && columns.some(isIn)) {
      const from = earlier ?? firstBaseline(span, scrape);
      addGains(gains, columns, from.scrape, scrape, shareInside(span, from.atMs, atMs));
      earlier = { scrape, atMs };
    } else if (isOther || earlier?.scrape === undefined) {
      earlier = { atMs };
    }
  }
  return gains;
}

/** Adds in place: a page may have 20,000 columns, and a window more than a hundred scrapes. */
function addGains(
  gains: number[],
  columns: readonly Series[],
  before: Scrape | undefined,
  after: Scrape,
  share: number,
): void {
  const valueBefore = (column: Series) =>
    before === undefined ? 0 : (valueIn(before, column) ?? 0);
  const isReset = columns.some((column) => (valueIn(after, column) ?? 0) < valueBefore(column));
  for (const [at, column] of columns.entries()) {
    const gained = (valueIn(after, column) ?? 0) - (isReset ? 0 : valueBefore(column));
    gains[at] = (gains[at] ?? 0) + gained * share;
  }
}

/** Which part of the time between two scrapes lies inside the window. */
function shareInside({ startMs }: Span, fromMs: number, toMs: number): number {
  if (fromMs >= startMs) return 1;
  return toMs <= startMs ? 0 : (toMs - startMs) / (toMs - fromMs);
}

/** Nothing for what began inside the window; the values themselves where the past is unknown. */
function firstBaseline({ startedAtMs }: Span, scrape: Scrape): Baseline {
  return startedAtMs !== undefined && scrape.atMs >= startedAtMs
    ? { atMs: startedAtMs }
    : { scrape, atMs: scrape.atMs };
}
