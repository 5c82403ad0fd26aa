/**
 * How fast one agent's messages are read.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { agentBurstMs, agentBytesPerSecond, agentMessageMs } from "#core/limits.ts";

/**
 * @returns Counts a message of so many bytes, and tells for how long its agent is not read after it,
 * in ms: 0 for an agent that sends as agents do.
 */
export function messagePace(clock: Pick<Clock, "monotonicMs">): (bytes: number) => number {
  /** Until when what was read so far keeps an agent busy that sends at the limit. */
  let busyUntilMs = Number.NEGATIVE_INFINITY;
  return (bytes) => {
    const nowMs = clock.monotonicMs();
    const costMs = Math.max(agentMessageMs, (bytes / agentBytesPerSecond) * 1_000);
    busyUntilMs = Math.max(busyUntilMs, nowMs - agentBurstMs) + costMs;
    return Math.max(0, busyUntilMs - nowMs);
  };
}
