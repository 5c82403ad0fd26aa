/**
 * The queries of one target that somebody reads, and what each gave.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { engineForgetMs, targetQueriesMax, targetQueryCharsMax } from "#core/limits.ts";
import type { Adapter } from "#engine/adapters/adapter.ts";
import { adapters } from "#engine/adapters/all.ts";
import type { NameFilter } from "#engine/page/name-filter.ts";
import { type Evaluation, evaluate } from "#engine/signal/evaluate.ts";
import type { ScrapeHistory } from "#engine/signal/history.ts";
import { labelChoice } from "#engine/signal/label-choice.ts";
import { queryKey, queryNames, type SignalQuery } from "#engine/signal/query.ts";
import type { SignalResult } from "#engine/signal/result.ts";
import type { PatternOf } from "#metric/label-pattern.ts";

/** `nameFilter`, shared by targets that need the same names. */
export type FilterOf = (names: ReadonlySet<string>) => NameFilter;

export interface TrackedQuery {
  readonly query: SignalQuery;
  lastReadMs: number;
  /** Of the last good scrape. */
  evaluation: Evaluation | undefined;
}

export interface TrackedQueries {
  readonly track: (query: SignalQuery, nowMs: number) => TrackedQuery;
  readonly all: () => readonly TrackedQuery[];
  readonly results: () => readonly SignalResult[];
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

export function trackedQueries(filterOf: FilterOf): TrackedQueries {
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
    results: () => [...queries.values()].flatMap(({ evaluation }) => evaluation?.result ?? []),
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

interface Scraped {
  readonly history: ScrapeHistory;
  readonly adapter: Adapter | undefined;
  readonly intervalMs: number;
  readonly patternOf: PatternOf;
}

/** Makes what the newest scrape gives, if there is one. */
export function evaluateTracked(tracked: TrackedQuery, scraped: Scraped): void {
  const { history, adapter, intervalMs, patternOf } = scraped;
  const newest = history.scrapes.at(-1);
  if (adapter === undefined || newest === undefined) return;
  const { query } = tracked;
  const choice = labelChoice(query.match, patternOf);
  const context = { history, newest, intervalMs, adapter, query, choice };
  tracked.evaluation = evaluate(context, tracked.evaluation?.latency ?? {});
}
