/**
 * How much counters grow in a second.
 *
 * An exporter that collects every 30 s prints one value 29 times, which would read as 0 and then as a
 * burst. So a rate is taken from one change of a counter to the next.
 *
 * @module
 */

interface Counter {
  readonly value: number;
  /** When this value was first seen. */
  readonly atMs: number;
  /** Whether it was new then: the first value of all may be as old as the exporter's interval. */
  readonly isNew: boolean;
  readonly rate?: number | undefined;
}

export interface Rates {
  /**
   * @param key Names the counter.
   * @returns `undefined` until it changed between two reads, and again after it began anew.
   */
  readonly rateOf: (key: string, value: number, atMs: number) => number | undefined;
}

/** @param collectionMs The exporter's own interval; 0 where each page is new. */
export function counterRates(collectionMs: number): Rates {
  const counters = new Map<string, Counter>();
  return {
    rateOf: (key, value, atMs) => {
      const next = nextOf(counters.get(key), value, atMs, collectionMs);
      counters.set(key, next);
      return next.rate;
    },
  };
}

function nextOf(
  before: Counter | undefined,
  value: number,
  atMs: number,
  collectionMs: number,
): Counter {
  const isNew = collectionMs === 0;
  if (before === undefined || value < before.value) return { value, atMs, isNew };
  const spanMs = atMs - before.atMs;
  if (spanMs <= 0) return before;
  if (value > before.value || isNew) {
    const rate = before.isNew ? ((value - before.value) / spanMs) * 1000 : undefined;
    return { value, atMs, isNew: true, rate };
  }
  // Two collections that found nothing more: it stands still.
  return spanMs > 2 * collectionMs ? { ...before, rate: 0 } : before;
}
