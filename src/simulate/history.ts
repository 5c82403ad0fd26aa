/**
 * What an engine has counted, as a scraper would have seen it: one row of counters and gauges each
 * time it is scraped, for as long as the widest window lasts.
 *
 * @module
 */
import { engineIntervalMs, windowSecondsMax } from "#core/limits.ts";

/** Upper bounds in seconds of vLLM's `time_to_first_token_seconds`; the last bucket has none. */
export const firstTokenEdges = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
  160, 640, 2560,
] as const;
/** As above, of `e2e_request_latency_seconds`. */
export const endToEndEdges = [
  0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
] as const;

/** Columns of a row: gauges of the moment, then counters from the engine's start. */
export const column = {
  running: 0,
  waiting: 1,
  kvShare: 2,
  finished: 3,
  arrived: 4,
  promptTokens: 5,
  outputTokens: 6,
  /** Milliseconds, the sum over those that were admitted. */
  queueWait: 7,
  admitted: 8,
  firstToken: 9,
  endToEnd: 9 + firstTokenEdges.length + 1,
} as const;
const width = column.endToEnd + endToEndEdges.length + 1;
export type HistoryColumn = (typeof column)[keyof typeof column];

/** As many as the widest window has, and a few more. */
const rowsMax = (windowSecondsMax * 1000) / engineIntervalMs + 3;

export interface EngineHistory {
  /** The engine writes what it counts here. */
  readonly now: Float64Array;
  /** Keeps what is in `now` as a scrape. */
  readonly keep: (atMs: number) => void;
  readonly count: () => number;
  /** Of the scrape that is `back` scrapes before the newest. */
  readonly atMs: (back: number) => number;
  readonly value: (back: number, at: number) => number;
  /** Observes a time in the histogram that begins at a column and has these bounds in seconds. */
  readonly observe: (from: number, edges: readonly number[], observedMs: number) => void;
}

export function engineHistory(): EngineHistory {
  const now = new Float64Array(width);
  // Grown as scrapes come: most engines of a long run live for a few minutes.
  let rows = new Float64Array(width);
  let times = new Float64Array(1);
  let kept = 0;
  const capacity = () => times.length;
  const rowOf = (back: number) => (kept - 1 - back) % capacity();
  return {
    now,
    keep: (atMs) => {
      if (kept === capacity() && kept < rowsMax) {
        const more = Math.min(rowsMax, capacity() * 2);
        const [widerRows, widerTimes] = [new Float64Array(width * more), new Float64Array(more)];
        widerRows.set(rows);
        widerTimes.set(times);
        [rows, times] = [widerRows, widerTimes];
      }
      const row = kept % capacity();
      rows.set(now, row * width);
      times[row] = atMs;
      kept += 1;
    },
    count: () => Math.min(kept, capacity()),
    atMs: (back) => times[rowOf(back)] ?? 0,
    value: (back, at) => rows[rowOf(back) * width + at] ?? 0,
    observe: (from, edges, observedMs) => {
      let bucket = 0;
      while (bucket < edges.length && observedMs > 1000 * (edges[bucket] ?? 0)) bucket += 1;
      now[from + bucket] = (now[from + bucket] ?? 0) + 1;
    },
  };
}
