/**
 * The demo without a terminal: a row for each workload now and then, which a program can read too.
 *
 * @module
 */

import { momentOf } from "./panel.ts";
import type { PlayedWorkload } from "./played-workload.ts";
import { timeText } from "./text.ts";

const columns = {
  time: 10,
  workload: -10,
  load: 7,
  waiting: 9,
  running: 9,
  value: 9,
  target: 8,
  ready: 7,
  asked: 7,
} as const;
type Column = keyof typeof columns;

function row(cells: Readonly<Record<Column, string>>): string {
  return Object.entries(columns)
    .map(([column, width]) => {
      const cell = cells[column as Column];
      return width < 0 ? cell.padEnd(-width) : cell.padStart(width);
    })
    .join("")
    .trimEnd();
}

export const heading = row({
  time: "time".padEnd(10),
  workload: "workload",
  load: "load/s",
  waiting: "waiting",
  running: "running",
  value: "value",
  target: "target",
  ready: "ready",
  asked: "asked",
});

export function rowOf(workload: PlayedWorkload): string {
  const { loadPerSecond, waiting, running, ready, specReplicas } = momentOf(workload);
  const value = workload.triggers()[0]?.value;
  return row({
    time: timeText(workload.loop.simulation.nowMs()).padEnd(10),
    workload: workload.name,
    load: loadPerSecond.toFixed(2),
    waiting: `${waiting}`,
    running: `${running}`,
    value: value?.result?.toFixed(1) ?? value?.fault?.code ?? "-",
    target: `${workload.targets[0]}`,
    ready: `${ready}`,
    asked: `${specReplicas}`,
  });
}
