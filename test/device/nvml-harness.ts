import { afterAll } from "bun:test";
import type { Clock } from "#core/clock.ts";
import type { Facts, LogLevel } from "#core/log.ts";
import type { BlockingCollector, CollectedDevice, Demand } from "#device/collector.ts";
import { nvmlCollector } from "#device/nvml/collector.ts";
import type { DeviceSample } from "#metric/sample.ts";
import type { Variant } from "../nvml-standin/build.ts";
import { nvmlStandin, type Standin } from "../nvml-standin/control.ts";

export interface Harness {
  readonly nvml: Standin;
  readonly collector: BlockingCollector;
  readonly lines: readonly { level: LogLevel; event: string; facts: Facts | undefined }[];
  /** Lets time pass, then collects. */
  readonly collectAfter: (ms: number, demand?: Demand) => readonly CollectedDevice[];
}

/** A collector over a stand-in of its own, with a clock that only `after` moves. */
export async function harness(variant: Variant = "full"): Promise<Harness> {
  const nvml = await nvmlStandin({ variant });
  nvml.attach();
  const lines: { level: LogLevel; event: string; facts: Facts | undefined }[] = [];
  let nowMs = 1_000_000;
  const clock: Clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: () => () => undefined,
    every: () => () => undefined,
  };
  const collector = nvmlCollector({
    libraryPaths: [nvml.libraryPath],
    clock,
    log: (level, event, facts) => lines.push({ level, event, facts }),
  });
  afterAll(() => {
    collector.close();
    nvml.remove();
  });
  return {
    nvml,
    collector,
    lines,
    collectAfter: (ms, demand = { pcieThroughput: false }) => {
      nowMs += ms;
      return collector.collect(demand).devices;
    },
  };
}

export const uuidOf = (gpu: number): string =>
  `GPU-${gpu.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`;

/** The sample of one of the stand-in's GPUs, wherever the driver lists it. */
export function sampleOf<Device extends DeviceSample>(
  devices: readonly Device[],
  gpu: number,
): Device {
  const sample = devices.find(({ uuid }) => uuid === uuidOf(gpu));
  if (sample === undefined) throw new Error(`GPU ${gpu} is not in the collection`);
  return sample;
}
