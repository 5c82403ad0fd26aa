/**
 * What counters gained over a window, series by series.
 *
 * Prometheus' rule for resets is kept (a lower value is a new start and counts whole), its
 * extrapolation to the window's edges is not: with a handful of scrapes it makes requests that
 * nobody sent, and the elapsed time between two scrapes is known exactly.
 *
 * @module
 */

import type { Series } from "#engine/page/series.ts";
import { type Scrape, valueIn } from "./history.ts";
import type { Bucket } from "./quantile.ts";

export interface Span {
  /** Those that looked for the name; at least two, oldest first. */
  readonly scrapes: readonly Scrape[];
  readonly elapsedMs: number;
  /** When the engine started, if inside the window: series it shows since then began at 0. */
  readonly bornAtMs?: number;
  /** The exporter makes a series at its first event: one that was absent before was 0. */
  readonly isLazy: boolean;
}

/**
 * @param window From `windowOf`.
 * @returns `undefined` until two scrapes have looked for `name`.
 */
export function spanOf(
  window: readonly Scrape[],
  name: string,
  { windowMs, isLazy }: { readonly windowMs: number; readonly isLazy: boolean },
): Span | undefined {
  const scrapes = window.filter(({ wanted }) => wanted.has(name));
  const [first] = scrapes;
  const last = scrapes.at(-1);
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined;
  const { atMs, bornAtMs } = last;
  if (bornAtMs === undefined || atMs - bornAtMs > windowMs)
    return { scrapes, elapsedMs: atMs - first.atMs, isLazy };
  return { scrapes, elapsedMs: atMs - Math.min(first.atMs, bornAtMs), bornAtMs, isLazy };
}

/** What the series gained together; a series seen for the first time has no baseline and adds 0. */
export function increase(span: Span, series: readonly Series[]): number {
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
export function histogramIncrease(span: Span, series: readonly Series[]): readonly Bucket[] {
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

/** Adds histograms up, bound by bound, over the bounds that every one of them has. */
export function mergedBuckets(histograms: readonly (readonly Bucket[])[]): readonly Bucket[] {
  const used = histograms.filter((buckets) => buckets.some(({ count }) => count > 0));
  const counts = new Map<number, { count: number; histograms: number }>();
  for (const buckets of used)
    for (const { le, count } of buckets) {
      const sum = counts.get(le);
      if (sum === undefined) counts.set(le, { count, histograms: 1 });
      else {
        sum.count += count;
        sum.histograms += 1;
      }
    }
  return [...counts]
    .filter(([, { histograms }]) => histograms === used.length)
    .map(([le, { count }]) => ({ le, count }));
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
function baseline({ bornAtMs }: Span, { atMs }: Scrape, row: Row): Row {
  return bornAtMs !== undefined && atMs >= bornAtMs ? row.map(() => 0) : row;
}
