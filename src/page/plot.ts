/**
 * Plots of a trigger's last quarter of an hour.
 *
 * @module
 */

import uPlot from "uplot";
import { plotWindowSeconds } from "#core/limits.ts";
import type { TriggerStatusRow } from "#observe/status.ts";
import type { DecisionPoint } from "#observe/trigger-history.ts";

export interface Plot {
  readonly update: (row: TriggerStatusRow, points: readonly DecisionPoint[]) => void;
  readonly remove: () => void;
}

export type PlotKind = "value" | "replicas";

type Numbers = (number | null)[];

const labels: Readonly<Record<PlotKind, readonly [string, string]>> = {
  value: ["value", "target"],
  replicas: ["replicas", "desired"],
};

/** Fills `parent`; follows its width and the colours of the theme. */
export function plot(parent: HTMLElement, kind: PlotKind, height: number): Plot {
  let drawn: uPlot | undefined;
  let newest: uPlot.AlignedData | undefined;
  const draw = () => {
    drawn?.destroy();
    drawn = new uPlot(options(parent, kind, height), newest, parent);
  };
  const observer = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry?.contentRect.width ?? 0);
    if (width > 0 && drawn?.width !== width) drawn?.setSize({ width, height });
  });
  observer.observe(parent);
  const theme = matchMedia("(prefers-color-scheme: dark)");
  theme.addEventListener("change", draw);
  return {
    update: (row, points) => {
      newest = kind === "value" ? valueData(row, points) : replicaData(points);
      if (drawn === undefined) draw();
      else drawn.setData(newest);
    },
    remove: () => {
      observer.disconnect();
      theme.removeEventListener("change", draw);
      drawn?.destroy();
    },
  };
}

function options(parent: HTMLElement, kind: PlotKind, height: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--quiet"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  const [main, reference] = labels[kind];
  const steps = kind === "replicas" ? uPlot.paths.stepped?.({ align: 1 }) : undefined;
  return {
    width: Math.max(parent.clientWidth, 50),
    height,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { range: (_plot, _least, most) => [most - plotWindowSeconds, most] },
      y: { range: (_plot, _least, most) => [0, Math.max(most * 1.1, 1)] },
    },
    axes: [
      { ...axis, size: 22, space: 70, values: (_plot, times) => times.map(clockTime) },
      { ...axis, size: 44, space: 28 },
    ],
    series: [
      {},
      {
        label: main,
        stroke: colour("--accent"),
        width: 2,
        points: { show: false },
        ...(steps && { paths: steps }),
      },
      {
        label: reference,
        stroke: colour("--target"),
        width: 1.5,
        dash: [5, 4],
        points: { show: false },
        ...(steps && { paths: steps }),
      },
    ],
  };
}

function clockTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  return `${date.getHours()}:${`${date.getMinutes()}`.padStart(2, "0")}`;
}

/** The value, and what it would be if each replica had exactly its target. */
function valueData(
  { trigger, workload }: TriggerStatusRow,
  points: readonly DecisionPoint[],
): uPlot.AlignedData {
  const perReplica = workload?.metricType === "AverageValue";
  const target = (point: DecisionPoint) => {
    if (trigger === undefined) return null;
    return perReplica ? trigger.target * Math.max(point.replicas ?? 1, 1) : trigger.target;
  };
  return [times(points), points.map(({ value }) => value ?? null), points.map(target)];
}

function replicaData(points: readonly DecisionPoint[]): uPlot.AlignedData {
  return [
    times(points),
    points.map(({ replicas }) => replicas ?? null) as Numbers,
    points.map(({ desiredReplicas }) => desiredReplicas ?? null) as Numbers,
  ];
}

function times(points: readonly DecisionPoint[]): number[] {
  return points.map(({ atMs }) => atMs / 1000);
}
