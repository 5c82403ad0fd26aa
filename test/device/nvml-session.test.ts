import { describe, expect, test } from "bun:test";
import { systemClock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { slowReadingsMs } from "#core/limits.ts";
import { lineLog } from "#core/log.ts";
import { nvmlCollector } from "#device/nvml/collector.ts";
import { nvmlLibraryPaths } from "#device/nvml/library.ts";
import { readingNames } from "#metric/reading.ts";
import { harness, sampleOf, uuidOf } from "./nvml-harness.ts";

function faultOf(run: () => unknown): Fault {
  try {
    run();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("no fault");
}

describe("one ill GPU", () => {
  test.each([
    [15, "lost", "NVML_ERROR_GPU_IS_LOST"],
    [16, "reset-required", "NVML_ERROR_RESET_REQUIRED"],
  ] as const)(
    "with code %d is listed without readings, costs no other, and comes back",
    async (state, health, reason) => {
      const { nvml, collectAfter, lines } = await harness();
      collectAfter(0);
      nvml.set({ gpus: [{}, {}, {}, { state }, {}, {}, {}, {}] });
      for (const ms of [1000, 1000, 10_000, 30_000]) {
        const devices = collectAfter(ms);
        expect(devices.map(({ uuid }) => uuid)).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map(uuidOf));
        const ill = sampleOf(devices, 3);
        expect(ill.health).toMatchObject({
          state: health,
          reason: expect.stringContaining(reason),
        });
        expect(ill.readings).toEqual({});
        expect(Object.keys(ill.absences)).toHaveLength(readingNames.length);
        for (const gpu of [0, 1, 2, 4, 5, 6, 7])
          expect(sampleOf(devices, gpu).readings.utilizationPercent).toBe(10 + gpu);
      }
      nvml.set({});
      const back = sampleOf(collectAfter(10_000), 3);
      expect(back.health).toEqual({ state: "ok" });
      expect(back.readings.utilizationPercent).toBe(13);
      expect(back.absences.smUtilizationPercent).toBe("pending");
      expect(lines.map(({ event }) => event)).toEqual([
        "nvml library loaded",
        "nvml session opened",
        "gpu unhealthy",
        "gpu recovered",
      ]);
      expect(nvml.calls().get("nvmlInitWithFlags")).toBe(1);
    },
  );

  test("is lost whichever of its sources says so", async () => {
    const { nvml, collectAfter } = await harness();
    for (const symbol of ["nvmlGpmSampleGet", "nvmlDeviceGetFieldValues", "nvmlDeviceGetEccMode"]) {
      nvml.set({ gpus: 1 });
      expect(collectAfter(10_000)[0]?.health.state).toBe("ok");
      nvml.set({ gpus: [{ returnCodes: { [symbol]: 15 } }] });
      const [device] = collectAfter(10_000);
      expect(device?.health).toMatchObject({
        state: "lost",
        reason: expect.stringContaining(`${symbol} returned 15`),
      });
      expect(device?.readings).toEqual({});
    }
  });

  test("that is lost in the middle of a pass is not called on", async () => {
    const { nvml, collectAfter } = await harness();
    const demand = { pcieThroughput: true };
    nvml.set({ gpus: 1, each: { hasGpm: false } });
    collectAfter(0, demand);
    nvml.forgetCalls();
    const returnCodes = { nvmlDeviceGetMemoryInfo_v2: 15 };
    nvml.set({ gpus: 1, each: { hasGpm: false, returnCodes } });
    expect(collectAfter(1000, demand)[0]?.health.state).toBe("lost");
    expect([...nvml.calls().keys()]).toEqual([
      "nvmlEventSetWait_v2",
      "nvmlDeviceGetFieldValues",
      "nvmlDeviceGetUtilizationRates",
      "nvmlDeviceGetMemoryInfo_v2",
    ]);
  });

  test("that is lost is asked again only every ten seconds", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 1 });
    collectAfter(0);
    nvml.set({ gpus: [{ state: 15 }] });
    collectAfter(1000);
    collectAfter(1000);
    nvml.forgetCalls();
    for (let tick = 0; tick < 8; tick += 1) collectAfter(1000);
    expect([...nvml.calls().keys()]).toEqual(["nvmlEventSetWait_v2"]);
  });

  test.each([8, 11, 14])("with code %d keeps its other readings", async (code) => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{ returnCodes: { nvmlDeviceGetEnforcedPowerLimit: code } }] });
    for (const ms of [0, 1000, 1000]) {
      const [device] = collectAfter(ms);
      expect(device?.health.state).toBe("failing");
      expect(device?.readings.utilizationPercent).toBe(10);
      expect(device?.absences.powerLimitMilliwatts).toBe("failed");
    }
    nvml.set({ gpus: 1 });
    expect(collectAfter(10_000)[0]?.health).toEqual({ state: "ok" });
  });

  test("that answers nothing but 999 is failing, and the others stand", async () => {
    const { nvml, collectAfter } = await harness();
    collectAfter(0);
    nvml.set({ gpus: [{}, { state: 999 }] });
    const devices = collectAfter(1000);
    expect(sampleOf(devices, 1).health.state).toBe("failing");
    expect(sampleOf(devices, 1).readings.utilizationPercent).toBeUndefined();
    expect(sampleOf(devices, 0).readings.utilizationPercent).toBe(10);
  });

  test("that cannot be opened from the start is left out with a warning", async () => {
    const { nvml, collectAfter, lines } = await harness();
    nvml.set({ gpus: [{ state: 15 }, {}] });
    expect(collectAfter(0).map(({ uuid }) => uuid)).toEqual([uuidOf(1)]);
    expect(lines).toContainEqual(
      expect.objectContaining({ level: "warn", event: "gpu cannot be opened" }),
    );
  });
});

describe("the list of devices", () => {
  test("in another order keeps each GPU's numbers with its UUID", async () => {
    const { nvml, collectAfter } = await harness();
    collectAfter(0);
    nvml.set({ order: "reverse" });
    const devices = collectAfter(10_000);
    for (let gpu = 0; gpu < 8; gpu += 1) {
      expect(sampleOf(devices, gpu).index).toBe(7 - gpu);
      expect(sampleOf(devices, gpu).readings.utilizationPercent).toBe(10 + gpu);
    }
    expect(devices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("without a GPU that was known reports it as lost", async () => {
    const { nvml, collectAfter } = await harness();
    collectAfter(0);
    nvml.set({ gpus: [{}, { listed: false }, {}] });
    const devices = collectAfter(10_000);
    expect(sampleOf(devices, 1)).toMatchObject({ health: { state: "lost" }, readings: {} });
    expect(sampleOf(devices, 2).index).toBe(1);
    nvml.set({ gpus: 3 });
    expect(sampleOf(collectAfter(10_000), 1).readings.utilizationPercent).toBe(11);
  });

  test("with a GPU more has it within ten seconds", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 1 });
    expect(collectAfter(0)).toHaveLength(1);
    nvml.set({ gpus: 2 });
    expect(collectAfter(10_000)).toHaveLength(2);
  });

  test("is read again at once when the handles it gave are void", async () => {
    const { nvml, collectAfter } = await harness();
    collectAfter(0);
    nvml.set({ handles: 1 });
    for (const { readings, absences } of collectAfter(1000)) {
      expect(readings.utilizationPercent).toBeUndefined();
      expect(absences.utilizationPercent).toBe("failed");
    }
    for (const [gpu, { readings }] of collectAfter(1000).entries())
      expect(readings.utilizationPercent).toBe(10 + gpu);
  });

  test("is not blamed for long for a call that takes no argument any more", async () => {
    const { nvml, collectAfter } = await harness();
    collectAfter(0);
    nvml.set({ gpus: 8, returnCodes: { nvmlDeviceGetEncoderUtilization: 2 } });
    const absences = [1, 2].map(() => collectAfter(1000)[0]?.absences.encoderPercent);
    expect(absences).toEqual(["failed", "unsupported"]);
    nvml.forgetCalls();
    collectAfter(1000);
    expect(nvml.calls().get("nvmlDeviceGetHandleByIndex_v2")).toBeUndefined();
  });

  test("is empty where there is no GPU", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 0 });
    expect(collectAfter(0)).toEqual([]);
  });
});

describe("the session", () => {
  test("is opened again, with growing pauses, when the driver was reloaded", async () => {
    const { nvml, collectAfter, collector } = await harness();
    collectAfter(0);
    nvml.set({ driver: "unloaded" });
    const fault = faultOf(() => collectAfter(1000));
    expect(fault.code).toBe("library-failed");
    expect(fault.facts).toMatchObject({ returnCode: 9, fatal: false });
    expect(fault.message).toContain("NVML_ERROR_DRIVER_NOT_LOADED");

    const inits = () => nvml.calls().get("nvmlInitWithFlags");
    expect(faultOf(() => collectAfter(999))).toBe(fault);
    expect(inits()).toBe(1);
    for (const [pauseMs, count] of [
      [1, 2],
      [2000, 3],
      [4000, 4],
      [8000, 5],
      [16_000, 6],
      [30_000, 7],
    ] as const) {
      faultOf(() => collectAfter(pauseMs - 1));
      expect(inits()).toBe(count - 1);
      faultOf(() => collectAfter(1));
      expect(inits()).toBe(count);
    }
    nvml.set({});
    expect(faultOf(() => collectAfter(29_999)).code).toBe("library-failed");
    const devices = collectAfter(1);
    expect(devices).toHaveLength(8);
    expect(devices[0]?.absences.nvlinkTxMegabytesPerSecond).toBe("pending");
    expect(collector.collect({ pcieThroughput: false }).session).toBe(2);
  });

  test("that was opened again lists a GPU as lost that the driver does not find any more", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 2 });
    expect(collectAfter(0)).toHaveLength(2);
    nvml.set({ driver: "unloaded" });
    faultOf(() => collectAfter(1000));
    nvml.set({ gpus: [{}, { listed: false }] });
    const lost = collectAfter(1000).find(({ uuid }) => uuid === uuidOf(1));
    expect(lost).toMatchObject({ readings: {}, absences: { utilizationPercent: "failed" } });
    expect(lost?.health).toEqual({
      state: "lost",
      reason: expect.stringContaining("does not list it since it was loaded anew"),
    });
    nvml.set({ gpus: 2 });
    expect(collectAfter(slowReadingsMs).map(({ health }) => health.state)).toEqual(["ok", "ok"]);
  });

  test("that was opened again is opened after the shortest pause the next time", async () => {
    const { nvml, collectAfter } = await harness();
    for (const unloaded of [1, 2]) {
      nvml.set({ driver: "unloaded" });
      faultOf(() => collectAfter(1000));
      if (unloaded === 1) faultOf(() => collectAfter(1000));
      nvml.set({});
      expect(collectAfter(unloaded === 1 ? 2000 : 1000)).toHaveLength(8);
    }
  });

  test("that the driver forgot between two passes is opened again", async () => {
    const { nvml, collectAfter, collector, lines } = await harness();
    collectAfter(0);
    nvml.set({ driver: "unloaded" });
    faultOf(() => collectAfter(1000));
    nvml.set({});
    collectAfter(1000);
    expect(collector.collect({ pcieThroughput: false }).session).toBe(2);
    expect(nvml.calls().get("nvmlShutdown")).toBe(1);
    expect(lines.filter(({ event }) => event === "nvml library loaded")).toHaveLength(1);
  });

  test.each([0, 3, 7])("ends the same whichever device says so (GPU %d)", async (gpu) => {
    const { nvml, collectAfter } = await harness();
    collectAfter(0);
    const gpus = Array.from({ length: 8 }, (_, index) =>
      index === gpu ? { returnCodes: { nvmlDeviceGetUtilizationRates: 9 } } : {},
    );
    nvml.set({ gpus });
    expect(faultOf(() => collectAfter(1000)).facts).toMatchObject({ returnCode: 9, fatal: false });
    expect(nvml.calls().get("nvmlShutdown")).toBe(1);
  });

  test("is over for good when the driver was changed under the process", async () => {
    const { nvml, collectAfter } = await harness();
    collectAfter(0);
    nvml.set({ driver: "upgraded" });
    const fault = faultOf(() => collectAfter(1000));
    expect(fault.facts).toMatchObject({ returnCode: 18, fatal: true });
    expect(fault.message).toContain("18 (NVML_ERROR_LIB_RM_VERSION_MISMATCH)");
    expect(fault.message).toContain("restart the container");
  });

  test("is over for good when a device is blocked by the operating system", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{}, { returnCodes: { nvmlDeviceGetUUID: 17 } }] });
    expect(faultOf(() => collectAfter(0)).facts).toMatchObject({ returnCode: 17, fatal: true });
  });

  test("ends when the only GPU that is not lost answers nothing but 999", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 2 });
    collectAfter(0);
    nvml.set({ gpus: [{ state: 15 }, {}] });
    collectAfter(1000);
    nvml.set({ gpus: [{ state: 15 }, { state: 999 }] });
    expect(faultOf(() => collectAfter(1000)).facts).toMatchObject({ returnCode: 999 });
  });

  test.each([true, false])("is over for good after five times nothing but 999", async (worked) => {
    const { nvml, collectAfter } = await harness();
    if (worked) collectAfter(0);
    nvml.set({ allReturnCode: 999 });
    const fatal = [1000, 1000, 2000, 4000, 8000].map((ms) => {
      const { facts } = faultOf(() => collectAfter(ms));
      return "fatal" in facts && facts.fatal;
    });
    expect(fatal).toEqual([false, false, false, false, true]);
  });

  test("says what init said", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ initReturnCode: 4 });
    expect(faultOf(() => collectAfter(0)).message).toBe(
      "Cannot read the GPUs: nvmlInitWithFlags returned 4 (NVML_ERROR_NO_PERMISSION); " +
        "run the process with access to /dev/nvidiactl and /dev/nvidia*",
    );
  });

  test("is shut down by close, and opened anew by the next pass", async () => {
    const { nvml, collectAfter, collector } = await harness();
    collectAfter(0);
    collector.close();
    collector.close();
    expect(nvml.calls().get("nvmlShutdown")).toBe(1);
    expect(nvml.calls().get("nvmlGpmSampleFree")).toBe(16);
    expect(collectAfter(1000)).toHaveLength(8);
  });
});

describe("the library", () => {
  test("that is nowhere is a fault with every path and a way out", () => {
    const libraryPaths = ["/nonexistent/libnvidia-ml.so.1", "/etc/passwd"];
    const clock = systemClock();
    const log = lineLog({ level: "error", format: "text", write: () => undefined, clock });
    const collector = nvmlCollector({ libraryPaths, clock, log });
    const fault = faultOf(() => collector.collect({ pcieThroughput: false }));
    expect(fault.code).toBe("library-missing");
    expect(fault.facts).toEqual({ paths: libraryPaths });
    for (const text of [...libraryPaths, "--nvml-library", "--collector mock", "runtimeClassName"])
      expect(fault.message).toContain(text);
    collector.close();
  });

  test("is looked for by its soname before any path", () => {
    expect(nvmlLibraryPaths[0]).toBe("libnvidia-ml.so.1");
    expect(new Set(nvmlLibraryPaths).size).toBe(nvmlLibraryPaths.length);
    for (const path of nvmlLibraryPaths.slice(1))
      expect(path).toMatch(/^\/.*\/libnvidia-ml\.so\.1$/);
  });
});

describe("a call that succeeds and writes nothing", () => {
  test.each(["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID"])(
    "opens no GPU by what %s did not write, and all of them once it does",
    async (symbol) => {
      const { nvml, collectAfter, lines } = await harness();
      nvml.set({ mute: [symbol] });
      expect(collectAfter(0)).toEqual([]);
      expect(lines.filter(({ event }) => event === "gpu cannot be opened")).toHaveLength(8);
      nvml.set({});
      const devices = collectAfter(slowReadingsMs);
      expect(new Set(devices.map(({ uuid }) => uuid)).size).toBe(8);
      nvml.set({ mute: [symbol] });
      expect(collectAfter(slowReadingsMs).map(({ health }) => health.state)).toEqual(
        devices.map(() => "ok"),
      );
    },
  );

  test("does not believe a count that was not written", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ mute: ["nvmlDeviceGetCount_v2"] });
    expect(faultOf(() => collectAfter(0)).message).toContain("nvmlDeviceGetCount_v2 returned 21");
  });
});
