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
import {
  type Series,
  type SeriesLabels,
  type SeriesTable,
  seriesTable,
} from "#engine/page/series.ts";
import { matchesLabels, type SignalQuery } from "./query.ts";

/** One good scrape. `values[series.id]` is NaN, or beyond the end, where the page had no value. */
export interface Scrape {
  /** Monotonic. */
  readonly atMs: number;
  readonly values: Float64Array;
  /** The names that were read: absence says something only about these. */
  readonly filter: NameFilter;
  /** When the engine's process started, monotonic, if its page says so. */
  readonly startedAtMs?: number | undefined;
}

export interface ScrapeHistory {
  readonly table: SeriesTable;
  /** Oldest first. */
  readonly scrapes: readonly Scrape[];
  /** The newest page's `# TYPE`s, by canonical name. */
  readonly types?: ReadonlyMap<string, string>;
}

/** Everything that a query is evaluated with. */
export interface QueryContext {
  readonly history: ScrapeHistory;
  readonly newest: Scrape;
  /** Time between two scrapes. */
  readonly intervalMs: number;
  readonly adapter: Adapter;
  readonly query: SignalQuery;
}

/** The value of a series in a scrape, if it was there. */
export function valueIn(scrape: Scrape, { id }: Series): number | undefined {
  const value = scrape.values[id];
  return value === undefined || Number.isNaN(value) ? undefined : value;
}

/**
 * A history with one more scrape and without those of more than `retentionMs` before it.
 *
 * Series that no scrape has any more are dropped once they are the larger half, so that a target
 * which renames its series at each restart does not grow for ever.
 */
export function withScrape(
  history: ScrapeHistory,
  { types, ...scrape }: Scrape & Required<Pick<ScrapeHistory, "types">>,
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
  return [...table.all()].filter((series) =>
    scrapes.some((scrape) => valueIn(scrape, series) !== undefined),
  );
}

function compacted(live: readonly Series[], scrapes: readonly Scrape[]): ScrapeHistory {
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
  { scrapes }: ScrapeHistory,
  windowMs: number,
  slackMs: number,
): readonly Scrape[] {
  const newest = scrapes.at(-1);
  if (newest === undefined) return [];
  return scrapes.filter(({ atMs }) => newest.atMs - atMs <= windowMs + slackMs);
}

/** The series of a name that count: no copies, no other ranks, nothing that a matcher excludes. */
export function selectedSeries(
  { history, adapter, query }: QueryContext,
  name: string,
): readonly Series[] {
  const { isCounted } = adapter;
  return history.table
    .byName(name)
    .filter(
      ({ labels }) =>
        (isCounted === undefined || isCounted(labels)) &&
        matchesLabels(labels, query.match) &&
        !isEnsemble(query, labels),
    );
}

function isEnsemble({ ensembles = [] }: SignalQuery, { model }: SeriesLabels): boolean {
  return model !== undefined && ensembles.includes(model);
}

/** All series of a name that the newest page has, whatever the query selects. */
export function seriesOnPage({ history, newest }: QueryContext, name: string): readonly Series[] {
  return history.table.byName(name).filter((series) => valueIn(newest, series) !== undefined);
}

/** The first of the names of which the newest page has a selected series. */
export function firstOnPage(
  context: QueryContext,
  names: readonly string[],
  suffix = "",
): string | undefined {
  return names.find((name) =>
    selectedSeries(context, `${name}${suffix}`).some(
      (series) => valueIn(context.newest, series) !== undefined,
    ),
  );
}
