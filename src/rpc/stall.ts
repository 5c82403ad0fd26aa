/**
 * Whether this process has just gone on after it could not run: frozen with its machine, or without a
 * processor. What its clients did meanwhile comes all at once then, and is not as it looks.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import { stallCheckMs, stallExcuseMs, stallLeastMs } from "#core/limits.ts";

export interface StallWatch {
  readonly hasJustStalled: () => boolean;
  readonly stop: Cancel;
}

export function stallWatch(clock: Pick<Clock, "monotonicMs" | "every">): StallWatch {
  let checkedAtMs = clock.monotonicMs();
  let excusedUntilMs = Number.NEGATIVE_INFINITY;
  // Sockets may be read before the timer runs, or after it.
  const check = () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - checkedAtMs > stallCheckMs + stallLeastMs) excusedUntilMs = nowMs + stallExcuseMs;
    checkedAtMs = nowMs;
    return nowMs < excusedUntilMs;
  };
  return { hasJustStalled: check, stop: clock.every(stallCheckMs, check) };
}
