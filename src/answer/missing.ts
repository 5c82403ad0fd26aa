import { setNewest } from "#core/bounded-map.ts";
import type { Clock } from "#core/clock.ts";
import { missingGraceMs, missingTrackedMax } from "#core/limits.ts";

/** Remembers since when replicas are missing. */
export interface MissingTracker {
  /**
   * Takes in that a replica is missing now.
   *
   * @param key Names the replica and what is asked of it, in a hundred characters or so.
   * @returns Since when it is, on the monotonic clock.
   */
  readonly missing: (key: string) => number;
  /** Takes in that it is there. */
  readonly present: (key: string) => void;
}

/**
 * For what does not say itself when it was last heard: a node that nobody has heard of, an engine
 * that answers and lacks the metric. A replica's time begins when somebody first finds it missing, and
 * anew whenever it was there in between or nobody asked for a whole grace. An error here can only make
 * the grace longer, and so keep replicas.
 */
export function missingTracker(clock: Pick<Clock, "monotonicMs">): MissingTracker {
  /** In the order in which they were last asked for. */
  const entries = new Map<string, { readonly sinceMs: number; readonly askedAtMs: number }>();

  const forgetOld = (nowMs: number) => {
    for (const [key, { askedAtMs }] of entries) {
      if (nowMs - askedAtMs <= missingGraceMs) return;
      entries.delete(key);
    }
  };
  return {
    missing: (key) => {
      const nowMs = clock.monotonicMs();
      forgetOld(nowMs);
      const sinceMs = entries.get(key)?.sinceMs ?? nowMs;
      setNewest(entries, key, { sinceMs, askedAtMs: nowMs }, missingTrackedMax);
      return sinceMs;
    },
    present: (key) => void entries.delete(key),
  };
}
