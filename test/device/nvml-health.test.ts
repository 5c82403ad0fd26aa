import { describe, expect, test } from "bun:test";
import {
  eccGrowthMs,
  nvmlEventsPerPassMax,
  slowdownHeldMs,
  slowReadingsMs,
  xidApplicationMs,
  xidHardwareMs,
} from "#core/limits.ts";
import type { DeviceSample } from "#metric/sample.ts";
import type { Variant } from "../nvml-standin/build.ts";
import type { StandinEvent, StandinGpu } from "../nvml-standin/control.ts";
import { harness, sampleOf, uuidOf } from "./nvml-harness.ts";

/** NVML's type of an XID, and of a GPU that is cut anew. */
const [xidType, migType] = [0x8, 0x100];
const xid = (serial: number, data: number, more: Partial<StandinEvent> = {}): StandinEvent => ({
  serial,
  type: xidType,
  data,
  ...more,
});
const kindsOf = (device: DeviceSample | undefined) =>
  device?.conditions.map(({ kind }) => kind) ?? [];

/** One GPU that was read once while all was well. */
async function reading(variant: Variant = "full", first: StandinGpu = {}) {
  const { nvml, collectAfter, lines, collector } = await harness(variant);
  nvml.set({ gpus: [first] });
  collectAfter(0);
  const become = (gpu: StandinGpu) => nvml.set({ gpus: [gpu] });
  const sampleAfter = (ms: number) => sampleOf(collectAfter(ms), 0);
  return { nvml, become, sampleAfter, collectAfter, lines, collector };
}

describe("an XID of the hardware", () => {
  test("makes a GPU failing in the pass that meets it, for five minutes after the last", async () => {
    const { become, sampleAfter, lines } = await reading();
    become({ events: [xid(1, 79)] });
    const met = sampleAfter(1000);
    expect(met.health).toEqual({
      state: "failing",
      reason: "XID 79; look for Xid lines in dmesg",
    });
    expect(met.conditions).toEqual([
      {
        kind: "xid-hardware",
        detail: "XID 79: it is not well; look for Xid lines in dmesg",
      },
    ]);
    // Its readings are still told: who counts them sees its health.
    expect(met.readings.utilizationPercent).toBe(10);
    expect(sampleAfter(xidHardwareMs - 1000).health.state).toBe("failing");
    become({ events: [xid(1, 79), xid(2, 48)] });
    expect(sampleAfter(999).health).toMatchObject({
      reason: "XID 48, 79; look for Xid lines in dmesg",
    });
    expect(sampleAfter(1).health).toMatchObject({ reason: "XID 48; look for Xid lines in dmesg" });
    expect(sampleAfter(xidHardwareMs - 2).health.state).toBe("failing");
    const well = sampleAfter(1);
    expect([well.health, well.conditions]).toEqual([{ state: "ok" }, []]);
    expect(lines.map(({ event }) => event)).toContain("gpu unhealthy");
    expect(lines.at(-1)).toMatchObject({ event: "gpu recovered" });
  });

  test("is a failure for as long as the driver wants something done about it", async () => {
    const { become, sampleAfter } = await reading();
    become({ events: [xid(1, 94)], fields: { 230: 4 } });
    expect(sampleAfter(1000).health.state).toBe("failing");
    const still = sampleAfter(xidHardwareMs * 2);
    expect(still.health).toMatchObject({
      state: "failing",
      reason: expect.stringContaining("XID 94"),
    });
    become({ events: [xid(1, 94)] });
    expect(sampleAfter(1000).health).toEqual({ state: "ok" });
  });

  test("outlives the driver's session", async () => {
    const { nvml, become, sampleAfter, collectAfter } = await reading();
    become({ events: [xid(1, 119)] });
    sampleAfter(1000);
    nvml.set({ gpus: 1, driver: "unloaded" });
    expect(() => collectAfter(1000)).toThrow();
    become({});
    const back = sampleAfter(60_000);
    expect(back.health).toMatchObject({
      state: "failing",
      reason: expect.stringContaining("XID 119"),
    });
    expect(back.xidCounts).toEqual([{ xid: 119, kind: "hardware", count: 1 }]);
  });

  test("of a GPU that is lost with it stays told beside the loss", async () => {
    const { become, sampleAfter } = await reading();
    become({ state: 15, events: [xid(1, 79)] });
    const gone = sampleAfter(1000);
    expect(gone.health.state).toBe("lost");
    expect(kindsOf(gone)).toEqual(["xid-hardware"]);
    expect(gone.readings).toEqual({});
  });
});

describe("an XID of an application", () => {
  test.each([13, 31, 43, 45, 68, 109])("is a condition for a while: %d", async (number) => {
    const { become, sampleAfter } = await reading();
    become({ events: [xid(1, number)] });
    const met = sampleAfter(1000);
    expect(met.health).toEqual({ state: "ok" });
    expect(met.conditions).toEqual([
      {
        kind: "xid-application",
        detail: `XID ${number}: an application's fault; look into the logs of its pods`,
      },
    ]);
    expect(kindsOf(sampleAfter(xidApplicationMs - 1))).toEqual(["xid-application"]);
    expect(sampleAfter(1).conditions).toEqual([]);
  });

  test("in one GPU instance is none of another's", async () => {
    const instances = [{ gpuInstance: 1 }, { gpuInstance: 2 }];
    const { become, collectAfter } = await reading("full", { mig: 1, instances });
    become({ mig: 1, instances, events: [xid(1, 31, { gpuInstance: 2 })] });
    expect(collectAfter(1000).map(kindsOf)).toEqual([["xid-application"], [], ["xid-application"]]);
    become({ mig: 1, instances, events: [xid(2, 79, { gpuInstance: 2 })] });
    const all = collectAfter(1000);
    expect(all.map(({ health }) => health.state)).toEqual(["failing", "failing", "failing"]);
    expect(all.map(({ xidCounts }) => xidCounts?.length)).toEqual([2, undefined, undefined]);
  });
});

describe("events", () => {
  test("are counted since the start, each once, by their number", async () => {
    const { become, sampleAfter, lines } = await reading();
    become({ events: [xid(1, 13), xid(2, 79), xid(3, 13)] });
    sampleAfter(1000);
    const logged = lines.filter(({ event }) => event === "gpu xid");
    expect(logged.map(({ facts }) => [facts?.["xid"], facts?.["kind"]])).toEqual([
      [13, "application"],
      [79, "hardware"],
      [13, "application"],
    ]);
    expect(sampleAfter(1000).xidCounts).toEqual([
      { xid: 13, kind: "application", count: 2 },
      { xid: 79, kind: "hardware", count: 1 },
    ]);
    expect(sampleAfter(xidHardwareMs).xidCounts?.[0]?.count).toBe(2);
  });

  test("are taken a bounded number a pass, and the rest in the next", async () => {
    const { nvml, become, sampleAfter } = await reading();
    const burst = Array.from({ length: nvmlEventsPerPassMax + 5 }, (_, at) => xid(at + 1, 13));
    become({ events: burst });
    nvml.forgetCalls();
    expect(sampleAfter(1000).xidCounts?.[0]?.count).toBe(nvmlEventsPerPassMax);
    expect(nvml.calls().get("nvmlEventSetWait_v2")).toBe(nvmlEventsPerPassMax);
    expect(sampleAfter(1000).xidCounts?.[0]?.count).toBe(nvmlEventsPerPassMax + 5);
  });

  test("are those of the GPU that has them", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{}, {}] });
    collectAfter(0);
    nvml.set({ gpus: [{}, { events: [xid(1, 79)] }] });
    const devices = collectAfter(1000);
    expect(sampleOf(devices, 0).health.state).toBe("ok");
    expect(sampleOf(devices, 1).health.state).toBe("failing");
  });

  test("come by the older entry point where the driver has no newer", async () => {
    const { nvml, become, sampleAfter } = await reading("r418");
    become({ events: [xid(1, 79), xid(2, 31)] });
    const met = sampleAfter(1000);
    expect(met.health.state).toBe("failing");
    expect(met.xidCounts?.map(({ xid: number }) => number)).toEqual([31, 79]);
    expect(nvml.calls().get("nvmlEventSetWait")).toBeGreaterThan(2);
  });

  test("that change how a GPU is cut have the list read again at once", async () => {
    const { nvml, become, sampleAfter } = await reading();
    sampleAfter(1000);
    nvml.forgetCalls();
    sampleAfter(1000);
    expect(nvml.calls().get("nvmlDeviceGetCount_v2")).toBeUndefined();
    become({ mig: 1, instances: [{ gpuInstance: 3 }], events: [{ serial: 1, type: migType }] });
    sampleAfter(1000);
    expect(nvml.calls().get("nvmlDeviceGetCount_v2")).toBe(1);
    become({ mig: 1, instances: [{ gpuInstance: 3 }] });
    expect(sampleAfter(1000).absences.utilizationPercent).toBe("unsupported");
  });

  test.each<[string, Variant, StandinGpu, Record<string, number>]>([
    ["a GPU that supports none", "full", { eventTypes: 0 }, {}],
    ["a GPU that refuses to be registered", "full", { registerReturnCode: 3 }, {}],
    ["a set that is broken by it", "full", { registerReturnCode: 999 }, {}],
    ["a driver that gives no set", "full", {}, { nvmlEventSetCreate: 13 }],
    ["a driver that never tells", "full", {}, { nvmlEventSetWait_v2: 999 }],
    ["a driver without a wait", "full", {}, { nvmlEventSetWait_v2: 13, nvmlEventSetWait: 13 }],
  ])("are not needed for readings: %s", async (_of, variant, gpu, returnCodes) => {
    const { nvml, collectAfter } = await harness(variant);
    nvml.set({ gpus: [gpu], returnCodes });
    collectAfter(0);
    nvml.set({ gpus: [{ ...gpu, events: [xid(1, 79)] }], returnCodes });
    const device = sampleOf(collectAfter(1000), 0);
    expect(device.health).toEqual({ state: "ok" });
    expect(device.readings.utilizationPercent).toBe(10);
    nvml.forgetCalls();
    collectAfter(1000);
    expect(nvml.calls().get("nvmlEventSetWait_v2")).toBeUndefined();
  });

  test("that are not to be had are told of, with what the driver said", async () => {
    const { nvml, collectAfter, lines } = await harness();
    nvml.set({ gpus: 1, returnCodes: { nvmlEventSetCreate: 999 } });
    collectAfter(0);
    const [refused] = lines.filter(({ event }) => event === "gpu events refused");
    expect(refused?.facts?.["reason"]).toStartWith("nvmlEventSetCreate returned 999");
  });

  test("of the other GPUs come although one cannot be registered", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{ registerReturnCode: 3 }, {}] });
    collectAfter(0);
    nvml.set({ gpus: [{}, { events: [xid(1, 79)] }] });
    expect(sampleOf(collectAfter(1000), 1).health.state).toBe("failing");
  });

  test("with a success that writes nothing are none", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 1 });
    collectAfter(0);
    nvml.set({ gpus: 1, mute: ["nvmlEventSetWait_v2"] });
    const device = sampleOf(collectAfter(1000), 0);
    expect([device.health, device.conditions]).toEqual([{ state: "ok" }, []]);
  });

  test("that end the session end it", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: 1 });
    collectAfter(0);
    nvml.set({ gpus: 1, returnCodes: { nvmlEventSetWait_v2: 1 } });
    expect(() => collectAfter(1000)).toThrow("nvmlEventSetWait_v2 returned 1");
    nvml.set({ gpus: 1 });
    expect(sampleOf(collectAfter(2000), 0).health).toEqual({ state: "ok" });
  });

  test("use one set a session, which is freed with it", async () => {
    const { nvml, collectAfter, collector } = await harness();
    nvml.set({ gpus: 2 });
    for (const ms of [0, 1000, slowReadingsMs, slowReadingsMs]) collectAfter(ms);
    collector.close();
    const calls = nvml.calls();
    expect(calls.get("nvmlEventSetCreate")).toBe(1);
    expect(calls.get("nvmlDeviceRegisterEvents")).toBe(2);
    expect(calls.get("nvmlEventSetFree")).toBe(1);
  });
});

describe("the recovery action", () => {
  test.each([
    [1, "the driver wants recovery action 1 (reset): drain the node and reset the GPU"],
    [2, "the driver wants recovery action 2 (reboot): drain the node and reboot it"],
  ])("%d makes a GPU need a reset, until it is 0 again", async (action, reason) => {
    const { become, sampleAfter } = await reading();
    become({ fields: { 230: action } });
    const device = sampleAfter(1000);
    expect(device.health).toEqual({ state: "reset-required", reason });
    expect(kindsOf(device)).toEqual(["recovery-action"]);
    expect(sampleAfter(1000).health.state).toBe("reset-required");
    become({});
    const well = sampleAfter(1000);
    expect([well.health, well.conditions]).toEqual([{ state: "ok" }, []]);
    expect(well.readings.utilizationPercent).toBe(10);
  });

  test.each([
    [3, "drain P2P"],
    [4, "drain and reset"],
    [5, "IMEX"],
    [9, "of a newer driver"],
  ])("%d is a condition", async (action, name) => {
    const { become, sampleAfter } = await reading();
    become({ fields: { 230: action } });
    const device = sampleAfter(1000);
    expect(device.health).toEqual({ state: "ok" });
    expect(device.conditions).toEqual([
      { kind: "recovery-action", detail: expect.stringContaining(`${action} (${name})`) },
    ]);
  });

  test("that the driver refuses for once stands; one that it never had is nothing", async () => {
    const { become, sampleAfter } = await reading();
    become({ fields: { 230: 1 } });
    sampleAfter(1000);
    become({ fields: { 230: 1 }, fieldReturnCodes: { 230: 27 } });
    expect(sampleAfter(1000).health.state).toBe("reset-required");
    become({ fieldMutes: { 230: 1 } });
    expect(sampleAfter(1000).health.state).toBe("reset-required");
    const older = await reading("r550", { fields: { 230: 1 } });
    expect(older.sampleAfter(1000).health).toEqual({ state: "ok" });
  });

  test("does not hide that the GPU is lost", async () => {
    const { become, sampleAfter } = await reading("full", { fields: { 230: 1 } });
    become({ state: 15, fields: { 230: 1 } });
    expect(sampleAfter(1000).health.state).toBe("lost");
  });
});

describe("memory", () => {
  test.each([
    [
      { 142: 1, 143: 2, 144: 1 },
      "row-remap-pending",
      "rows of its memory wait to be replaced (so far 2 after uncorrectable errors, " +
        "1 after correctable ones): reset the GPU when its pods have ended",
    ],
    [
      { 142: 0, 143: 8, 145: 1 },
      "row-remap-failed",
      "a row of its memory could not be replaced (so far 8 after uncorrectable errors, " +
        "0 after correctable ones): have the GPU serviced",
    ],
  ] as const)("whose rows are in trouble is told of: %o", async (fields, kind, detail) => {
    const { become, sampleAfter } = await reading();
    become({ fields });
    const device = sampleAfter(1000);
    expect(device.health).toEqual({ state: "ok" });
    expect(device.conditions).toEqual([{ kind, detail }]);
  });

  test("that was only ever repaired is well, and so is one whose driver does not say", async () => {
    const { become, sampleAfter } = await reading();
    become({ fields: { 142: 3, 143: 4 } });
    expect(sampleAfter(1000).conditions).toEqual([]);
    become({ fieldReturnCodes: { 144: 3, 145: 3 }, fields: { 144: 1, 145: 1 } });
    expect(sampleAfter(1000).conditions).toEqual([]);
  });

  test("with new errors is told of for a while; a count that begins again is no news", async () => {
    const { become, sampleAfter } = await reading("full", { eccUncorrected: 3 });
    expect(sampleAfter(1000).conditions).toEqual([]);
    become({ eccUncorrected: 5 });
    const grown = sampleAfter(slowReadingsMs);
    expect(grown.conditions).toEqual([
      {
        kind: "ecc-uncorrected",
        detail:
          "new memory errors that were not corrected, 5 since the driver was loaded: " +
          "restart the pods that used it, and watch for more",
      },
    ]);
    expect(kindsOf(sampleAfter(eccGrowthMs - 1))).toEqual(["ecc-uncorrected"]);
    expect(sampleAfter(1).conditions).toEqual([]);
    become({ eccUncorrected: 0 });
    expect(sampleAfter(slowReadingsMs).conditions).toEqual([]);
  });
});

describe("a slowdown", () => {
  test.each([
    [0x20, ["thermal-slowdown"]],
    [0x40, ["thermal-slowdown"]],
    [0x48, ["thermal-slowdown"]],
    [0x80, ["power-brake"]],
    [0x88, ["power-brake"]],
    [0x8, ["hardware-slowdown"]],
    [0xc8, ["thermal-slowdown", "power-brake"]],
    [0x4, []],
    [0x1 | 0x2 | 0x10 | 0x100, []],
  ])("is what the driver's mask %d says", async (reasonsMask, kinds) => {
    const { become, sampleAfter } = await reading();
    become({ reasonsMask });
    const device = sampleAfter(1000);
    expect(kindsOf(device)).toEqual(kinds as never);
    expect(device.health).toEqual({ state: "ok" });
  });

  test("does not flicker", async () => {
    const { become, sampleAfter } = await reading();
    become({ reasonsMask: 0x40 });
    sampleAfter(1000);
    become({ reasonsMask: 0 });
    expect(kindsOf(sampleAfter(slowdownHeldMs - 1))).toEqual(["thermal-slowdown"]);
    expect(sampleAfter(1).conditions).toEqual([]);
  });
});

test("a GPU that is well has no condition and no count, on any driver", async () => {
  for (const variant of ["r580", "full", "r550", "r535", "r525", "r470", "r418"] as const) {
    const { sampleAfter } = await reading(variant);
    const device = sampleAfter(1000);
    expect(device.uuid).toBe(uuidOf(0));
    expect([device.health, device.conditions]).toEqual([{ state: "ok" }, []]);
    expect(device.xidCounts).toBeUndefined();
  }
});
