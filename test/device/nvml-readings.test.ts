import { describe, expect, test } from "bun:test";
import { readingNames, readingRanges } from "#metric/reading.ts";
import { harness, sampleOf, uuidOf } from "./nvml-harness.ts";

const gib = 1024 ** 3;

describe("nvmlCollector() reads", () => {
  test("eight GPUs of a new driver, each with its own numbers", async () => {
    const { nvml, collectAfter, collector } = await harness();
    collectAfter(0);
    nvml.set({ each: { fields: { 138: 1e6, 139: 2e6 } } });
    const devices = collectAfter(1000);
    expect(devices).toHaveLength(8);
    expect(collector.collect({ pcieThroughput: false })).toMatchObject({
      session: 1,
      driverVersion: "570.133.20",
      libraryVersion: "12.570.133.20",
    });
    for (const [gpu, device] of devices.entries())
      expect(device).toEqual({
        uuid: uuidOf(gpu),
        index: gpu,
        vendor: "nvidia",
        model: "NVIDIA Stand-in",
        minor: gpu,
        pciBusId: `0000:${(0x10 + gpu).toString(16)}:00.0`,
        health: { state: "ok" },
        conditions: [],
        readings: {
          utilizationPercent: 10 + gpu,
          memoryUtilizationPercent: 5 + gpu,
          memoryTotalBytes: 80 * gib,
          memoryUsedBytes: 20 * gib,
          temperatureCelsius: 40 + gpu,
          memoryTemperatureCelsius: 60 + gpu,
          powerAverageMilliwatts: 310_000 + gpu,
          powerInstantMilliwatts: 320_000 + gpu,
          powerLimitMilliwatts: 700_000,
          energyMillijoules: 5_000_000,
          smClockMegahertz: 1755,
          memoryClockMegahertz: 2619,
          encoderPercent: 3,
          decoderPercent: 4,
          jpegPercent: 2,
          ofaPercent: 1,
          throttleReasonsMask: 4,
          performanceState: 0,
          eccCorrectedErrors: 2,
          eccUncorrectedErrors: 1,
          pcieTxKilobytesPerSecond: 100 * 1048.576,
          pcieRxKilobytesPerSecond: 200 * 1048.576,
          nvlinkTxMegabytesPerSecond: 4000 * 1.048576,
          nvlinkRxMegabytesPerSecond: 3000 * 1.048576,
          smUtilizationPercent: 50 + gpu,
          smOccupancyPercent: 30,
          tensorUtilizationPercent: 20,
          dramBandwidthPercent: 40,
          fp16UtilizationPercent: 15,
          fp32UtilizationPercent: 25,
          fp64UtilizationPercent: 5,
        },
        absences: {},
      });
  });

  test.each(["full", "r535", "r470"] as const)(
    "every reading of branch %s either as a value or as an absence, in its range",
    async (variant) => {
      const { collectAfter } = await harness(variant);
      for (const device of [...collectAfter(0), ...collectAfter(1000), ...collectAfter(1000)]) {
        const names = [...Object.keys(device.readings), ...Object.keys(device.absences)];
        // Its mean power is made of its energy, by whoever takes the samples.
        const read = readingNames.filter((name) => name !== "powerFromEnergyMilliwatts");
        expect(names.toSorted()).toEqual(read.toSorted());
        for (const [name, value] of Object.entries(device.readings)) {
          const { least, most } = readingRanges[name as keyof typeof readingRanges];
          expect(value).toBeWithin(least, most + 1);
        }
      }
    },
  );

  test("what branch 470 has, and says that it lacks the rest", async () => {
    const { nvml, collectAfter } = await harness("r470");
    nvml.set({ gpus: 1, each: { fields: { 138: 1000, 139: 1000 } } });
    const [first] = collectAfter(0);
    nvml.set({ gpus: 1, each: { fields: { 138: 3000, 139: 1000 } } });
    const [device] = collectAfter(2000);
    expect(first?.absences.nvlinkTxMegabytesPerSecond).toBe("pending");
    expect(device?.readings).toMatchObject({
      memoryUsedBytes: 21 * gib, // v1 counts what the driver reserves
      temperatureCelsius: 40,
      throttleReasonsMask: 4,
      powerAverageMilliwatts: 300_000,
      nvlinkTxMegabytesPerSecond: 1.024,
      nvlinkRxMegabytesPerSecond: 0,
    });
    expect(device?.absences).toEqual({
      powerInstantMilliwatts: "unsupported",
      smUtilizationPercent: "unsupported",
      smOccupancyPercent: "unsupported",
      tensorUtilizationPercent: "unsupported",
      dramBandwidthPercent: "unsupported",
      fp16UtilizationPercent: "unsupported",
      fp32UtilizationPercent: "unsupported",
      fp64UtilizationPercent: "unsupported",
      jpegPercent: "unsupported",
      ofaPercent: "unsupported",
      pcieTxKilobytesPerSecond: "pending",
      pcieRxKilobytesPerSecond: "pending",
    });
  });

  test.each([
    ["GA100", [8, 0], "powerInstantMilliwatts"],
    ["Volta", [7, 0], "powerInstantMilliwatts"],
    ["other Ampere", [8, 6], "powerAverageMilliwatts"],
    ["Hopper", [9, 0], "powerAverageMilliwatts"],
  ] as const)("the power of %s by what its driver means by it", async (_chip, cc, name) => {
    const { nvml, collectAfter } = await harness("r470");
    nvml.set({ gpus: 1, each: { computeCapability: cc } });
    const [device] = collectAfter(0);
    const { powerAverageMilliwatts, powerInstantMilliwatts } = device?.readings ?? {};
    expect({ powerAverageMilliwatts, powerInstantMilliwatts }).toEqual({
      powerAverageMilliwatts: undefined,
      powerInstantMilliwatts: undefined,
      [name]: 300_000,
    });
  });

  test("NVLink as a rate, and starts again when its counter does", async () => {
    const { nvml, collectAfter } = await harness();
    const count = (kib: number) =>
      nvml.set({ gpus: 1, each: { hasGpm: false, fields: { 138: kib, 139: kib } } });
    const tx = (ms: number) => {
      const [device] = collectAfter(ms);
      return (
        device?.readings.nvlinkTxMegabytesPerSecond ?? device?.absences.nvlinkTxMegabytesPerSecond
      );
    };
    count(1000);
    expect(tx(0)).toBe("pending");
    count(2_001_000);
    expect(tx(1000)).toBe(2048);
    count(5);
    expect(tx(1000)).toBe("pending");
    count(1_000_005);
    expect(tx(500)).toBe(2048);
  });

  test("GPM only from samples more than 100 ms apart", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 1 });
    const occupancy = (ms: number) => {
      const [device] = collectAfter(ms);
      return device?.readings.smOccupancyPercent ?? device?.absences.smOccupancyPercent;
    };
    const spacingsMs = [0, 60, 40, 1, 101];
    expect(spacingsMs.map(occupancy)).toEqual(["pending", "pending", "pending", 30, 30]);
    expect(nvml.calls().get("nvmlGpmSampleAlloc")).toBe(2);
    expect(nvml.calls().get("nvmlGpmSampleGet")).toBe(3);
  });

  test.each([
    ["a sample fails", { returnCodes: { nvmlGpmSampleGet: 10 } }, "failed"],
    ["the GPU was lost", { gpus: [{ state: 15 }] }, "failed"],
  ] as const)("GPM from a new baseline after %s", async (_why, trouble, absence) => {
    const { nvml, collectAfter } = await harness();
    const occupancy = (ms: number) => {
      const [device] = collectAfter(ms);
      return device?.readings.smOccupancyPercent ?? device?.absences.smOccupancyPercent;
    };
    nvml.set({ gpus: 1 });
    expect([occupancy(0), occupancy(1000)]).toEqual(["pending", 30]);
    nvml.set({ gpus: 1, ...trouble });
    expect(occupancy(1000)).toBe(absence);
    nvml.set({ gpus: 1 });
    expect([occupancy(10_000), occupancy(1000)]).toEqual(["pending", 30]);
  });

  test("GPM as soon as its samples can be allocated, and not before", async () => {
    const { nvml, collectAfter } = await harness();
    const device = () => collectAfter(1000)[0];
    nvml.set({ gpus: 1, returnCodes: { nvmlGpmSampleAlloc: 20 } });
    expect(device()?.absences.smOccupancyPercent).toBe("failed");
    expect(device()?.health).toEqual({ state: "ok" });
    nvml.set({ gpus: 1 });
    expect(device()?.absences.smOccupancyPercent).toBe("pending");
    expect(device()?.readings.smOccupancyPercent).toBe(30);
    nvml.set({ gpus: 1, returnCodes: { nvmlGpmMetricsGet: 8 } });
    expect(device()?.health).toMatchObject({
      state: "failing",
      reason: expect.stringContaining("nvmlGpmMetricsGet returned 8"),
    });
  });

  test("NVLink as a rate that does not span the time in which the GPU was lost", async () => {
    const { nvml, collectAfter } = await harness();
    const link = (kib: number) => ({ hasGpm: false, fields: { 138: kib, 139: kib } });
    const tx = (ms: number) => collectAfter(ms)[0]?.readings.nvlinkTxMegabytesPerSecond;
    nvml.set({ gpus: 1, each: link(0) });
    collectAfter(0);
    nvml.set({ gpus: [{ state: 15 }] });
    collectAfter(1000);
    nvml.set({ gpus: 1, each: link(1_000_000) });
    expect(tx(10_000)).toBeUndefined();
    nvml.set({ gpus: 1, each: link(2_000_000) });
    expect(tx(1000)).toBe(1024);
  });

  test("PCIe by the call that sleeps only when asked, and where GPM has it not", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{}, { hasGpm: false }] });
    const asked = { pcieThroughput: true };
    collectAfter(0);
    expect(sampleOf(collectAfter(1000), 1).absences.pcieTxKilobytesPerSecond).toBe("pending");
    expect(nvml.calls().get("nvmlDeviceGetPcieThroughput")).toBeUndefined();
    const devices = collectAfter(1000, asked);
    expect(sampleOf(devices, 0).readings.pcieTxKilobytesPerSecond).toBeCloseTo(104_857.6, 6);
    expect(sampleOf(devices, 1).readings).toMatchObject({
      pcieTxKilobytesPerSecond: 1000,
      pcieRxKilobytesPerSecond: 2000,
    });
    expect(nvml.calls().get("nvmlDeviceGetPcieThroughput")).toBe(2);
    nvml.set({ gpus: [{}, { hasGpm: false, returnCodes: { nvmlDeviceGetPcieThroughput: 3 } }] });
    expect(sampleOf(collectAfter(1000, asked), 1).absences.pcieTxKilobytesPerSecond).toBe(
      "unsupported",
    );
    expect(sampleOf(collectAfter(1000), 1).absences.pcieTxKilobytesPerSecond).toBe("unsupported");
  });

  test("a GPU in MIG mode without what the driver does not tell then, and again after", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 2, each: { mig: 1 } });
    const [sliced] = collectAfter(0);
    expect(sliced?.absences).toMatchObject({
      utilizationPercent: "unsupported",
      memoryUtilizationPercent: "unsupported",
      encoderPercent: "unsupported",
      decoderPercent: "unsupported",
    });
    expect(sliced?.readings.temperatureCelsius).toBe(40);
    nvml.set({ gpus: 2 });
    expect(collectAfter(10_000)[0]?.readings.utilizationPercent).toBe(10);
  });

  test("ECC only where it is on", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 1, each: { eccMode: 0 } });
    expect(collectAfter(0)[0]?.absences).toMatchObject({
      eccCorrectedErrors: "unsupported",
      eccUncorrectedErrors: "unsupported",
    });
  });

  test("in a tick nothing that costs, and the session only once", async () => {
    const { nvml, collectAfter } = await harness();
    collectAfter(0);
    collectAfter(1000);
    expect(nvml.calls().get("nvmlInitWithFlags")).toBe(1);
    nvml.forgetCalls();
    collectAfter(1000);
    expect(Object.fromEntries(nvml.calls())).toEqual({
      nvmlEventSetWait_v2: 1,
      nvmlDeviceGetFieldValues: 8,
      nvmlGpmSampleGet: 8,
      nvmlGpmMetricsGet: 8,
      nvmlDeviceGetUtilizationRates: 8,
      nvmlDeviceGetMemoryInfo_v2: 8,
      nvmlDeviceGetTemperatureV: 8,
      nvmlDeviceGetClockInfo: 8,
      nvmlDeviceGetEncoderUtilization: 8,
      nvmlDeviceGetDecoderUtilization: 8,
      nvmlDeviceGetJpgUtilization: 8,
      nvmlDeviceGetOfaUtilization: 8,
      nvmlDeviceGetCurrentClocksEventReasons: 8,
      nvmlDeviceGetPerformanceState: 8,
    });
  });

  test("a refused call once, and the calls of an older driver without asking the newer again", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({
      gpus: 1,
      returnCodes: { nvmlDeviceGetEncoderUtilization: 3, nvmlDeviceGetMemoryInfo_v2: 25 },
    });
    collectAfter(0);
    nvml.forgetCalls();
    const [device] = collectAfter(1000);
    expect(device?.absences.encoderPercent).toBe("unsupported");
    expect(device?.readings.memoryUsedBytes).toBe(21 * gib);
    const calls = nvml.calls();
    expect(calls.get("nvmlDeviceGetEncoderUtilization")).toBeUndefined();
    expect(calls.get("nvmlDeviceGetMemoryInfo_v2")).toBeUndefined();
    expect(calls.get("nvmlDeviceGetMemoryInfo")).toBe(1);
  });
});

describe("a call that has worked", () => {
  test("says nothing of the call that it falls to", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 1 });
    collectAfter(0);
    const returnCodes = { nvmlDeviceGetMemoryInfo_v2: 3, nvmlDeviceGetMemoryInfo: 2 };
    nvml.set({ gpus: 1, returnCodes });
    nvml.forgetCalls();
    expect(collectAfter(1000)[0]?.absences.memoryUsedBytes).toBe("unsupported");
    collectAfter(1000);
    expect(nvml.calls().get("nvmlDeviceGetHandleByIndex_v2")).toBeUndefined();
  });

  test("is told from one that only ever failed, of fields too", async () => {
    const { nvml, collectAfter } = await harness();
    const absent = () => collectAfter(1000)[0]?.absences;
    nvml.set({ gpus: 1, each: { fieldReturnCodes: { 82: 10 } } });
    expect(absent()).toMatchObject({ memoryTemperatureCelsius: "failed" });
    nvml.set({ gpus: 1, each: { fieldReturnCodes: { 82: 2, 83: 2 } } });
    expect(absent()).toMatchObject({
      memoryTemperatureCelsius: "unsupported",
      energyMillijoules: "failed",
    });
  });
});

test("readings that the process may not have are logged once, by name", async () => {
  const { nvml, collectAfter, lines } = await harness();
  nvml.set({ gpus: [{}, { returnCodes: { nvmlDeviceGetUtilizationRates: 4 } }] });
  collectAfter(0);
  collectAfter(1000);
  const readings = ["utilizationPercent", "memoryUtilizationPercent"];
  expect(lines.filter(({ level }) => level === "warn")).toEqual([
    {
      level: "warn",
      event: "gpu readings not permitted",
      facts: { uuid: uuidOf(1), index: 1, readings },
    },
  ]);
});

describe("nvmlCollector() refuses", () => {
  test.each([
    ["300 %", { utilizationPercent: 300 }, "utilizationPercent", "implausible"],
    ["a total of 0", { totalBytes: 0 }, "memoryTotalBytes", "implausible"],
    ["memory used of a total of 0", { totalBytes: 0 }, "memoryUsedBytes", "implausible"],
    ["more free than there is", { freeBytes: 81 * gib }, "memoryUsedBytes", "implausible"],
    ["255 °C", { temperatureCelsius: 255 }, "temperatureCelsius", "implausible"],
    ["NaN from GPM", { gpm: { 5: Number.NaN } }, "tensorUtilizationPercent", "implausible"],
    ["no data from GPM", { gpmReturnCodes: { 5: 21 } }, "tensorUtilizationPercent", "failed"],
    [
      "a power that is a counter",
      { fields: { 186: 4e9 } },
      "powerInstantMilliwatts",
      "implausible",
    ],
    ["an unknown P-state", { performanceState: 32 }, "performanceState", "failed"],
    ["a limit of 0", { powerLimitMilliwatts: 0 }, "powerLimitMilliwatts", "implausible"],
    [
      "memory that one may not see",
      { returnCodes: { nvmlDeviceGetMemoryInfo_v2: 4 } },
      "memoryUsedBytes",
      "not-permitted",
    ],
    [
      "fields that one may not see",
      { returnCodes: { nvmlDeviceGetFieldValues: 4 } },
      "energyMillijoules",
      "not-permitted",
    ],
    [
      "a call that fails",
      { returnCodes: { nvmlDeviceGetUtilizationRates: 19 } },
      "utilizationPercent",
      "failed",
    ],
    [
      "a code of tomorrow",
      { returnCodes: { nvmlDeviceGetUtilizationRates: 77 } },
      "utilizationPercent",
      "failed",
    ],
  ] as const)("%s", async (_what, gpu, name, absence) => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{}, gpu] });
    collectAfter(0);
    const devices = collectAfter(1000);
    const { readings, absences, health } = sampleOf(devices, 1);
    expect(readings[name]).toBeUndefined();
    expect(absences[name]).toBe(absence);
    expect(health).toEqual({ state: "ok" });
    expect(sampleOf(devices, 0).absences).toEqual({});
  });

  test("what a call that succeeded did not write", async () => {
    const { nvml, collectAfter } = await harness();
    collectAfter(0);
    const mute = [
      "nvmlDeviceGetUtilizationRates",
      "nvmlDeviceGetMemoryInfo_v2",
      "nvmlDeviceGetTemperatureV",
      "nvmlDeviceGetFieldValues",
      "nvmlDeviceGetClockInfo",
      "nvmlGpmMetricsGet",
    ];
    nvml.set({ gpus: 8, mute });
    for (const { readings } of collectAfter(10_000))
      expect(Object.keys(readings).toSorted()).toEqual([
        "decoderPercent",
        "eccCorrectedErrors",
        "eccUncorrectedErrors",
        "encoderPercent",
        "jpegPercent",
        "ofaPercent",
        "performanceState",
        "powerLimitMilliwatts",
        "throttleReasonsMask",
      ]);
  });

  test("a PCIe rate that a call which succeeded did not write", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 1, each: { hasGpm: false }, mute: ["nvmlDeviceGetPcieThroughput"] });
    expect(collectAfter(0, { pcieThroughput: true })[0]?.absences).toMatchObject({
      pcieTxKilobytesPerSecond: "implausible",
      pcieRxKilobytesPerSecond: "implausible",
    });
  });

  test("a field's reading of the pass before, when its value was not written", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 1, each: { hasGpm: false } });
    collectAfter(0);
    const mute = { 82: 1, 83: 1, 186: 1, 138: 1 } as const;
    nvml.set({ gpus: 1, each: { hasGpm: false, fieldMutes: mute } });
    expect(collectAfter(1000)[0]?.absences).toMatchObject({
      memoryTemperatureCelsius: "implausible",
      energyMillijoules: "implausible",
      powerInstantMilliwatts: "implausible",
      nvlinkTxMegabytesPerSecond: "implausible",
    });
  });

  test("to ask again for what a device has not, until the session changes", async () => {
    const { nvml, collectAfter } = await harness();
    const lacking = {
      fieldReturnCodes: { 82: 3 },
      returnCodes: { nvmlDeviceGetEncoderUtilization: 3 },
    };
    nvml.set({ gpus: 1, each: lacking });
    collectAfter(0);
    nvml.set({ gpus: 1 });
    expect(collectAfter(20_000)[0]?.absences).toMatchObject({
      memoryTemperatureCelsius: "unsupported",
      encoderPercent: "unsupported",
    });
    nvml.set({ driver: "unloaded" });
    expect(() => collectAfter(1000)).toThrow("DRIVER_NOT_LOADED");
    nvml.set({ gpus: 1 });
    expect(collectAfter(1000)[0]?.readings).toMatchObject({
      memoryTemperatureCelsius: 60,
      encoderPercent: 3,
    });
  });

  test.each([1, 5, 6])("a wide field that came narrow, as type %d", async (type) => {
    const { nvml, collectAfter } = await harness();
    const energy = (fieldTypes: object) => {
      nvml.set({ gpus: 1, each: { fields: { 83: 2 ** 33 + 7 }, ...fieldTypes } });
      return collectAfter(1000)[0]?.readings.energyMillijoules;
    };
    expect(energy({})).toBe(2 ** 33 + 7);
    expect(energy({ fieldTypes: { 83: type } })).toBe(7);
  });

  test("a wrong type of a field, which would make 60 °C nearly 0", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 1, each: { fieldTypes: { 82: 0, 186: 0 } } });
    expect(collectAfter(0)[0]?.readings).toMatchObject({
      memoryTemperatureCelsius: 60,
      powerInstantMilliwatts: 320_000,
    });
  });
});
