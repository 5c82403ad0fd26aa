import type { Clock } from "#core/clock.ts";

/** A clock that stands still until the test moves it. */
export interface ManualClock extends Clock {
  /** Moves time on and runs what falls due, in order of time, timers set on the way included. */
  readonly advance: (ms: number) => void;
}

const epochMs = Date.UTC(2026, 0, 1);

export function manualClock(startMs = 0): ManualClock {
  let nowMs = startMs;
  const timers = new Set<{ dueMs: number; run: () => void }>();

  const at = (dueMs: number, run: () => void) => {
    const timer = { dueMs, run };
    timers.add(timer);
    return () => {
      timers.delete(timer);
    };
  };
  const earliest = (untilMs: number) => {
    const due = [...timers].filter(({ dueMs }) => dueMs <= untilMs);
    return due.toSorted((one, other) => one.dueMs - other.dueMs)[0];
  };

  return {
    wallMs: () => epochMs + nowMs,
    monotonicMs: () => nowMs,
    after: (delayMs, run) => at(nowMs + delayMs, run),
    every: (intervalMs, run) => {
      const repeat = () => {
        cancel = at(nowMs + intervalMs, repeat);
        run();
      };
      let cancel = at(nowMs + intervalMs, repeat);
      return () => cancel();
    },
    advance: (ms) => {
      const untilMs = nowMs + ms;
      for (let timer = earliest(untilMs); timer !== undefined; timer = earliest(untilMs)) {
        timers.delete(timer);
        // A run may itself have moved time on: it never goes back.
        nowMs = Math.max(nowMs, timer.dueMs);
        timer.run();
      }
      nowMs = Math.max(nowMs, untilMs);
    },
  };
}
