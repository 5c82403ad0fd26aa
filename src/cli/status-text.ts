/**
 * Rows of the status as columns of text.
 *
 * @module
 */
import { spanText } from "#core/span-text.ts";
import type { DeviceStatusRow, NodeStatusRow, Status, TriggerStatusRow } from "#observe/status.ts";

/** `no answer` goes before a warning, and that before activity: what a person looks for first. */
export function stateText({ value, activity, warnings }: TriggerStatusRow): string {
  const fault = value?.fault ?? activity?.fault;
  if (fault !== undefined) return `no answer (${fault.code})`;
  const state = activity?.result === false ? "idle" : "active";
  return warnings.length === 0 ? state : `${state}, ${warnings.map(({ code }) => code).join()}`;
}

/** With headings; a line for each trigger. */
export function triggerColumns({ triggers }: Pick<Status, "triggers">): string[][] {
  const rows = triggers.map((row) => [
    `${row.namespace}/${row.name}`,
    row.trigger?.metric ?? "-",
    rounded(row.value?.result),
    rounded(row.trigger?.target),
    replicasText(row),
    stateText(row),
  ]);
  return [["WORKLOAD", "METRIC", "VALUE", "TARGET", "REPLICAS", "STATE"], ...rows];
}

/** `3 -> 4 (1-9)`: as it is, what the HPA is asked for, and the limits. */
function replicasText({ workload, value }: TriggerStatusRow): string {
  if (workload === undefined) return "-";
  const { replicas, desiredReplicas, minReplicas, maxReplicas } = workload;
  // Without an answer the HPA is asked for nothing, whatever it was before.
  const isAsked = value?.fault === undefined && desiredReplicas !== undefined;
  const desired = isAsked && desiredReplicas !== replicas ? ` -> ${desiredReplicas}` : "";
  return `${replicas}${desired} (${minReplicas}-${maxReplicas})`;
}

/** With headings; a line for each device. */
export function deviceColumns({ nodes, atMs }: Pick<Status, "nodes" | "atMs">): string[][] {
  return [
    ["NODE", "GPU", "UTIL %", "MEM GiB", "POWER W", "TEMP °C", "AGE", "HEALTH", "HELD BY"],
    ...nodes.flatMap((node) => deviceRows(node, atMs)),
  ];
}

const bytesPerGib = 1024 ** 3;

function deviceRows({ name, sampledAtMs, devices }: NodeStatusRow, atMs: number): string[][] {
  return devices.map(({ index, readings, health, conditions = [], holders }) => {
    const milliwatts = readings.powerInstantMilliwatts ?? readings.powerAverageMilliwatts;
    const [used, total] = [readings.memoryUsedBytes, readings.memoryTotalBytes];
    return [
      name,
      `${index}`,
      rounded(readings.utilizationPercent),
      `${rounded(used && used / bytesPerGib)}/${rounded(total && total / bytesPerGib)}`,
      rounded(milliwatts && milliwatts / 1_000),
      rounded(readings.temperatureCelsius),
      spanText(atMs - sampledAtMs),
      healthText(health.state, conditions),
      holders.map(({ namespace, pod }) => `${namespace}/${pod}`).join(" ") || "-",
    ];
  });
}

/** `ok, thermal-slowdown`: the state, and what else a person should know. */
function healthText(state: string, conditions: DeviceStatusRow["conditions"]): string {
  return [state, ...conditions.map(({ kind }) => kind)].join(", ");
}

function rounded(value: number | undefined): string {
  if (value === undefined) return "-";
  return Math.abs(value) >= 100 ? value.toFixed(0) : `${Math.round(value * 10) / 10}`;
}
