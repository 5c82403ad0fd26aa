/**
 * What the demo came to, against a fleet that never changes.
 *
 * @module
 */
import { perCent, rounded, shortMs, shortSeconds } from "#simulate/report/format.ts";
import { outcomeOf } from "#simulate/report/outcome.ts";
import type { PlayedWorkload } from "./played-workload.ts";

/** @returns Lines of a table with a column for each workload. */
export function summary(workloads: readonly PlayedWorkload[]): readonly string[] {
  const columns = workloads.map(columnOf);
  const titles = Object.keys(columns[0] ?? {}) as (keyof ReturnType<typeof columnOf>)[];
  const seconds = (workloads[0]?.loop.simulation.nowMs() ?? 0) / 1000;
  return [
    `Played ${shortSeconds(seconds)}.`,
    "",
    ["".padEnd(30), ...workloads.map(({ name }) => name.padStart(15))].join(""),
    ...titles.map((title) =>
      [title.padEnd(30), ...columns.map((column) => column[title].padStart(15))].join(""),
    ),
  ];
}

function columnOf({ loop }: PlayedWorkload) {
  const run = loop.run();
  // Only the limit for first tokens needs a number, and that is not shown.
  const { waitMs, gpuHours, replicasMax, zeroSeconds } = outcomeOf(run, { withinMs: 1_000 });
  const { gpus } = loop.simulation.scenario.replica;
  const fixedHours = (replicasMax * gpus * run.seconds) / 3600;
  const zeros = run.events.filter(({ to }) => to === 0).length;
  return {
    "GPU-hours": rounded(gpuHours),
    "GPU-hours of always the most": rounded(fixedHours),
    saved: fixedHours === 0 ? "-" : perCent(100 * (1 - gpuHours / fixedHours)),
    "wait, 95th percentile": waitMs === undefined ? "-" : shortMs(waitMs.p95),
    "most replicas": `${replicasMax}`,
    "times at zero": zeros === 0 ? "0" : `${zeros}, ${shortSeconds(zeroSeconds)}`,
  };
}
