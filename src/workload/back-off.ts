import { apiRetryLeastMs, apiRetryMostMs } from "#core/limits.ts";

/** Waits between attempts: doubling, each somewhere in its upper half. */
export interface RetryDelays {
  /** Milliseconds to wait now; the next one is longer. */
  readonly next: () => number;
  readonly reset: () => void;
}

/**
 * @param random From 0 to 1, so that replicas which lost the API server together do not return
 * together.
 */
export function retryDelays(random: () => number, mostMs = apiRetryMostMs): RetryDelays {
  let delayMs = apiRetryLeastMs;
  return {
    next: () => {
      const now = delayMs;
      delayMs = Math.min(delayMs * 2, mostMs);
      return now * (0.5 + random() / 2);
    },
    reset: () => {
      delayMs = apiRetryLeastMs;
    },
  };
}
