/**
 * The recent past of one metric of one device, for time-weighted means.
 *
 * A value stands for the time since the sample before it, as the driver's own averages do. The past
 * is kept as slices of time with their integral; when there are too many, the two neighbours whose
 * border matters least for their age become one. So short windows stay exact, long ones blur at
 * their far end alone (by about a tenth of the window), and memory is bounded whatever the interval.
 *
 * @module
 */
import { windowSecondsMax, windowSlicesMax } from "#core/limits.ts";

const windowMsMax = windowSecondsMax * 1000;

interface Slice {
  readonly startMs: number;
  readonly endMs: number;
  /** Time for which there was a value; less than the slice where samples were absent. */
  readonly coveredMs: number;
  /** Value times milliseconds. */
  readonly integral: number;
}

export interface ValueWindow {
  /**
   * Adds a sample; one that is not newer than the last is left out.
   *
   * @param value Absent: nothing is known of the time since the sample before.
   * @param gapMs Longest time that one value may stand for; after a longer one it starts again.
   */
  readonly push: (atMs: number, value: number | undefined, gapMs: number) => void;
  /**
   * Mean over the window that ends with the newest sample, or over what is known of it.
   *
   * @returns `undefined` when nothing is.
   */
  readonly mean: (windowMs: number) => number | undefined;
  /** How much is kept: at most `windowSlicesMax`. */
  readonly sliceCount: () => number;
}

export function valueWindow(): ValueWindow {
  const slices: Slice[] = [];
  let newest: { readonly atMs: number; readonly value: number | undefined } | undefined;
  return {
    push: (atMs, value, gapMs) => {
      if (newest !== undefined && atMs <= newest.atMs) return;
      const startMs = newest?.atMs ?? atMs;
      newest = { atMs, value };
      const lengthMs = atMs - startMs;
      if (value === undefined || lengthMs === 0 || lengthMs > gapMs) return;
      slices.push({ startMs, endMs: atMs, coveredMs: lengthMs, integral: value * lengthMs });
      while (slices[0] !== undefined && slices[0].endMs <= atMs - windowMsMax) slices.shift();
      if (slices.length > windowSlicesMax) joinLeast(slices, atMs);
    },
    mean: (windowMs) => {
      if (newest === undefined) return undefined;
      const fromMs = newest.atMs - windowMs;
      let coveredMs = 0;
      let integral = 0;
      for (const slice of slices) {
        if (slice.endMs <= fromMs) continue;
        const insideMs = slice.endMs - Math.max(slice.startMs, fromMs);
        const share = insideMs / (slice.endMs - slice.startMs);
        coveredMs += slice.coveredMs * share;
        integral += slice.integral * share;
      }
      // The first sample stands for no time yet, but it is all there is.
      return coveredMs > 0 ? integral / coveredMs : newest.value;
    },
    sliceCount: () => slices.length,
  };
}

/** Joins the neighbours that are shortest for their age. */
function joinLeast(slices: Slice[], nowMs: number): void {
  let leastAt = 1;
  let leastCost = Number.POSITIVE_INFINITY;
  let earlier: Slice | undefined;
  let at = 0;
  // Runs for every sample of every device, so it makes nothing.
  for (const slice of slices) {
    if (earlier !== undefined) {
      const cost = (slice.endMs - earlier.startMs) / (nowMs - earlier.startMs);
      if (cost < leastCost) {
        leastCost = cost;
        leastAt = at;
      }
    }
    earlier = slice;
    at += 1;
  }
  const [first, second] = [slices[leastAt - 1], slices[leastAt]];
  if (first === undefined || second === undefined) return;
  slices.splice(leastAt - 1, 2, {
    startMs: first.startMs,
    endMs: second.endMs,
    coveredMs: first.coveredMs + second.coveredMs,
    integral: first.integral + second.integral,
  });
}
