/**
 * A pass over the devices as text: a table for people, JSON and CSV for programs.
 *
 * An absent reading is `-` in the table, a missing key in JSON and an empty field in CSV: never 0.
 *
 * @module
 */
import { columnLines } from "#core/text-lines.ts";
import type { Collection } from "#device/collector.ts";
import type { JobEnvironment } from "#device/job.ts";
import { type Readings, readingNames } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";

export const snapshotFormats = ["table", "json", "csv"] as const;
export type SnapshotFormat = (typeof snapshotFormats)[number];

/** The job that the process is part of. */
export interface SnapshotEnvironment extends JobEnvironment {
  /** Of `devices`: what names none that can be read here. */
  readonly unmatched?: readonly string[] | undefined;
}

/** One pass over the devices, at a time since 1970. */
export interface Snapshot {
  readonly takenAtMs: number;
  readonly environment: SnapshotEnvironment;
  readonly collection: Collection;
}

/** Ends with a newline; repeated snapshots can be written one after the other. */
export const formatSnapshot: Readonly<Record<SnapshotFormat, (snapshot: Snapshot) => string>> = {
  table,
  json: ({ takenAtMs, environment, collection }) => {
    const takenAt = new Date(takenAtMs).toISOString();
    return `${JSON.stringify({ takenAt, environment, ...collection })}\n`;
  },
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

function table({ takenAtMs, environment, collection }: Snapshot): string {
  const { driverVersion = "unknown", libraryVersion = "unknown", devices } = collection;
  const head = `${new Date(takenAtMs).toISOString()}  driver ${driverVersion}  library ${libraryVersion}${jobText(environment)}`;
  const headings = Object.keys(columns);
  const rows = devices.map((device) =>
    Object.values(columns).map((cell) => String(cell(device) ?? "-")),
  );
  return `${[head, ...columnLines([headings, ...rows])].join("\n")}\n`;
}

function csv({ takenAtMs, collection }: Snapshot): string {
  const identity = ["index", "uuid", "model", "minor", "pciBusId", "vendor"] as const;
  const headings = ["takenAt", ...identity, "health", ...readingNames, "conditions"];
  const takenAt = new Date(takenAtMs).toISOString();
  const rows = collection.devices.map((device) => [
    takenAt,
    ...identity.map((name) => device[name]),
    device.health.state,
    ...readingNames.map((name) => device.readings[name]),
    device.conditions.map(({ kind }) => kind).join(" "),
  ]);
  return `${[headings, ...rows].map((row) => row.map(field).join(",")).join("\n")}\n`;
}

/** RFC 4180: quotes only where the text needs them. */
function field(value: string | number | undefined): string {
  const text = String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Whose devices the table has, where they are not all of the machine. */
function jobText({ kind, jobId, variable, devices, unmatched }: SnapshotEnvironment): string {
  if (kind === "standalone") return "";
  const job = jobId === undefined ? kind : `${kind} job ${jobId}`;
  if (variable === undefined) return `  ${job}: all devices`;
  const missing = unmatched === undefined ? "" : `, not here: ${unmatched.join(",")}`;
  return `  ${job}: ${variable}=${devices?.join(",")}${missing}`;
}
