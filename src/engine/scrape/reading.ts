/**
 * What a query reads of one target now: a value, or the fault to answer with.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { offeredSignals } from "#engine/adapters/adapter.ts";
import { type SignalQuery, signalText } from "#engine/signal/query.ts";
import type {
  NoValueReason,
  Observations,
  QueueState,
  SignalResult,
} from "#engine/signal/result.ts";
import type { TargetState } from "./target-scraper.ts";

/**
 * Why a target gives no value:
 * - `pending`: the query is new; its value comes with one of the next scrapes
 * - `no-samples`: too few requests for a mean or a quantile
 * - `lacking`: this page lacks it, which another replica's may have
 * - `unavailable`: the engine does not export it, or not so that it can be used
 * - `unreachable`: the last good scrape is too old, or there was none
 */
export type AbsenceReason = "pending" | "no-samples" | "lacking" | "unavailable" | "unreachable";

export type EngineReading = {
  readonly target: string;
  /** Once it is known. */
  readonly engine?: string | undefined;
  /** Of the last good scrape. */
  readonly ageMs?: number | undefined;
} & (
  | {
      readonly state: "known";
      /** In the signal's unit. */
      readonly value: number;
      /** For `mergedResult`. */
      readonly observations?: Observations | undefined;
      readonly queueState?: QueueState | undefined;
    }
  | {
      readonly state: "absent";
      readonly reason: AbsenceReason;
      /** To answer with where the value is needed. */
      readonly fault: Fault;
      readonly observations?: Observations | undefined;
    }
);

interface TargetResult {
  /** As people read it. */
  readonly target: string;
  readonly state: TargetState;
  readonly result: SignalResult;
}

/**
 * @param staleMs Age from which the last good scrape does not count.
 */
export function readingOf(
  { target, state, result }: TargetResult,
  query: SignalQuery,
  nowMs: number,
  staleMs: number,
): EngineReading {
  const { adapter, goodAtMs, failure } = state;
  const ageMs = goodAtMs === undefined ? undefined : nowMs - goodAtMs;
  const base = { target, engine: adapter?.engine, ageMs };
  const isLost = ageMs === undefined ? failure !== undefined : ageMs > staleMs;
  if (isLost) {
    const fault = failure ?? stale(target, staleMs, ageMs ?? 0);
    return { ...base, state: "absent", reason: "unreachable", fault };
  }
  if ("value" in result) return { ...base, state: "known", ...result };
  return {
    ...base,
    state: "absent",
    reason: absences[result.reason],
    fault: faultOf(state, target, query, result),
    observations: result.observations,
  };
}

const absences = {
  pending: "pending",
  "no-samples": "no-samples",
  lacking: "lacking",
  "not-exported": "unavailable",
  refused: "unavailable",
} as const satisfies Record<NoValueReason, AbsenceReason>;

function stale(target: string, limitMs: number, ageMs: number): Fault {
  return new Fault(
    "data-stale",
    `Cannot use metrics of ${target}: the last scrape is at most ${limitMs} ms old, got ${Math.round(ageMs)} ms; see why it is not scraped`,
    { limitMs, ageMs },
  );
}

function faultOf(
  { adapter }: TargetState,
  target: string,
  query: SignalQuery,
  { reason, why }: Extract<SignalResult, { reason: string }>,
): Fault {
  const signal = signalText(query);
  const problem = `Cannot read ${signal} of ${target}: ${why}`;
  if (reason === "pending" || reason === "no-samples")
    return new Fault("data-missing", `${problem}; try again later`, {
      known: 0,
      missing: [target],
    });
  const offered = adapter === undefined ? [] : offeredSignals(adapter);
  const isHelpful = reason !== "refused" && offered.length > 0;
  const next = isHelpful ? `; it may be asked for ${offered.join(", ")}` : "";
  return new Fault("signal-unavailable", `${problem}${next}`, {
    engine: adapter?.engine ?? "unknown",
    signal,
    offered,
  });
}
