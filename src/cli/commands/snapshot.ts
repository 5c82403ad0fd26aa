/**
 * `snapshot`: passes over the devices, all of them or a job's.
 *
 * @module
 */
import { collectorFlags, collectorOptions } from "#cli/collector-flags.ts";
import { command } from "#cli/command.ts";
import { choice, deviceNames, duration, flag, repeatedFlag } from "#cli/flags.ts";
import {
  formatSnapshot,
  type SnapshotEnvironment,
  type SnapshotFormat,
  snapshotFormats,
} from "#cli/snapshot-formats.ts";
import type { Clock } from "#core/clock.ts";
import { snapshotSettleMs, snapshotWatchdogMs } from "#core/limits.ts";
import { lineLog } from "#core/log.ts";
import type { Collection, CollectorOptions } from "#device/collector.ts";
import {
  detectedJob,
  type JobEnvironment,
  type JobVariables,
  jobEnvironment,
  jobKinds,
  selectDevices,
} from "#device/job.ts";
import { startSampler } from "#device/sampler.ts";
import { spawnThread } from "#device/thread.ts";

export interface SnapshotOptions {
  readonly format: SnapshotFormat;
  /** Absent: one snapshot. */
  readonly intervalMs?: number | undefined;
  readonly collector: CollectorOptions;
  /** Whose devices are printed. */
  readonly environment: JobEnvironment;
  /** Of these, the ones that are printed, by index or UUID; absent: all. */
  readonly deviceNames?: readonly string[] | undefined;
  readonly clock: Clock;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Resolves with what asked the process to stop. */
  readonly stopSignal: Promise<string>;
}

/**
 * Prints the readings of the devices: once, or at every interval until stopped.
 *
 * @returns The exit code: 1 when the devices could not be read, or one that was named is not there.
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
      const selection = selectionOf(collection, options);
      if (selection.problem !== undefined) return fail({ message: selection.problem });
      stdout(formatSnapshot[format]({ takenAtMs: clock.wallMs() - ageMs, ...selection }));
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

type Selection =
  | {
      readonly collection: Collection;
      readonly environment: SnapshotEnvironment;
      readonly problem?: never;
    }
  | { readonly problem: string };

/** What of a pass is the job's, and of that what the command line names. */
function selectionOf(
  collection: Collection,
  { environment, deviceNames: names }: Pick<SnapshotOptions, "environment" | "deviceNames">,
): Selection {
  const job =
    environment.devices === undefined
      ? { devices: collection.devices, unmatched: undefined }
      : selectDevices(collection.devices, environment.devices, environment.variable);
  const unmatched = job.unmatched?.length === 0 ? undefined : job.unmatched;
  if (names === undefined)
    return {
      collection: { ...collection, devices: job.devices },
      environment: { ...environment, unmatched },
    };
  const selected = selectDevices(job.devices, names);
  const [missing] = selected.unmatched;
  if (missing !== undefined) {
    const there = job.devices.map(({ index, uuid }) => `${index} (${uuid})`).join(", ") || "none";
    return {
      problem: `Cannot print device ${missing}: the devices here are ${there}; correct --device, or take --env standalone for all of the machine`,
    };
  }
  return {
    collection: { ...collection, devices: selected.devices },
    environment: { ...environment, unmatched },
  };
}

/** The mock collector's devices are no job's. */
function environmentOf(
  name: "auto" | JobEnvironment["kind"],
  { collector }: CollectorOptions,
  variables: JobVariables,
): JobEnvironment {
  const detected = collector === "mock" ? "standalone" : detectedJob(variables);
  return jobEnvironment(name === "auto" ? detected : name, variables);
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
    env: flag(choice(["auto", ...jobKinds]), {
      fallback: "auto",
      help: "Whose devices: those of the pod, Slurm job or Flux job, or with standalone all of the machine",
    }),
    device: repeatedFlag(deviceNames, {
      help: "Only these of them, by index or the beginning of a UUID; several times or with commas",
    }),
    ...collectorFlags,
  },
  examples: [
    "keda-gpu-scaler snapshot --format json",
    "srun keda-gpu-scaler snapshot --env slurm --interval 10s --format csv",
  ],
  run: ({ flags }, { environment: process, clock, stdout, stderr, stopSignal }) => {
    const { format, interval: intervalMs } = flags;
    const collector = collectorOptions(flags, process);
    const environment = environmentOf(flags.env, collector, process.jobVariables ?? {});
    const runtime = { clock, stdout, stderr, stopSignal };
    const names = flags.device?.flat();
    return snapshot({
      ...{ format, intervalMs, collector, environment, deviceNames: names },
      ...runtime,
    });
  },
});
