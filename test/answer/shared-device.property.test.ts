import { expect, test } from "bun:test";
import fc from "fast-check";
import { useNames } from "#metric/device-use.ts";
import { holder, host, inCluster, pod } from "./cluster.ts";
import { gpu } from "./fleet.ts";

const names = ["w", "x", "y", "z"];
const parts = fc
  .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 5 })
  .filter((weights) => weights.some((weight) => weight > 0))
  .map((weights) => {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    // The fifth is of processes in no pod.
    return new Map(names.map((name, at) => [`uid-${name}`, (weights[at] ?? 0) / total]));
  });
const uses = fc
  .subarray(useNames)
  .chain((some) => fc.tuple(...some.map((name) => fc.tuple(fc.constant(name), parts))))
  .map((entries) => Object.fromEntries(entries));
const percent = fc.integer({ min: 0, max: 100 });

test("the values of all holders of a device add up to no more than what was measured on it", () => {
  const readings = fc.record({
    utilizationPercent: percent,
    memoryUtilizationPercent: percent,
    encoderPercent: percent,
    jpegPercent: percent,
    powerAverageMilliwatts: percent,
  });
  const metrics = {
    gpu_utilization: "utilizationPercent",
    memory_utilization: "memoryUtilizationPercent",
    encoder_utilization: "encoderPercent",
    jpeg_utilization: "jpegPercent",
  } as const;
  fc.assert(
    fc.property(uses, readings, (shared, measured) => {
      const holders = names.map((name) => holder(name, { sharedBy: names.length }));
      const device = gpu({ readings: measured, holders, uses: shared });
      const cluster = inCluster({
        nodes: [host("a", [device])],
        pods: names.map((name) => pod(name)),
      });
      for (const [metricType, reading] of Object.entries(metrics)) {
        const { explanation } = cluster.value({ metricType, targetValue: "80" });
        const values = (explanation.workload?.pods ?? []).map(({ value = Number.NaN }) => value);
        expect(values).toHaveLength(names.length);
        expect(values.every((value) => value >= 0)).toBe(true);
        const sum = values.reduce((total, value) => total + value, 0);
        expect(sum).toBeLessThanOrEqual(measured[reading] * (1 + 1e-9) + 1e-9);
      }
    }),
  );
});
