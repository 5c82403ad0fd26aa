/** Growing pauses between attempts: each doubles, and lies somewhere in the upper half of its span. */
export interface BackOff {
  /** Milliseconds to wait now; the next pause is longer. */
  readonly next: () => number;
  /** After a success: the next pause is the shortest again. */
  readonly reset: () => void;
}

export interface BackOffOptions {
  readonly leastMs: number;
  readonly mostMs: number;
  /** From 0 to 1, so that those who lost a server together do not return together. */
  readonly random: () => number;
}

export function backOff({ leastMs, mostMs, random }: BackOffOptions): BackOff {
  let spanMs = leastMs;
  return {
    next: () => {
      const nowMs = spanMs;
      spanMs = Math.min(spanMs * 2, mostMs);
      return nowMs * (0.5 + random() / 2);
    },
    reset: () => {
      spanMs = leastMs;
    },
  };
}
