/**
 * How much counters grow in a second.
 *
 * @module
 */

/** A counter's value, and when it was read. */
interface Count {
  readonly value: number;
  readonly atMs: number;
}

export interface Rates {
  /**
   * @param key Names the counter.
   * @returns `undefined` until it was read twice, and again after it began anew.
   */
  readonly rateOf: (key: string, value: number, atMs: number) => number | undefined;
}

/**
 * @param leastMs Time that a rate spans at least: an exporter that collects every 30 s prints the same
 *   value 29 times, which would read as 0 and then as a burst.
 */
export function counterRates(leastMs: number): Rates {
  const counts = new Map<string, Count>();
  const latest = new Map<string, number>();
  return {
    rateOf: (key, value, atMs) => {
      const before = counts.get(key);
      if (before === undefined || value < before.value) {
        counts.set(key, { value, atMs });
        latest.delete(key);
        return undefined;
      }
      const spanMs = atMs - before.atMs;
      if (spanMs > 0 && spanMs >= leastMs) {
        latest.set(key, ((value - before.value) / spanMs) * 1000);
        counts.set(key, { value, atMs });
      }
      return latest.get(key);
    },
  };
}
