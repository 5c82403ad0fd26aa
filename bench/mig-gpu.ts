import type { StandinGpu, StandinInstance } from "../test/nvml-standin/control.ts";

/** A GPU that is cut into so many instances, each with an eighth of the memory. */
export function migGpu(count: number): StandinGpu {
  const instances = Array.from(
    { length: count },
    (_none, at): StandinInstance => ({
      gpuInstance: at + 1,
      profile: 19,
      placementStart: at,
      totalMib: 9_728,
      usedMib: 4_000,
      busyPercent: 10 * at,
    }),
  );
  return { mig: 1, instances };
}
