import { lineLog } from "#core/log.ts";
import type { CollectorOptions } from "#device/collector.ts";
import { startSampler } from "#device/sampler.ts";
import { spawnThread } from "#device/thread.ts";
import type { SnapshotOptions } from "./commands.ts";
import type { World } from "./run.ts";
import { formatSnapshot } from "./snapshot-format.ts";

/** Rates and performance counters are differences: the second sample is the first with all. */
const settleMs = 250;
const patienceMs = 60_000;

/**
 * Prints what the devices say: once, or at every interval until stopped.
 *
 * @returns The exit code: 1 when the devices could not be read.
 */
export async function snapshot(
  { format, interval }: SnapshotOptions,
  options: CollectorOptions,
  { clock, stdout, stderr, stopSignal }: World,
): Promise<number> {
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  let failed = false;
  const fail = (message: string) => {
    if (!failed) stderr(`keda-gpu-scaler: ${message}\n`);
    failed = true;
    end(1);
  };
  let taken = 0;
  const sampler = startSampler({
    options,
    sampleIntervalMs: interval ?? settleMs,
    watchdogMs: patienceMs,
    clock,
    log: lineLog({ level: "error", format: "text", write: stderr, clock }),
    spawn: spawnThread,
    onCollection: ({ collection, takenAtMs }) => {
      taken += 1;
      if (interval === undefined && taken !== 2) return;
      const ageMs = clock.monotonicMs() - takenAtMs;
      stdout(formatSnapshot[format]({ takenAtMs: clock.wallMs() - ageMs, collection }));
      if (interval === undefined) end(0);
    },
    onChange: ({ fault }) => {
      if (fault !== undefined) fail(fault.message);
    },
    onDead: ({ message }) => fail(message),
  });
  const code = await Promise.race([ended, stopSignal.then(() => 0)]);
  await sampler.stop();
  return code;
}
