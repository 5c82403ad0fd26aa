/**
 * A collector without a device: plays a YAML file, or four GPUs under a changing load.
 *
 * It stands in for a driver down to its failures: it blocks the thread when told to hang, and loses
 * devices. Time starts again with each version of the
 * file, and each version is a driver session of its own, for indexes may have changed.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import type { Clock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import type { BlockingCollector, Demand } from "#device/collector.ts";
import { type Absence, costlyReadings, type ReadingName, readingNames } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";
import defaultText from "./default.yaml" with { type: "text" };
import { followFile } from "./file.ts";
import { type Plan, type PlannedDevice, parsePlan } from "./plan.ts";
import type { FaultSpan, MockFaults } from "./schema.ts";
import { valueAt } from "./signal.ts";

export interface MockCollectorOptions {
  readonly file?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Blocks the thread; `Infinity` blocks it for ever. */
  readonly sleep: (ms: number) => void;
}

export function mockCollector({
  file,
  clock,
  log,
  sleep,
}: MockCollectorOptions): BlockingCollector {
  const currentPlan = file === undefined ? embeddedPlan() : followFile(file, log);
  let session = 0;
  let startMs = 0;
  let playing: Plan | undefined;

  const block = ({ slow, hang }: MockFaults, seconds: number) => {
    if (slow !== undefined && within(slow, seconds)) sleep(slow.milliseconds);
    if (!within(hang, seconds)) return;
    log("warn", "mock collector hangs, as its file says");
    sleep(Number.POSITIVE_INFINITY);
  };

  return {
    name: "mock",
    collect: (demand) => {
      const plan = currentPlan();
      if (plan !== playing) {
        playing = plan;
        session += 1;
        startMs = clock.monotonicMs();
      }
      const seconds = (clock.monotonicMs() - startMs) / 1000;
      block(plan.faults, seconds);
      const { driverVersion, libraryVersion } = plan;
      return {
        session,
        driverVersion,
        libraryVersion,
        devices: plan.devices.map((device) => {
          block(device.faults, seconds);
          return sampleOf(device, plan.faults, seconds, demand);
        }),
      };
    },
    close: () => {},
  };
}

function embeddedPlan(): () => Plan {
  const { plan, problems } = parsePlan(defaultText);
  assert(plan !== undefined, `the embedded mock file is valid: ${problems?.join("; ")}`);
  return () => plan;
}

const within = (span: FaultSpan | undefined, seconds: number) =>
  span !== undefined && seconds >= span.fromSeconds && seconds < span.toSeconds;

function sampleOf(
  device: PlannedDevice,
  everyDevice: MockFaults,
  seconds: number,
  demand: Demand,
): DeviceSample {
  const { readings: signals, faults, aheadSeconds, ...identity } = device;
  const lost = within(faults.lost, seconds) || within(everyDevice.lost, seconds);
  const unsupported = new Set([...faults.unsupported, ...everyDevice.unsupported]);
  const readings: Partial<Record<ReadingName, number>> = {};
  const absences: Partial<Record<ReadingName, Absence>> = {};
  const read = (name: ReadingName): number | Absence => {
    const signal = signals[name];
    if (signal === undefined || unsupported.has(name)) return "unsupported";
    if (lost) return "failed";
    if (costlyReadings.has(name) && !demand.pcieThroughput) return "pending";
    return valueAt(signal, seconds + aheadSeconds);
  };
  for (const name of readingNames) {
    const outcome = read(name);
    if (typeof outcome === "number") readings[name] = outcome;
    else absences[name] = outcome;
  }
  return { ...identity, health: lost ? lostHealth : { state: "ok" }, readings, absences };
}

const lostHealth = {
  state: "lost",
  reason: "The mock file says that this device is lost; take `lost` out of its faults",
} as const;
