/**
 * Scrapes one target, keeps the history that its queries need, and answers them from memory.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import {
  engineForgetMs,
  identifyScrapes,
  targetQueriesMax,
  targetQueryCharsMax,
} from "#core/limits.ts";
import type { Adapter } from "#engine/adapters/adapter.ts";
import { adapters } from "#engine/adapters/all.ts";
import type { PageWarnings } from "#engine/page/exposition.ts";
import type { NameFilter } from "#engine/page/name-filter.ts";
import { type EnginePage, pageSink } from "#engine/page/page.ts";
import { seriesTable } from "#engine/page/series.ts";
import { type Evaluation, evaluate, retentionMs } from "#engine/signal/evaluate.ts";
import { type ScrapeHistory, withScrape } from "#engine/signal/history.ts";
import { queryKey, queryNames, type SignalQuery } from "#engine/signal/query.ts";
import type { SignalResult } from "#engine/signal/result.ts";
import { type PageScraperTools, pageScraper } from "./page-scrape.ts";
import { prober } from "./probe.ts";
import { locationsOf, namedAdapter, type ScrapeTarget } from "./target.ts";

export interface TargetScraperTools extends PageScraperTools {
  readonly timeoutMs: number;
  /** `nameFilter`, shared by targets that need the same names. */
  readonly filterOf: (names: ReadonlySet<string>) => NameFilter;
}

/** What is known of a target now. */
export interface TargetState {
  readonly adapter?: Adapter | undefined;
  /** Monotonic time of the last good scrape. */
  readonly goodAtMs?: number | undefined;
  readonly warnings?: PageWarnings | undefined;
  /** Why the last scrape failed; absent after a good one. */
  readonly failure?: Fault | undefined;
  /** Scrapes that were tried. */
  readonly tries: number;
  readonly failures: number;
}

interface TargetScraper {
  readonly state: () => TargetState;
  /**
   * What the last good scrape gives. The names of a new query are read from the next scrape on.
   *
   * @throws {Fault} `overloaded` beyond `targetQueriesMax` queries or `targetQueryCharsMax` of their texts.
   */
  readonly result: (query: SignalQuery) => SignalResult;
  /** Scrapes once; never throws a Fault, because a failure is a state. */
  readonly scrape: (intervalMs: number) => Promise<void>;
}

export function targetScraper(target: ScrapeTarget, tools: TargetScraperTools): TargetScraper {
  const { clock, timeoutMs, filterOf } = tools;
  const named = namedAdapter(target);
  const locations = prober({ locations: locationsOf(target), clock, timeoutMs });
  const pages = pageScraper(target, tools);
  const queries = trackedQueries(filterOf);
  let history: ScrapeHistory = { table: seriesTable(), scrapes: [] };
  let state: TargetState = { tries: 0, failures: 0 };
  let intervalMs = 0;

  const readPage = (): Promise<EnginePage> =>
    locations.read((location, deadlineMs) => {
      const isToIdentify = state.adapter === undefined || state.tries % identifyScrapes === 0;
      // Of a target without a name the page decides, at each identification anew.
      const adapter = isToIdentify ? named : state.adapter;
      return pages.scrape(location, deadlineMs, (contentType) => {
        const filter = queries.filter(state.adapter);
        return pageSink({ contentType, table: history.table, filter, adapter, isToIdentify });
      });
    });

  const evaluateNow = (tracked: TrackedQuery): void => {
    const { adapter } = state;
    const newest = history.scrapes.at(-1);
    if (adapter === undefined || newest === undefined) return;
    const context = { history, newest, intervalMs, adapter, query: tracked.query };
    tracked.evaluation = evaluate(context, tracked.evaluation?.latency ?? {});
  };

  const accept = ({ adapter, startedWallMs, warnings, types, ...page }: EnginePage) => {
    const atMs = clock.monotonicMs();
    const startedAtMs =
      startedWallMs === undefined ? undefined : atMs - (clock.wallMs() - startedWallMs);
    queries.dropUnread(atMs);
    if (state.adapter !== adapter) queries.reset();
    const tracked = queries.all();
    const keptMs = Math.max(0, ...tracked.map(({ query }) => retentionMs(query, intervalMs)));
    const { values, notFinite, filter } = page;
    const scrape = { atMs, values, notFinite, filter, types, startedAtMs };
    history = withScrape(history, scrape, keptMs);
    const { tries, failures } = state;
    state = { adapter, goodAtMs: atMs, warnings, tries: tries + 1, failures };
    tracked.forEach(evaluateNow);
  };

  return {
    state: () => state,
    result: (query) => {
      const tracked = queries.track(query, clock.monotonicMs());
      if (tracked.evaluation === undefined) evaluateNow(tracked);
      return tracked.evaluation?.result ?? notRead;
    },
    scrape: async (everyMs) => {
      intervalMs = everyMs;
      try {
        accept(await readPage());
      } catch (failure) {
        if (!(failure instanceof Fault)) throw failure;
        // The name may lead to another address by now.
        pages.forgetAddress();
        state = { ...state, failure, tries: state.tries + 1, failures: state.failures + 1 };
      }
    },
  };
}

const notRead: SignalResult = { reason: "pending", why: "it was not looked for yet" };

interface TrackedQuery {
  readonly query: SignalQuery;
  lastReadMs: number;
  /** Of the last good scrape. */
  evaluation: Evaluation | undefined;
}

interface TrackedQueries {
  readonly track: (query: SignalQuery, nowMs: number) => TrackedQuery;
  readonly all: () => readonly TrackedQuery[];
  /** Drops what nobody read for `engineForgetMs`. */
  readonly dropUnread: (nowMs: number) => void;
  /** Forgets what was evaluated: another engine answers. */
  readonly reset: () => void;
  /** The names that all queries need of this engine, or of any engine where it is not known. */
  readonly filter: (adapter: Adapter | undefined) => NameFilter;
}

function tooMany(rule: string, limit: number): Fault {
  return new Fault(
    "overloaded",
    `Cannot read one more signal of a target: ${rule}; ask for fewer signals, labels or windows`,
    { limit },
  );
}

function trackedQueries(filterOf: TargetScraperTools["filterOf"]): TrackedQueries {
  const queries = new Map<string, TrackedQuery>();
  let current: { readonly adapter: Adapter | undefined; readonly filter: NameFilter } | undefined;
  return {
    track: (query, nowMs) => {
      const key = queryKey(query);
      const earlier = queries.get(key);
      if (earlier !== undefined) {
        earlier.lastReadMs = nowMs;
        return earlier;
      }
      if (queries.size >= targetQueriesMax)
        throw tooMany(`at most ${targetQueriesMax} are kept`, targetQueriesMax);
      const chars = [...queries.keys()].reduce((sum, text) => sum + text.length, key.length);
      if (chars > targetQueryCharsMax)
        throw tooMany(
          `all have at most ${targetQueryCharsMax} characters together`,
          targetQueryCharsMax,
        );
      const tracked: TrackedQuery = { query, lastReadMs: nowMs, evaluation: undefined };
      queries.set(key, tracked);
      current = undefined;
      return tracked;
    },
    all: () => [...queries.values()],
    dropUnread: (nowMs) => {
      for (const [key, { lastReadMs }] of queries)
        if (nowMs - lastReadMs > engineForgetMs && queries.delete(key)) current = undefined;
    },
    reset: () => {
      for (const tracked of queries.values()) tracked.evaluation = undefined;
    },
    filter: (adapter) => {
      if (current === undefined || current.adapter !== adapter) {
        const needed = [...queries.values()].map(({ query }) => query);
        const among = adapter === undefined ? adapters : [adapter];
        current = { adapter, filter: filterOf(queryNames(needed, among)) };
      }
      return current.filter;
    },
  };
}
