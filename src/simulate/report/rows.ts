/**
 * The rows of the table that compares runs: the same in the terminal and on the page.
 *
 * @module
 */
import { formatDuration } from "#core/duration.ts";
import { perCent, rounded, shortMs, shortSeconds } from "./format.ts";
import type { Outcome } from "./outcome.ts";
import type { Report } from "./report.ts";

export interface ReportRow {
  readonly title: string;
  /** Of each run, in their order. */
  readonly cells: readonly string[];
}

type Cell = (outcome: Outcome) => string | undefined;

export function reportRows({
  runs,
  withinMs,
  gpuHourPrice,
  seconds,
}: Report): readonly ReportRow[] {
  const row = (title: string, cell: Cell): ReportRow => ({
    title,
    cells: runs.map(({ outcome }) => cell(outcome) ?? "-"),
  });
  const ms =
    (name: "waitMs" | "firstTokenMs", percentile: "p50" | "p95" | "p99"): Cell =>
    ({ [name]: of }) =>
      of && shortMs(of[percentile]);
  const cost = row("Cost", ({ cost: own }) => (own === undefined ? undefined : rounded(own)));
  return [
    row("Requests", ({ requests }) => `${requests}`),
    row("Wait p50", ms("waitMs", "p50")),
    row("Wait p95", ms("waitMs", "p95")),
    row("Wait p99", ms("waitMs", "p99")),
    row("First token p50", ms("firstTokenMs", "p50")),
    row("First token p95", ms("firstTokenMs", "p95")),
    row("First token p99", ms("firstTokenMs", "p99")),
    row(`First token in ${formatDuration(withinMs)}`, ({ withinPercent: share }) =>
      share === undefined ? undefined : perCent(share),
    ),
    row("Unserved at the end", ({ unserved }) => `${unserved}`),
    row("GPU-hours", ({ gpuHours }) => rounded(gpuHours)),
    ...(gpuHourPrice === undefined ? [] : [cost]),
    row("Replicas, mean", ({ replicasMean }) => rounded(replicasMean)),
    row("Replicas, most", ({ replicasMax }) => `${replicasMax}`),
    row("Scaled up / down", ({ scaleUps, scaleDowns }) => `${scaleUps} / ${scaleDowns}`),
    row("Time at zero", ({ zeroSeconds }) =>
      zeroSeconds === 0
        ? "0"
        : `${shortSeconds(zeroSeconds)}, ${perCent((100 * zeroSeconds) / seconds)}`,
    ),
    row("Met a cold start", ({ coldStarts }) => `${coldStarts}`),
    row("Began anew", ({ interrupted }) => `${interrupted}`),
    row("Syncs without value", ({ syncs, syncsWithoutValue }) => `${syncsWithoutValue} / ${syncs}`),
  ];
}
