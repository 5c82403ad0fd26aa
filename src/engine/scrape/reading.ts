import { Fault } from "#core/fault.ts";
import { type SignalQuery, signalText } from "#engine/signal/ask.ts";
import type { Observations, QueueState, SignalResult } from "#engine/signal/evaluate.ts";
import type { Follower, FollowerState } from "./follower.ts";

/**
 * Why a target gives no value:
 * - `pending`: just asked for; comes with one of the next scrapes
 * - `no-samples`: too few requests for a mean or a quantile
 * - `unavailable`: the engine does not export it, or not so that it can be used
 * - `unreachable`: the last good scrape is too old, or there was none
 */
export type AbsenceReason = "pending" | "no-samples" | "unavailable" | "unreachable";

/** What one target says to one ask. */
export type EngineReading = {
  readonly target: string;
  /** Once it is known. */
  readonly engine?: string;
  /** Of the last good scrape. */
  readonly ageMs?: number;
} & (
  | {
      readonly state: "known";
      /** In the signal's unit. */
      readonly value: number;
      /** For `mergedResult`. */
      readonly parts?: Observations;
      readonly stand?: QueueState;
    }
  | {
      readonly state: "absent";
      readonly reason: AbsenceReason;
      /** To answer with when the value cannot be done without. */
      readonly fault: Fault;
      readonly parts?: Observations;
    }
);

/**
 * @param staleMs Age from which the last good scrape does not count.
 */
export function readingOf(
  { follower, target }: { readonly follower: Follower; readonly target: string },
  ask: SignalQuery,
  nowMs: number,
  staleMs: number,
): EngineReading {
  const outcome = follower.outcome(ask);
  const { adapter, goodAtMs, failure } = follower.state();
  const base = {
    target,
    ...(adapter && { engine: adapter.engine }),
    ...(goodAtMs !== undefined && { ageMs: nowMs - goodAtMs }),
  };
  const isLost = goodAtMs === undefined ? failure !== undefined : nowMs - goodAtMs > staleMs;
  if (isLost) {
    const ageMs = goodAtMs === undefined ? undefined : nowMs - goodAtMs;
    const fault = failure ?? stale(target, staleMs, ageMs);
    return { ...base, state: "absent", reason: "unreachable", fault };
  }
  if ("value" in outcome) return { ...base, state: "known", ...outcome };
  const { parts } = outcome;
  return {
    ...base,
    state: "absent",
    reason: absences[outcome.reason],
    fault: faultOf(follower.state(), target, ask, outcome),
    ...(parts && { parts }),
  };
}

const absences = {
  pending: "pending",
  "no-samples": "no-samples",
  "not-exported": "unavailable",
  refused: "unavailable",
} as const;

function stale(target: string, limitMs: number, ageMs: number | undefined): Fault {
  return new Fault(
    "data-stale",
    `Cannot use metrics of ${target}: the last scrape is at most ${limitMs} ms old, got ${Math.round(ageMs ?? 0)} ms; see why it is not scraped`,
    { limitMs, ...(ageMs !== undefined && { ageMs }) },
  );
}

function faultOf(
  { adapter }: FollowerState,
  target: string,
  ask: SignalQuery,
  { reason, why }: Extract<SignalResult, { reason: string }>,
): Fault {
  const signal = signalText(ask);
  if (reason === "pending" || reason === "no-samples")
    return new Fault(
      "data-missing",
      `Cannot read ${signal} of ${target}: ${why}; try again later`,
      {
        known: 0,
        missing: [target],
      },
    );
  const offered = Object.keys(adapter?.signals ?? {}).sort();
  const next = reason === "refused" ? "" : `; it may be asked for ${offered.join(", ")}`;
  return new Fault("signal-unavailable", `Cannot read ${signal} of ${target}: ${why}${next}`, {
    engine: adapter?.engine ?? "unknown",
    signal,
    offered,
  });
}
