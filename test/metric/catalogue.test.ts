import { describe, expect, test } from "bun:test";
import { memoryCall } from "#device/nvml/calls.ts";
import { instanceMetrics } from "#device/nvml/gpm-api.ts";
import { metricNames, metricOf } from "#metric/catalogue.ts";
import { readingNames } from "#metric/reading.ts";

describe.each(metricNames)("%s", (name) => {
  const row = metricOf(name);

  test("has a unit and a sentence", () => {
    expect(row.unit).not.toBe("");
    expect(row.help).toMatch(/^[A-Z].*[^.]$/);
  });

  if (row.source === "engine") return;

  test("names other metrics instead", () => {
    for (const instead of row.instead) expect<string[]>(metricNames).toContain(instead);
    expect<readonly string[]>(row.instead).not.toContain(name);
  });

  test("is there when its needs are, and absent when one is and has no fallback", () => {
    const all = Object.fromEntries(readingNames.map((reading) => [reading, 10]));
    const needed = Object.fromEntries(row.needs.map((reading) => [reading, 10]));
    expect(row.of(needed)).toBeFinite();
    for (const need of row.needs) {
      const { [need]: _absent, ...rest } = all;
      for (const fallback of row.fallbacks?.[need] ?? []) {
        expect(row.of(rest)).toBe(row.of(all));
        delete rest[fallback];
      }
      expect(row.of(rest)).toBeUndefined();
    }
  });
});

test("metrics have the unit that they say", () => {
  const of = (name: (typeof metricNames)[number], readings: object) => {
    const row = metricOf(name);
    return row.source === "device" ? row.of(readings) : undefined;
  };
  const memory = { memoryUsedBytes: 3 * 1024 ** 3, memoryTotalBytes: 4 * 1024 ** 3 };
  expect(of("memory_used_mib", memory)).toBe(3072);
  expect(of("memory_used_percent", memory)).toBe(75);
  const power = { powerInstantMilliwatts: 350_000, powerLimitMilliwatts: 700_000 };
  expect(of("power_draw", power)).toBe(350);
  expect(of("power_percent", power)).toBe(50);
  expect(of("power_draw", { ...power, powerAverageMilliwatts: 140_000 })).toBe(140);
});

/** A device metric that is one reading as it is. */
test.each([
  ["gpu_utilization", "utilizationPercent", ["sm_utilization", "memory_used_percent"]],
  [
    "memory_utilization",
    "memoryUtilizationPercent",
    ["dram_bandwidth_utilization", "memory_used_percent"],
  ],
  ["temperature", "temperatureCelsius", []],
  ["memory_temperature", "memoryTemperatureCelsius", ["temperature"]],
  ["sm_clock_mhz", "smClockMegahertz", []],
  ["encoder_utilization", "encoderPercent", []],
  ["decoder_utilization", "decoderPercent", []],
  ["pcie_tx_kbps", "pcieTxKilobytesPerSecond", ["memory_utilization"]],
  ["pcie_rx_kbps", "pcieRxKilobytesPerSecond", ["memory_utilization"]],
  ["nvlink_tx_mbps", "nvlinkTxMegabytesPerSecond", ["gpu_utilization"]],
  ["nvlink_rx_mbps", "nvlinkRxMegabytesPerSecond", ["gpu_utilization"]],
  ["sm_utilization", "smUtilizationPercent", ["gpu_utilization"]],
  ["sm_occupancy", "smOccupancyPercent", ["gpu_utilization"]],
  ["tensor_utilization", "tensorUtilizationPercent", ["gpu_utilization"]],
  ["dram_bandwidth_utilization", "dramBandwidthPercent", ["memory_utilization"]],
] as const)("%s is %s, and without it there is %p", (name, reading, instead) => {
  const row = metricOf(name);
  if (row.source !== "device") throw new Error("not a device metric");
  expect(row.of({ [reading]: 7 })).toBe(7);
  expect([...row.instead]).toEqual([...instead]);
});

test("what a MIG instance has is what is read of one", () => {
  const byGpm = new Set(instanceMetrics.makes.map(({ name }) => name));
  for (const name of metricNames) {
    const row = metricOf(name);
    if (row.source !== "device") continue;
    const isOwn = row.needs.every((need) => memoryCall.makes.includes(need));
    const isGpm = row.needs.every((need) => byGpm.has(need));
    expect([name, isOwn, isGpm]).toEqual([name, row.instance === "own", row.instance === "gpm"]);
  }
});
