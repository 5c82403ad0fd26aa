/**
 * The latency of an engine that observes nothing.
 *
 * Engines observe latencies late, most of them when a request ends. An engine that is stuck
 * observes nothing, and "no data" must not look like "fast": while requests wait and none gets
 * through, the latency is at least as long as they have waited.
 *
 * @module
 */
import type { SignalResult } from "./result.ts";

/** What a latency needs of earlier scrapes. */
export interface LatencyState {
  /** The last latency that was observed. */
  readonly lastMs?: number | undefined;
  /** Since when requests wait without a pause; monotonic. */
  readonly waitingSinceMs?: number | undefined;
}

/** How many requests the engine has now; `undefined` where it does not say. */
export interface EngineLoad {
  readonly waiting: number | undefined;
  /** A function, because it is rarely needed. */
  readonly running: () => number | undefined;
}

/** @returns The state after a scrape at `atMs`. */
export function latencyStateAfter(
  { lastMs, waitingSinceMs }: LatencyState,
  observed: SignalResult,
  { waiting }: EngineLoad,
  atMs: number,
): LatencyState {
  const latestMs = "value" in observed ? observed.value : lastMs;
  if (waiting === 0) return { lastMs: latestMs };
  // A queue of unknown length is not known to be empty, and not known to be there.
  const sinceMs = waiting === undefined ? waitingSinceMs : (waitingSinceMs ?? atMs);
  return { lastMs: latestMs, waitingSinceMs: sinceMs };
}

/** @returns What the queue says of the latency, if nothing was observed; else what was observed. */
export function latencyResult(
  observed: SignalResult,
  { lastMs = 0, waitingSinceMs }: LatencyState,
  { waiting, running }: EngineLoad,
  atMs: number,
): SignalResult {
  if ("value" in observed || observed.reason !== "no-samples") return observed;
  if (waiting === 0 && running() === 0) return { value: 0, queueState: "idle" };
  if (!waiting || waitingSinceMs === undefined) return observed;
  const value = Math.max(lastMs, atMs - waitingSinceMs);
  // When a queue is first read nothing is known of how long it waits.
  return value > 0 ? { value, queueState: "stalled" } : observed;
}
