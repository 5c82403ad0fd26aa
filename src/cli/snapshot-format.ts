/**
 * One pass over the devices as text: a table for people, JSON and CSV for programs.
 *
 * An absent reading is `-` in the table, a missing key in JSON and an empty field in CSV: never 0.
 *
 * @module
 */
import type { Collection } from "#device/collector.ts";
import { type Readings, readingNames } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";

export const snapshotFormats = ["table", "json", "csv"] as const;
export type SnapshotFormat = (typeof snapshotFormats)[number];

export interface Snapshot {
  readonly takenAtMs: number;
  readonly collection: Collection;
}

/** Ends with a newline; repeated snapshots can be written one after the other. */
export const formatSnapshot: Readonly<Record<SnapshotFormat, (snapshot: Snapshot) => string>> = {
  table,
  json: ({ takenAtMs, collection }) =>
    `${JSON.stringify({ takenAt: new Date(takenAtMs).toISOString(), ...collection })}\n`,
  csv,
};

const bytesPerGib = 1024 ** 3;

/** Columns of the table. The unit stands in the heading, so that values can be compared. */
const columns: Readonly<Record<string, (device: DeviceSample) => string | number | undefined>> = {
  GPU: ({ index }) => index,
  NAME: ({ model }) => model,
  "UTIL %": ({ readings }) => readings.utilizationPercent?.toFixed(0),
  "MEM %": ({ readings }) => memoryPercent(readings)?.toFixed(1),
  "USED GiB": ({ readings }) => gib(readings.memoryUsedBytes),
  "TOTAL GiB": ({ readings }) => gib(readings.memoryTotalBytes),
  "TEMP °C": ({ readings }) => readings.temperatureCelsius?.toFixed(0),
  "POWER W": ({ readings }) =>
    watts(readings.powerAverageMilliwatts ?? readings.powerInstantMilliwatts),
  "LIMIT W": ({ readings }) => watts(readings.powerLimitMilliwatts),
  "SM MHz": ({ readings }) => readings.smClockMegahertz?.toFixed(0),
  HEALTH: ({ health }) => health.state,
  UUID: ({ uuid }) => uuid,
};

function memoryPercent({ memoryUsedBytes, memoryTotalBytes }: Readings): number | undefined {
  if (memoryUsedBytes === undefined || memoryTotalBytes === undefined) return undefined;
  return (memoryUsedBytes / memoryTotalBytes) * 100;
}

const gib = (bytes: number | undefined) =>
  bytes === undefined ? undefined : (bytes / bytesPerGib).toFixed(1);
const watts = (milliwatts: number | undefined) =>
  milliwatts === undefined ? undefined : (milliwatts / 1000).toFixed(1);

function table({ takenAtMs, collection }: Snapshot): string {
  const { driverVersion = "unknown", libraryVersion = "unknown", devices } = collection;
  const head = `${new Date(takenAtMs).toISOString()}  driver ${driverVersion}  library ${libraryVersion}`;
  const headings = Object.keys(columns);
  const rows = devices.map((device) =>
    Object.values(columns).map((cell) => String(cell(device) ?? "-")),
  );
  const widths = headings.map((heading, at) =>
    Math.max(heading.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  return `${[head, line(headings), ...rows.map(line)].join("\n")}\n`;
}

function csv({ takenAtMs, collection }: Snapshot): string {
  const identity = ["index", "uuid", "model", "minor", "pciBusId", "vendor"] as const;
  const headings = ["takenAt", ...identity, "health", ...readingNames];
  const takenAt = new Date(takenAtMs).toISOString();
  const rows = collection.devices.map((device) => [
    takenAt,
    ...identity.map((name) => device[name]),
    device.health.state,
    ...readingNames.map((name) => device.readings[name]),
  ]);
  return `${[headings, ...rows].map((row) => row.map(field).join(",")).join("\n")}\n`;
}

/** RFC 4180: quotes only where the text needs them. */
function field(value: string | number | undefined): string {
  const text = String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
