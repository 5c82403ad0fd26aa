/** Stops a timer; calling it again does nothing. */
export type Cancel = () => void;

/** Time as the rooms see it, so that a test can own it. */
export interface Clock {
  /** Milliseconds since 1970, for people and log lines: it may jump. */
  readonly wallMs: () => number;
  /**
   * Milliseconds from a fixed start, for ages. Each thread has a start of its own: Bun counts
   * `hrtime`, `performance.now` and `nanoseconds` from when the thread began.
   */
  readonly monotonicMs: () => number;
  readonly after: (delayMs: number, run: () => void) => Cancel;
  readonly every: (intervalMs: number, run: () => void) => Cancel;
}

export function systemClock(): Clock {
  return {
    wallMs: Date.now,
    monotonicMs: () => performance.now(),
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    every: (intervalMs, run) => {
      const timer = setInterval(run, intervalMs);
      return () => clearInterval(timer);
    },
  };
}
