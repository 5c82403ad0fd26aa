/**
 * The last scrapes of one target, and which of their series a query selects: every rate, mean and
 * quantile is made from them.
 *
 * Values lie in columns by series, so that a scrape of 1,000 series is one array of 8 kB and not
 * 1,000 objects, and a window of ten minutes is affordable.
 *
 * @module
 */
import { compactSeriesLeast } from "#core/limits.ts";
import type { Adapter } from "#engine/adapters/adapter.ts";
import type { NameFilter } from "#engine/page/name-filter.ts";
import { type Series, type SeriesTable, seriesTable } from "#engine/page/series.ts";
import type { LabelChoice } from "./label-choice.ts";
import type { SignalQuery } from "./query.ts";
import type { NoValue } from "./result.ts";

/** One good scrape. `values[series.id]` is NaN, or beyond the end, where the page had no value. */
export interface Scrape {
  /** Monotonic. */
  readonly atMs: number;
  readonly values: Float64Array;
  /** What the page said of series, by their `id`, whose value is NaN or infinite. */
  readonly notFinite?: ReadonlyMap<number, number> | undefined;
  /** The names that were read: absence says something only about these. */
  readonly filter: NameFilter;
  /** When the engine's process started, monotonic, if its page says so. */
  readonly startedAtMs?: number | undefined;
  /** Why a page in JSON does not have the number that it is read for. */
  readonly noNumber?: NoValue | undefined;
}

export interface ScrapeHistory {
  readonly table: SeriesTable;
  /** Oldest first. */
  readonly scrapes: readonly Scrape[];
  /** The newest page's `# TYPE`s, by the name as the page spells it. */
  readonly types?: ReadonlyMap<string, string>;
}

/** A scrape as it comes, with its page's `# TYPE`s. */
export type NewScrape = Scrape & Required<Pick<ScrapeHistory, "types">>;

/** Everything that a query is evaluated with. */
export interface QueryContext {
  readonly history: ScrapeHistory;
  readonly newest: Scrape;
  /** Time between two scrapes. */
  readonly intervalMs: number;
  readonly adapter: Adapter;
  readonly query: SignalQuery;
  /** What the query's matchers choose. */
  readonly choice: LabelChoice;
}

/** The value of a series in a scrape, if it was there. */
export function valueIn(scrape: Scrape, { id }: Series): number | undefined {
  const value = scrape.values[id];
  return value === undefined || Number.isNaN(value) ? undefined : value;
}

/** Whether a page had a series, with whatever value. */
export function isIn(scrape: Scrape, series: Series): boolean {
  return valueIn(scrape, series) !== undefined || scrape.notFinite?.has(series.id) === true;
}

/**
 * A history with one more scrape and without those of more than `retentionMs` before it.
 *
 * Series that no scrape has any more are dropped once they are the larger half, so that a target
 * which renames its series at each restart does not grow for ever.
 */
export function withScrape(
  history: ScrapeHistory,
  { types, ...scrape }: NewScrape,
  retentionMs: number,
): ScrapeHistory {
  const scrapes = [...history.scrapes, scrape].filter(
    ({ atMs }) => scrape.atMs - atMs <= retentionMs,
  );
  const { table } = history;
  const live = liveSeries(table, scrapes);
  return table.size() <= compactSeriesLeast || live.length * 2 > table.size()
    ? { table, scrapes, types }
    : { ...compacted(live, scrapes), types };
}

function liveSeries(table: SeriesTable, scrapes: readonly Scrape[]): readonly Series[] {
  if (table.size() <= compactSeriesLeast) return [];
  return [...table.all()].filter((series) => scrapes.some((scrape) => isIn(scrape, series)));
}

function compacted(live: readonly Series[], scrapes: readonly Scrape[]): ScrapeHistory {
  const table = seriesTable();
  const moves = live.map((series) => ({
    series,
    to: table.internLabels(series.spelling, series.labels),
  }));
  return {
    table,
    scrapes: scrapes.map((scrape) => {
      const values = new Float64Array(live.length).fill(Number.NaN);
      const notFinite = new Map<number, number>();
      for (const { series, to } of moves) {
        values[to.id] = valueIn(scrape, series) ?? Number.NaN;
        const unusable = scrape.notFinite?.get(series.id);
        if (unusable !== undefined) notFinite.set(to.id, unusable);
      }
      return { ...scrape, values, notFinite };
    }),
  };
}

/** The scrapes of a window that ends with the newest one. */
export function windowOf({ scrapes }: ScrapeHistory, windowMs: number): readonly Scrape[] {
  const newest = scrapes.at(-1);
  if (newest === undefined) return [];
  return scrapes.filter(({ atMs }) => newest.atMs - atMs <= windowMs);
}
