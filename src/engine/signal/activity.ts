/**
 * Whether an engine is in use: whatever waits, runs or arrives there keeps it.
 *
 * @module
 */
import type { ActivitySignal } from "./asked.ts";
import type { SignalResult } from "./result.ts";

/**
 * Requests in the engine, or if it has none now, those that arrive in a second: a request may come
 * and go between two scrapes. A queue that is empty says nothing of what runs, so that it takes
 * another signal to know of an engine that it is idle.
 *
 * @param resultOf What the engine says of one of its signals.
 */
export function activityResult(resultOf: (signal: ActivitySignal) => SignalResult): SignalResult {
  const count = (signal: ActivitySignal) => {
    const result = resultOf(signal);
    return "value" in result ? result.value : undefined;
  };
  const all = count("concurrency");
  const running = count("running_requests");
  const inside = all ?? sumOf(count("queue_depth"), running);
  if (inside !== undefined && inside > 0) return { value: inside };
  const arriving = resultOf("request_rate");
  if ("value" in arriving) return arriving;
  return (all ?? running) === undefined ? arriving : { value: 0 };
}

function sumOf(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined && other === undefined ? undefined : (one ?? 0) + (other ?? 0);
}
