/**
 * The last scrapes of one target: every rate, mean and quantile is made from them.
 *
 * Values lie in columns by series, so that a scrape of 1,000 series is one array of 8 kB and not
 * 1,000 objects, and a window of ten minutes is affordable.
 *
 * @module
 */
import type { NameFilter } from "#engine/page/name-filter.ts";
import { type Series, type SeriesTable, seriesTable } from "#engine/page/series.ts";

/** One good scrape. `values[series.id]` is NaN, or beyond the end, where the page had no value. */
export interface Scrape {
  /** Monotonic. */
  readonly atMs: number;
  readonly values: Float64Array;
  /** What was looked for: absence says something only about these. */
  readonly wanted: NameFilter;
  /** When the engine's process started, monotonic, if its page says so. */
  readonly bornAtMs?: number;
}

export interface History {
  readonly table: SeriesTable;
  /** Oldest first. */
  readonly scrapes: readonly Scrape[];
  /** The newest page's `# TYPE`s. */
  readonly types?: ReadonlyMap<string, string>;
}

/** The value of a series in a scrape, if it was there. */
export function valueIn(scrape: Scrape, { id }: Series): number | undefined {
  const value = scrape.values[id];
  return value === undefined || Number.isNaN(value) ? undefined : value;
}

/**
 * A history with one more scrape and without those older than `keepMs` before it.
 *
 * Series that no scrape has any more are dropped once they are the larger half, so that a target
 * which renames its series at each restart does not grow for ever.
 */
export function withScrape(
  history: History,
  { types, ...scrape }: Scrape & Required<Pick<History, "types">>,
  keepMs: number,
): History {
  const scrapes = [...history.scrapes, scrape].filter(({ atMs }) => scrape.atMs - atMs <= keepMs);
  const { table } = history;
  const live = liveSeries(table, scrapes);
  return table.size() <= compactLeast || live.length * 2 > table.size()
    ? { table, scrapes, types }
    : { ...compacted(live, scrapes), types };
}
const compactLeast = 256;

function liveSeries(table: SeriesTable, scrapes: readonly Scrape[]): readonly Series[] {
  if (table.size() <= compactLeast) return [];
  return [...table.names()]
    .flatMap((name) => table.byName(name))
    .filter((series) => scrapes.some((scrape) => valueIn(scrape, series) !== undefined));
}

function compacted(live: readonly Series[], scrapes: readonly Scrape[]): History {
  const table = seriesTable();
  const moves = live.map((series) => ({
    series,
    to: table.internLabels(series.name, series.labels),
  }));
  return {
    table,
    scrapes: scrapes.map((scrape) => {
      const values = new Float64Array(live.length).fill(Number.NaN);
      for (const { series, to } of moves) values[to.id] = valueIn(scrape, series) ?? Number.NaN;
      return { ...scrape, values };
    }),
  };
}

/**
 * The scrapes of a window that ends with the newest one.
 *
 * @param slackMs One interval: the scrape just before the window starts belongs to it, so that a
 *   window of 60 s is not one of 55 s.
 */
export function windowOf(
  { scrapes }: History,
  windowMs: number,
  slackMs: number,
): readonly Scrape[] {
  const newest = scrapes.at(-1);
  if (newest === undefined) return [];
  return scrapes.filter(({ atMs }) => newest.atMs - atMs <= windowMs + slackMs);
}
