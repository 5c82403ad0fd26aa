/**
 * Scrapes one target, keeps the history that its queries need, and answers them from memory.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { identifyScrapes } from "#core/limits.ts";
import type { Adapter } from "#engine/adapters/adapter.ts";
import type { PageWarnings } from "#engine/page/exposition.ts";
import { jsonNumber } from "#engine/page/json-number.ts";
import { type EnginePage, pageSink } from "#engine/page/page.ts";
import { retentionMs } from "#engine/signal/evaluate.ts";
import type { NewScrape } from "#engine/signal/history.ts";
import type { SignalQuery } from "#engine/signal/query.ts";
import type { SignalResult } from "#engine/signal/result.ts";
import type { PatternOf } from "#metric/label-pattern.ts";
import { type PageScraperTools, pageScraper } from "./page-scrape.ts";
import { prober } from "./probe.ts";
import { locationsOf, namedAdapter, type ScrapeTarget } from "./target.ts";
import { type HistoryPage, type TargetHistoryTools, targetHistory } from "./target-history.ts";
import {
  evaluateTracked,
  type FilterOf,
  type TrackedQuery,
  trackedQueries,
} from "./tracked-queries.ts";

export interface TargetScraperTools extends PageScraperTools, TargetHistoryTools {
  readonly timeoutMs: number;
  readonly filterOf: FilterOf;
  readonly patternOf: PatternOf;
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
  /** The same of what was read anyway: nothing more is read, and nothing remembered. */
  readonly peek: (query: SignalQuery) => SignalResult;
  /** Scrapes once; never throws a Fault, because a failure is a state. */
  readonly scrape: (intervalMs: number) => Promise<void>;
  /** Gives back what it keeps; no scrape may follow. */
  readonly stop: () => void;
}

export function targetScraper(target: ScrapeTarget, tools: TargetScraperTools): TargetScraper {
  const { clock, patternOf } = tools;
  const named = namedAdapter(target);
  const locations = prober({ ...tools, locations: locationsOf(target) });
  const pages = pageScraper(target, tools);
  const json = target.json && jsonNumber(target.json);
  const queries = trackedQueries(tools.filterOf);
  let state: TargetState = { tries: 0, failures: 0 };
  let intervalMs = 0;

  const history = targetHistory(tools, target.at.namespace, (failure) => {
    queries.reset();
    // Without series there is no value either, however lately one was read.
    state = { ...state, goodAtMs: undefined, failure };
  });

  const readPage = ({ table, buffered }: HistoryPage): Promise<EnginePage> =>
    locations.read((location, deadlineMs) => {
      const isToIdentify = state.adapter === undefined || state.tries % identifyScrapes === 0;
      // Of a target without a name the page decides, at each identification anew.
      const adapter = isToIdentify ? named : state.adapter;
      return pages.scrape(location, deadlineMs, (contentType) => {
        const filter = queries.filter(state.adapter);
        return pageSink({ contentType, table, filter, adapter, json, isToIdentify, buffered });
      });
    });

  const evaluateNow = (tracked: TrackedQuery): void => {
    const { adapter } = state;
    evaluateTracked(tracked, { history: history.now(), adapter, intervalMs, patternOf });
  };

  const accept = (page: EnginePage, { add }: HistoryPage): void => {
    const { adapter, warnings } = page;
    const scrape = scrapeOf(page, clock);
    queries.dropUnread(scrape.atMs);
    if (state.adapter !== adapter) queries.reset();
    const tracked = queries.all();
    const keptMs = Math.max(0, ...tracked.map(({ query }) => retentionMs(query, intervalMs)));
    add(scrape, keptMs, queries.results());
    state = { ...state, adapter, goodAtMs: scrape.atMs, warnings, failure: undefined };
    tracked.forEach(evaluateNow);
  };

  return {
    state: () => state,
    result: (query) => {
      const tracked = queries.track(query, clock.monotonicMs());
      if (tracked.evaluation === undefined) evaluateNow(tracked);
      return tracked.evaluation?.result ?? notRead;
    },
    peek: (query) => {
      const untracked: TrackedQuery = { query, lastReadMs: 0, evaluation: undefined };
      evaluateNow(untracked);
      return untracked.evaluation?.result ?? notRead;
    },
    scrape: async (everyMs) => {
      intervalMs = everyMs;
      try {
        const page = history.openPage();
        accept(await readPage(page), page);
      } catch (failure) {
        if (!(failure instanceof Fault)) throw failure;
        // The name may lead to another address by now.
        pages.forgetAddress();
        state = { ...state, failure, failures: state.failures + 1 };
        history.failed(failure, queries.results());
      }
      state = { ...state, tries: state.tries + 1 };
    },
    stop: history.stop,
  };
}

const notRead: SignalResult = { reason: "pending", why: "it was not looked for yet" };

function scrapeOf(
  { values, notFinite, filter, types, startedWallMs, noNumber }: EnginePage,
  clock: Clock,
): NewScrape {
  const atMs = clock.monotonicMs();
  const startedAtMs =
    startedWallMs === undefined ? undefined : atMs - (clock.wallMs() - startedWallMs);
  return { atMs, values, notFinite, filter, types, startedAtMs, noNumber };
}
