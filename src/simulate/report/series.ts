/**
 * A run's timeline as series over time, for plots.
 *
 * @module
 */
import type { TimelineRow } from "#simulate/run.ts";

export interface PlotSeries {
  readonly title: string;
  readonly of: (row: TimelineRow) => number;
}

/** What is plotted of each run. */
export const plotSeries: readonly PlotSeries[] = [
  { title: "Replicas", of: ({ statusReplicas }) => statusReplicas },
  { title: "Requests waiting", of: ({ queued, waiting }) => queued + waiting },
];

/** The highest value in each of `columns` equal parts of the time; a part without a row goes on. */
export function highestIn(
  timeline: readonly TimelineRow[],
  of: PlotSeries["of"],
  seconds: number,
  columns: number,
): readonly number[] {
  const highest: number[] = [];
  let next = 0;
  let current = timeline[0] === undefined ? 0 : of(timeline[0]);
  for (let column = 0; column < columns; column += 1) {
    const endMs = (seconds * 1000 * (column + 1)) / columns;
    let most = current;
    for (; next < timeline.length; next += 1) {
      const row = timeline[next];
      if (row === undefined || row.atMs > endMs) break;
      current = of(row);
      most = Math.max(most, current);
    }
    highest.push(most);
  }
  return highest;
}
