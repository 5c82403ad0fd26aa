/**
 * Follows one target: scrapes it at its own pace, keeps what the asks need, answers from memory.
 *
 * @module
 */
import type { Agent } from "node:http";
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { engineForgetMs, engineStaleIntervals } from "#core/limits.ts";
import type { Adapter } from "#engine/adapters/adapter.ts";
import { adapters } from "#engine/adapters/all.ts";
import type { PageWarnings } from "#engine/page/exposition.ts";
import type { NameFilter } from "#engine/page/name-filter.ts";
import { type EnginePage, pageSink } from "#engine/page/page.ts";
import { seriesTable } from "#engine/page/series.ts";
import { queryKey, type SignalQuery, wantedNames } from "#engine/signal/ask.ts";
import type { SignalResult } from "#engine/signal/evaluate.ts";
import { type History, withScrape } from "#engine/signal/history.ts";
import { keptMs, type Memory, signalOutcome } from "#engine/signal/signal.ts";
import {
  allowedUrl,
  type Endpoint,
  type EndpointRules,
  pinned,
  podEndpoint,
} from "./address-policy.ts";
import { get } from "./http.ts";
import { type Candidate, candidatesOf, namedAdapter, type ScrapeTarget } from "./target.ts";

export interface FollowerTools {
  readonly clock: Clock;
  readonly rules: EndpointRules;
  readonly agent: Agent;
  readonly readFile: (path: string) => Promise<string>;
  readonly timeoutMs: number;
  /** `nameFilter`, shared by targets that want the same. */
  readonly filterOf: (names: ReadonlySet<string>) => NameFilter;
}

/** What is known of a target now. */
export interface FollowerState {
  readonly adapter?: Adapter;
  /** Monotonic time of the last good scrape. */
  readonly goodAtMs?: number;
  readonly warnings?: PageWarnings;
  /** Why the last scrape failed; absent after a good one. */
  readonly failure?: Fault;
  /** Scrapes that were tried. */
  readonly tries: number;
  readonly failures: number;
}

export interface Follower {
  readonly state: () => FollowerState;
  /** The outcome for the last good scrape. Asking makes its names wanted from the next scrape on. */
  readonly outcome: (ask: SignalQuery) => SignalResult;
  /** Scrapes once; never throws, because a failure is a state. */
  readonly scrape: (intervalMs: number) => Promise<void>;
}

interface Known {
  readonly ask: SignalQuery;
  askedAtMs: number;
  outcome: SignalResult;
  memory: Memory;
}

const notYet: SignalResult = { reason: "pending", why: "it was not looked for yet" };
/** How often a page is looked at for whose it is: what is behind a Service may change. */
const identifyEvery = 12;
/** Different asks of one target; triggers have one or two each. */
const asksMax = 64;

export function follower(spec: ScrapeTarget, tools: FollowerTools): Follower {
  const { clock, rules, agent, timeoutMs, filterOf } = tools;
  const asks = new Map<string, Known>();
  const named = namedAdapter(spec);
  const candidates = candidatesOf(spec);
  let history: History = { table: seriesTable(), scrapes: [] };
  let wanted: NameFilter | undefined;
  let found: Candidate | undefined;
  let firstCandidate = 0;
  let endpoint: Endpoint | undefined;
  let state: FollowerState = { tries: 0, failures: 0 };
  let intervalNowMs = 0;
  let failedInRow = 0;

  const evaluateAsk = (known: Known, adapter: Adapter): void => {
    const scene = { history, intervalMs: intervalNowMs, adapter };
    ({ outcome: known.outcome, memory: known.memory } = signalOutcome(
      scene,
      known.ask,
      known.memory,
    ));
  };

  const filter = (): NameFilter => {
    const among = state.adapter === undefined ? adapters : [state.adapter];
    wanted ??= filterOf(
      wantedNames(
        [...asks.values()].map(({ ask }) => ask),
        among,
      ),
    );
    return wanted;
  };

  const endpointOf = async ({ port = 0 }: Candidate): Promise<Endpoint> => {
    if ("podAddress" in spec.at) return podEndpoint(spec.at.podAddress, port, rules);
    endpoint ??= await pinned(allowedUrl(spec.at.url, spec.at.namespace, rules), rules.resolve);
    return endpoint;
  };

  const read = async (candidate: Candidate, deadlineMs: number): Promise<EnginePage> => {
    const isToIdentify = state.adapter === undefined || state.tries % identifyEvery === 0;
    // Without a name a page is anybody's, each time it is looked at.
    const adapter = isToIdentify ? named : state.adapter;
    const token = spec.tokenFile === undefined ? undefined : await tokenIn(spec.tokenFile, tools);
    const address = await endpointOf(candidate);
    return get({
      endpoint: address,
      path: candidate.path,
      ...(token === undefined ? {} : { token }),
      timeoutMs: Math.max(1, deadlineMs - clock.monotonicMs()),
      clock,
      agent,
      open: (contentType) =>
        pageSink({
          contentType,
          table: history.table,
          wanted: filter(),
          isToIdentify,
          ...(adapter === undefined ? {} : { adapter }),
        }),
    });
  };

  const order = (): readonly Candidate[] =>
    found === undefined
      ? [...candidates.slice(firstCandidate), ...candidates.slice(0, firstCandidate)]
      : [found];

  /** The first candidate that is an engine's page; each try takes from one budget of time. */
  const readAny = async (): Promise<EnginePage> => {
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const closed = new Set<number | undefined>();
    let failure: unknown;
    for (const candidate of order()) {
      if (closed.has(candidate.port)) continue;
      if (clock.monotonicMs() >= deadlineMs) break;
      try {
        const page = await read(candidate, deadlineMs);
        found = candidate;
        return page;
      } catch (error) {
        failure = moreTelling(failure, error);
        if (!hasAnswered(error)) closed.add(candidate.port);
        // A silent port must not take the whole budget from those behind it each time.
        firstCandidate = (candidates.indexOf(candidate) + 1) % candidates.length;
      }
    }
    throw failure;
  };

  const accept = (page: EnginePage): void => {
    failedInRow = 0;
    if (state.adapter !== page.adapter) {
      wanted = undefined;
      for (const known of asks.values()) known.memory = {};
    }
    const atMs = clock.monotonicMs();
    const scrape = {
      atMs,
      values: page.values,
      wanted: page.wanted,
      types: page.types,
      ...(page.bornWallMs !== undefined && {
        bornAtMs: atMs - (clock.wallMs() - page.bornWallMs),
      }),
    };
    for (const [key, { askedAtMs }] of asks)
      if (atMs - askedAtMs > engineForgetMs && asks.delete(key)) wanted = undefined;
    const keepMs = Math.max(0, ...[...asks.values()].map(({ ask }) => keptMs(ask, intervalNowMs)));
    history = withScrape(history, scrape, keepMs);
    state = {
      adapter: page.adapter,
      goodAtMs: atMs,
      warnings: page.warnings,
      tries: state.tries + 1,
      failures: state.failures,
    };
    for (const known of asks.values()) evaluateAsk(known, page.adapter);
  };

  const refuse = (failure: Fault): void => {
    // The address may have moved, or the page: look again from the start.
    endpoint = undefined;
    failedInRow += 1;
    if (failedInRow >= engineStaleIntervals) found = undefined;
    state = { ...state, failure, tries: state.tries + 1, failures: state.failures + 1 };
  };

  return {
    state: () => state,
    outcome: (ask) => {
      const key = queryKey(ask);
      const earlier = asks.get(key);
      const askedAtMs = clock.monotonicMs();
      if (earlier !== undefined) {
        earlier.askedAtMs = askedAtMs;
        return earlier.outcome;
      }
      if (asks.size >= asksMax)
        throw new Fault(
          "overloaded",
          `Cannot read one more signal of a target: at most ${asksMax} are kept; ask for fewer signals or windows`,
          { limit: asksMax },
        );
      const known: Known = { ask, askedAtMs, outcome: notYet, memory: {} };
      asks.set(key, known);
      wanted = undefined;
      if (state.adapter !== undefined) evaluateAsk(known, state.adapter);
      return known.outcome;
    },
    scrape: async (intervalMs) => {
      intervalNowMs = intervalMs;
      try {
        accept(await readAny());
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        refuse(error);
      }
    },
  };
}

function tokenIn(path: string, { readFile }: FollowerTools): Promise<string> {
  return readFile(path).then(
    (text) => text.trim(),
    (error: unknown) => {
      const what = error instanceof Error ? error.message : String(error);
      throw new Fault(
        "file-invalid",
        `Cannot read the bearer token: ${path} is a readable file, got ${what}; mount the token there`,
        { path, problems: [what] },
        error,
      );
    },
  );
}

/** Whether another path of the same port is worth a try. */
function hasAnswered(error: unknown): boolean {
  return error instanceof Fault && (error.code === "page-invalid" || "status" in error.facts);
}

/** What came with an answer says more than a port that is closed, and a page more than a status. */
function moreTelling(earlier: unknown, later: unknown): unknown {
  if (!(earlier instanceof Fault) || !(later instanceof Fault)) return later;
  if (earlier.code === "page-invalid") return earlier;
  return later.code === "page-invalid" || !hasAnswered(earlier) ? later : earlier;
}
