/**
 * `snapshot`: passes over the devices as text, a table for people, JSON and CSV for programs.
 *
 * An absent reading is `-` in the table, a missing key in JSON and an empty field in CSV: never 0.
 *
 * @module
 */
import { collectorFlags, collectorOptions } from "#cli/collector-flags.ts";
import { command } from "#cli/command.ts";
import { choice, duration, flag } from "#cli/flags.ts";
import type { Clock } from "#core/clock.ts";
import { snapshotSettleMs, snapshotWatchdogMs } from "#core/limits.ts";
import { lineLog } from "#core/log.ts";
import { columnLines } from "#core/text-lines.ts";
import type { Collection, CollectorOptions } from "#device/collector.ts";
import { startSampler } from "#device/sampler.ts";
import { spawnThread } from "#device/thread.ts";
import { type Readings, readingNames } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";

export interface SnapshotOptions {
  readonly format: SnapshotFormat;
  /** Absent: one snapshot. */
  readonly intervalMs?: number | undefined;
  readonly collector: CollectorOptions;
  readonly clock: Clock;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Resolves with what asked the process to stop. */
  readonly stopSignal: Promise<string>;
}

/**
 * Prints the readings of the devices: once, or at every interval until stopped.
 *
 * @returns The exit code: 1 when the devices could not be read.
 */
async function snapshot(options: SnapshotOptions): Promise<number> {
  const { format, intervalMs, collector, clock, stdout, stderr, stopSignal } = options;
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  let hasFailed = false;
  const fail = ({ message }: { readonly message: string }) => {
    if (!hasFailed) stderr(`keda-gpu-scaler: ${message}\n`);
    hasFailed = true;
    end(1);
  };
  let passes = 0;
  const sampler = startSampler({
    options: collector,
    sampleIntervalMs: intervalMs ?? snapshotSettleMs,
    watchdogMs: snapshotWatchdogMs,
    clock,
    log: lineLog({ level: "error", format: "text", write: stderr, clock }),
    spawn: spawnThread,
    onCollection: ({ collection, takenAtMs }) => {
      passes += 1;
      if (intervalMs === undefined && passes !== 2) return;
      const ageMs = clock.monotonicMs() - takenAtMs;
      stdout(formatSnapshot[format]({ takenAtMs: clock.wallMs() - ageMs, collection }));
      if (intervalMs === undefined) end(0);
    },
    onChange: ({ fault }) => {
      if (fault !== undefined) fail(fault);
    },
    onDead: fail,
  });
  const code = await Promise.race([ended, stopSignal.then(() => 0)]);
  await sampler.stop();
  return code;
}

const snapshotFormats = ["table", "json", "csv"] as const;
type SnapshotFormat = (typeof snapshotFormats)[number];

/** One pass over the devices, at a time since 1970. */
interface Snapshot {
  readonly takenAtMs: number;
  readonly collection: Collection;
}

/** Ends with a newline; repeated snapshots can be written one after the other. */
const formatSnapshot: Readonly<Record<SnapshotFormat, (snapshot: Snapshot) => string>> = {
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
  return `${[head, ...columnLines([headings, ...rows])].join("\n")}\n`;
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

const second = 1_000;
const hour = 3_600 * second;

export const snapshotCommand = command("snapshot", {
  summary: "Print the devices' readings",
  flags: {
    format: flag(choice(snapshotFormats), {
      fallback: "table",
      help: "How the readings are written",
    }),
    interval: flag(duration(100, hour), {
      help: "Repeat at this interval until stopped; without it, once",
    }),
    ...collectorFlags,
  },
  examples: ["keda-gpu-scaler snapshot --format json"],
  run: ({ flags }, { clock, stdout, stderr, stopSignal }) => {
    const { format, interval: intervalMs } = flags;
    const collector = collectorOptions(flags);
    return snapshot({ format, intervalMs, collector, clock, stdout, stderr, stopSignal });
  },
});
