import { describe, expect, test } from "bun:test";
import { slowReadingsMs } from "#core/limits.ts";
import { readingNames } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";
import { attribute, orderAllocations } from "#node/attribution.ts";
import type { StandinGpu, StandinInstance } from "../nvml-standin/control.ts";
import { harness, sampleOf, uuidOf } from "./nvml-harness.ts";

/** As the stand-in names an instance; a driver too gives the same place the same name again. */
const migUuid = (gpu: number, gpuInstance: number, computeInstance = 0): string => {
  const [first, second, third] = [
    [gpu, 8],
    [gpuInstance, 4],
    [computeInstance, 4],
  ].map(([value = 0, digits = 0]) => value.toString(16).padStart(digits, "0"));
  return `MIG-${first}-${second}-${third}-8000-000000000000`;
};
const mib = 1024 * 1024;

const half = {
  gpuInstance: 1,
  profile: 9,
  placementStart: 4,
  slices: [3, 3],
  totalMib: 40_320,
  usedMib: 20_000,
  busyPercent: 80,
} as const satisfies StandinInstance;
const eighth: StandinInstance = { gpuInstance: 9, placementStart: 0, usedMib: 500 };
const other: StandinInstance = { ...eighth, gpuInstance: 10, placementStart: 1, busyPercent: 20 };
/** With a hole in the driver's index. */
const threeOf: StandinGpu = { mig: 1, instances: [half, undefined, eighth, other] };

const uuids = (devices: readonly DeviceSample[]) => devices.map(({ uuid }) => uuid);
function instanceOf(devices: readonly DeviceSample[], gpu: number, gpuInstance: number) {
  const sample = devices.find(({ uuid }) => uuid === migUuid(gpu, gpuInstance));
  if (sample === undefined) throw new Error(`instance ${gpuInstance} is not in the collection`);
  return sample;
}

describe("MIG instances", () => {
  test("are listed after their GPU, past a hole, with what the driver says they are", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [threeOf, {}] });
    const devices = collectAfter(0);
    expect(uuids(devices)).toEqual([
      uuidOf(0),
      migUuid(0, 1),
      migUuid(0, 9),
      migUuid(0, 10),
      uuidOf(1),
    ]);
    expect(instanceOf(devices, 0, 1)).toMatchObject({
      index: 0,
      vendor: "nvidia",
      model: "NVIDIA Stand-in MIG 3g.40gb",
      minor: 0,
      pciBusId: "0000:10:00.0",
      parentUuid: uuidOf(0),
      slice: { gpuInstance: 1, computeInstance: 0, profile: 9, placementStart: 4 },
      health: { state: "ok" },
    });
    expect(sampleOf(devices, 0).parentUuid).toBeUndefined();
  });

  test("have memory and shares of time, and of the chip nothing", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [threeOf] });
    expect(instanceOf(collectAfter(0), 0, 1).absences.utilizationPercent).toBe("pending");
    const devices = collectAfter(1000);
    const { readings, absences } = instanceOf(devices, 0, 1);
    expect(readings).toEqual({
      utilizationPercent: 80,
      memoryTotalBytes: 40_320 * mib,
      memoryUsedBytes: 20_000 * mib,
      smUtilizationPercent: 40,
      smOccupancyPercent: 30,
      tensorUtilizationPercent: 20,
      dramBandwidthPercent: 40,
      fp16UtilizationPercent: 15,
      fp32UtilizationPercent: 25,
      fp64UtilizationPercent: 5,
    });
    const missing = readingNames.filter((name) => readings[name] === undefined);
    expect(absences).toEqual(
      Object.fromEntries(missing.map((name) => [name, "unsupported" as const])),
    );
    expect(instanceOf(devices, 0, 9).readings.utilizationPercent).toBe(0);
    expect(instanceOf(devices, 0, 10).readings.utilizationPercent).toBe(20);
    const whole = sampleOf(devices, 0);
    expect(whole.readings.temperatureCelsius).toBe(40);
    expect(whole.absences.utilizationPercent).toBe("unsupported");
  });

  test("have the mean of the video engines that are theirs, and no other", async () => {
    const { nvml, collectAfter } = await harness("r580");
    const engines = { 30: 20, 31: 60, 40: 8, 51: 30, 166: 50 };
    const video: StandinInstance = { ...eighth, engines };
    const bare: StandinInstance = { ...other, engines: { 32: { returnCode: 2 } } };
    nvml.set({ gpus: [{ mig: 1, instances: [video, bare] }] });
    collectAfter(0);
    const devices = collectAfter(1000);
    expect(instanceOf(devices, 0, 9).readings).toMatchObject({
      decoderPercent: 40,
      jpegPercent: 8,
      ofaPercent: 30,
      encoderPercent: 50,
    });
    const { readings, absences } = instanceOf(devices, 0, 10);
    expect(readings.decoderPercent).toBeUndefined();
    expect(absences).toMatchObject({
      decoderPercent: "unsupported",
      jpegPercent: "unsupported",
      ofaPercent: "unsupported",
      encoderPercent: "unsupported",
    });
    expect(sampleOf(devices, 0).absences.decoderPercent).toBe("unsupported");
  });

  test.each<[string, Required<StandinInstance>["engines"], string]>([
    ["is refused", { 30: 20, 31: { returnCode: 27 } }, "failed"],
    ["may not be read", { 30: 20, 31: { returnCode: 4 } }, "not-permitted"],
    ["cannot be true", { 30: 20, 31: 300 }, "implausible"],
    ["is no number", { 30: 20, 31: Number.NaN }, "implausible"],
  ])("have no mean where an engine of theirs %s", async (_what, engines, absence) => {
    const { nvml, collectAfter } = await harness("r580");
    nvml.set({ gpus: [{ mig: 1, instances: [{ ...eighth, engines }] }] });
    collectAfter(0);
    const { readings, absences } = instanceOf(collectAfter(1000), 0, 9);
    expect(readings.decoderPercent).toBeUndefined();
    expect(absences.decoderPercent).toBe(absence as never);
    expect(readings.utilizationPercent).toBe(0);
  });

  test.each(["full", "r550", "r535", "r525"] as const)(
    "lack no more than the encoders on driver %s, which knows no metric of them",
    async (variant) => {
      const { nvml, collectAfter } = await harness(variant);
      const engines = { 30: 20, 166: 50 };
      nvml.set({ gpus: [{ mig: 1, instances: [{ ...half, engines }] }] });
      for (const ms of [0, 1000, 1000]) collectAfter(ms);
      const { readings, absences } = instanceOf(collectAfter(1000), 0, 1);
      expect(readings).toMatchObject({ utilizationPercent: 80, decoderPercent: 20 });
      expect(absences.encoderPercent).toBe("unsupported");
    },
  );

  test.each([
    ["a chip without GPM", "full", { hasGpm: false }],
    ["a driver without GPM", "r470", {}],
  ] as const)("on %s have no utilization, which is not 0", async (_of, variant, gpu) => {
    const { nvml, collectAfter } = await harness(variant);
    nvml.set({ gpus: [{ ...threeOf, ...gpu }] });
    collectAfter(0);
    const { readings, absences } = instanceOf(collectAfter(1000), 0, 1);
    expect(Object.keys(readings).sort()).toEqual(["memoryTotalBytes", "memoryUsedBytes"]);
    expect(readings.memoryUsedBytes).toBe(20_000 * mib);
    expect(absences.utilizationPercent).toBe("unsupported");
    expect(absences.smUtilizationPercent).toBe("unsupported");
  });

  test("that share a GPU instance have no shares of time, which GPM has of both alone", async () => {
    const { nvml, collectAfter } = await harness();
    const shared = { ...half, slices: [3, 1] } as const;
    nvml.set({ gpus: [{ mig: 1, instances: [shared, { ...shared, computeInstance: 1 }, other] }] });
    collectAfter(0);
    const devices = collectAfter(1000);
    expect(uuids(devices)).toEqual([uuidOf(0), migUuid(0, 1), migUuid(0, 1, 1), migUuid(0, 10)]);
    for (const device of devices.slice(1, 3)) {
      expect(device.absences.utilizationPercent).toBe("unsupported");
      expect(device.readings.memoryUsedBytes).toBe(20_000 * mib);
    }
    expect(instanceOf(devices, 0, 10).readings.utilizationPercent).toBe(20);
  });

  test("have no profile where the driver keeps it to itself, and their GPU no memory", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{ ...threeOf, migInfoReturnCode: 4, migMemoryReturnCode: 4 }] });
    const devices = collectAfter(0);
    nvml.set({ gpus: [{ ...threeOf, returnCodes: { nvmlGpuInstanceGetInfo: 4 } }] });
    expect(instanceOf(collectAfter(10_000), 0, 9).slice).toEqual({
      gpuInstance: 9,
      computeInstance: 0,
    });
    const { slice, readings } = instanceOf(devices, 0, 1);
    expect(slice).toEqual({ gpuInstance: 1, computeInstance: 0 });
    expect(readings.memoryTotalBytes).toBe(40_320 * mib);
    expect(sampleOf(devices, 0).absences.memoryUsedBytes).toBe("not-permitted");
  });

  test("cost a driver without MIG, and a GPU that is not cut, no call", async () => {
    const { nvml, collectAfter } = await harness("r418");
    nvml.set({ gpus: [threeOf] });
    expect(uuids(collectAfter(0))).toEqual([uuidOf(0)]);
    expect([...nvml.calls().keys()].filter((symbol) => symbol.includes("Mig"))).toEqual([]);

    const whole = await harness();
    whole.nvml.set({ gpus: 2 });
    whole.collectAfter(0);
    expect([...whole.nvml.calls()].filter(([symbol]) => symbol.includes("Mig"))).toEqual([
      ["nvmlDeviceGetMigMode", 2],
    ]);
  });

  test("are none where the driver does not write how many places there are", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [threeOf], mute: ["nvmlDeviceGetMaxMigDeviceCount"] });
    expect(uuids(collectAfter(0))).toEqual([uuidOf(0)]);
  });

  test.each([
    "nvmlDeviceGetMigDeviceHandleByIndex",
    "nvmlDeviceGetGpuInstanceById",
    "nvmlGpmSampleAlloc",
  ])("live through a %s that succeeds and leaves no handle", async (symbol) => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [threeOf], mute: [symbol] });
    collectAfter(0);
    const muted = collectAfter(1_000);
    expect(muted[0]).toMatchObject({ uuid: uuidOf(0), health: { state: "ok" } });
    nvml.set({ gpus: [threeOf] });
    collectAfter(slowReadingsMs);
    expect(collectAfter(1_000)).toHaveLength(4);
  });

  test("with values that cannot be have an absence", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{ mig: 1, instances: [{ ...half, busyPercent: Number.NaN }] }] });
    collectAfter(0);
    const { absences, readings } = instanceOf(collectAfter(1000), 0, 1);
    expect(absences.utilizationPercent).toBe("implausible");
    expect(absences.smUtilizationPercent).toBe("implausible");
    expect(readings.smOccupancyPercent).toBe(30);
  });
});

describe("a pod that holds a MIG instance", () => {
  const plugin = { resource: "nvidia.com/mig-3g.40gb", resourceClaim: undefined };
  const dra = { resource: "gpu.nvidia.com", resourceClaim: "inference/claim" };

  test.each([
    ["the device plugin's", { ...plugin, id: migUuid(0, 1) }],
    ["a shared one's", { ...plugin, id: `${migUuid(0, 1)}::3` }],
    ["that of drivers before R470", { ...plugin, id: `MIG-${uuidOf(0)}/1/0` }],
    ["GKE's", { ...plugin, id: "nvidia0/gi1" }],
    ["the DRA driver's", { ...dra, id: "gpu-0-mig-3g.40gb-9-4" }],
  ] as const)("is found by %s name", async (_whose, { id, resource, resourceClaim }) => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [threeOf, threeOf] });
    const pod = { namespace: "inference", pod: "chat-0", container: "server" };
    const listed = orderAllocations([], [{ ...pod, resource, id, resourceClaim }]);
    const { holders, unmatchedIds } = attribute(collectAfter(0), listed);
    expect([...holders.keys()]).toEqual([migUuid(0, 1)]);
    expect(holders.get(migUuid(0, 1))?.map((one) => one.pod)).toEqual(["chat-0"]);
    expect(unmatchedIds).toEqual([]);
  });
});

describe("MIG under a running agent", () => {
  test("cut anew has the new instances in the next sample, by handles that are used again", async () => {
    const { nvml, collectAfter, lines } = await harness();
    nvml.set({ gpus: [threeOf, threeOf] });
    collectAfter(0);
    collectAfter(1000);
    const whole = { ...half, gpuInstance: 2, busyPercent: 60, usedMib: 30_000 };
    nvml.set({ gpus: [{ mig: 1, instances: [whole, other] }, threeOf] });
    const devices = collectAfter(1000);
    expect(uuids(devices)).toEqual([
      uuidOf(0),
      migUuid(0, 2),
      migUuid(0, 10),
      uuidOf(1),
      migUuid(1, 1),
      migUuid(1, 9),
      migUuid(1, 10),
    ]);
    const fresh = instanceOf(devices, 0, 2);
    expect(fresh.slice?.gpuInstance).toBe(2);
    expect(fresh.readings.memoryUsedBytes).toBe(30_000 * mib);
    expect(fresh.absences.utilizationPercent).toBe("pending");
    expect(instanceOf(devices, 0, 10).readings.utilizationPercent).toBe(20);
    expect(instanceOf(collectAfter(1000), 0, 2).readings.utilizationPercent).toBe(60);
    const allocated = nvml.calls().get("nvmlGpmSampleAlloc") ?? 0;
    expect(nvml.calls().get("nvmlGpmSampleFree")).toBe(4);
    expect(allocated).toBe(2 * (2 + 6 + 1));
    expect(lines.filter(({ event }) => event === "mig instances changed")).toHaveLength(3);
  });

  test.each([
    { profile: 14, slices: [2, 2], totalMib: 19_968, usedMib: 10 },
    { slices: [3, 2] },
  ] as const)("of the same name and the size %j is described and measured anew", async (size) => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{ mig: 1, instances: [half] }] });
    collectAfter(0);
    collectAfter(1000);
    const resized = { ...half, ...size };
    nvml.set({ gpus: [{ mig: 1, instances: [resized] }] });
    const changed = instanceOf(collectAfter(1000), 0, 1);
    expect(changed.slice?.profile).toBe(resized.profile);
    expect(changed.readings.memoryTotalBytes).toBe(resized.totalMib * mib);
    expect(changed.absences.utilizationPercent).toBe("pending");
    expect(nvml.calls().get("nvmlGpmSampleFree")).toBe(2);
  });

  test("of the same name and size at another place is described again within ten seconds", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{ mig: 1, instances: [half] }] });
    collectAfter(0);
    nvml.set({ gpus: [{ mig: 1, instances: [{ ...half, placementStart: 0 }] }] });
    const moved = instanceOf(collectAfter(10_000), 0, 1);
    expect(moved.slice?.placementStart).toBe(0);
    expect(moved.readings.utilizationPercent).toBe(80);
    nvml.forgetCalls();
    collectAfter(1000);
    expect(nvml.calls().has("nvmlGpuInstanceGetInfo")).toBe(false);
  });

  test("met at two places while the driver moves it is listed once", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{ mig: 1, instances: [half, half, other] }] });
    const devices = collectAfter(0);
    expect(uuids(devices)).toEqual([uuidOf(0), migUuid(0, 1), migUuid(0, 10)]);
    expect(instanceOf(collectAfter(1000), 0, 1).readings.utilizationPercent).toBe(80);
  });

  test("with as many other instances is logged, and all that was allocated is freed", async () => {
    const { nvml, collector, collectAfter, lines } = await harness();
    nvml.set({ gpus: [{ mig: 1, instances: [half] }] });
    collectAfter(0);
    nvml.set({ gpus: [{ mig: 1, instances: [other] }] });
    collectAfter(1000);
    expect(lines.filter(({ event }) => event === "mig instances changed")).toEqual([
      expect.objectContaining({ facts: { uuid: uuidOf(0), instances: [migUuid(0, 1)] } }),
      expect.objectContaining({ facts: { uuid: uuidOf(0), instances: [migUuid(0, 10)] } }),
    ]);
    nvml.set({ gpus: 1 });
    collectAfter(10_000);
    expect(nvml.calls().get("nvmlGpmSampleFree")).toBe(4);
    nvml.set({ gpus: [threeOf] });
    collectAfter(10_000);
    collector.close();
    expect(nvml.calls().get("nvmlGpmSampleFree")).toBe(nvml.calls().get("nvmlGpmSampleAlloc"));
  });

  test("switched off leaves the GPU whole, and on again cuts it", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [threeOf] });
    collectAfter(0);
    nvml.set({ gpus: 1 });
    expect(uuids(collectAfter(1000))).toEqual([uuidOf(0)]);
    const [whole] = collectAfter(1000);
    expect(whole?.readings.utilizationPercent).toBe(10);
    nvml.set({ gpus: [threeOf] });
    expect(collectAfter(10_000)).toHaveLength(4);
  });

  test("in a state that the driver does not tell keeps its instances, without readings", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [threeOf] });
    collectAfter(0);
    collectAfter(1000);
    for (const [symbol, code] of [
      ["nvmlDeviceGetMigDeviceHandleByIndex", 29],
      ["nvmlDeviceGetMaxMigDeviceCount", 29],
      ["nvmlDeviceGetUUID", 999],
    ] as const) {
      nvml.set({ gpus: [{ ...threeOf, returnCodes: { [symbol]: code } }] });
      const devices = collectAfter(1000);
      expect(devices).toHaveLength(4);
      expect(sampleOf(devices, 0).readings.temperatureCelsius).toBe(40);
      for (const { readings, absences } of devices.slice(1)) {
        expect(readings).toEqual({});
        expect(absences.utilizationPercent).toBe("failed");
        expect(absences.memoryUsedBytes).toBe("failed");
        expect(absences.temperatureCelsius).toBe("unsupported");
      }
    }
    nvml.set({ gpus: [threeOf] });
    expect(instanceOf(collectAfter(1000), 0, 1).readings.memoryUsedBytes).toBe(20_000 * mib);
  });

  test("on a GPU that is lost has lost instances, and all of them come back with it", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [threeOf] });
    collectAfter(0);
    nvml.set({ gpus: [{ ...threeOf, state: 15 }] });
    nvml.forgetCalls();
    for (const ms of [1000, 1000, 10_000]) {
      const devices = collectAfter(ms);
      expect(devices).toHaveLength(4);
      for (const { health, readings } of devices) {
        expect(health.state).toBe("lost");
        expect(readings).toEqual({});
      }
    }
    expect(nvml.calls().has("nvmlDeviceGetMaxMigDeviceCount")).toBe(false);
    nvml.set({ gpus: [threeOf] });
    const back = instanceOf(collectAfter(10_000), 0, 1);
    expect(back.health).toEqual({ state: "ok" });
    expect(back.readings.memoryUsedBytes).toBe(20_000 * mib);
    expect(back.absences.utilizationPercent).toBe("pending");
  });

  test("an instance's call that finds the GPU lost makes all of it lost", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [threeOf] });
    collectAfter(0);
    nvml.set({ gpus: [{ ...threeOf, returnCodes: { nvmlGpmMigSampleGet: 15 } }] });
    const devices = collectAfter(1000);
    expect(devices.map(({ health }) => health.state)).toEqual(["lost", "lost", "lost", "lost"]);
    expect(devices.every(({ readings }) => Object.keys(readings).length === 0)).toBe(true);
  });

  test("a GPU that is lost while its instances are listed keeps those that were", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [{ mig: 1, instances: [half] }] });
    collectAfter(0);
    const returnCodes = { nvmlDeviceGetGpuInstanceId: 15 };
    nvml.set({ gpus: [{ mig: 1, instances: [half, other], returnCodes }] });
    nvml.forgetCalls();
    const devices = collectAfter(1000);
    expect(uuids(devices)).toEqual([uuidOf(0), migUuid(0, 1)]);
    expect(devices.map(({ health }) => health.state)).toEqual(["lost", "lost"]);
    expect(nvml.calls().get("nvmlDeviceGetMemoryInfo_v2")).toBe(1);
  });

  test("handles that the driver voids cost one sample", async () => {
    const { nvml, collectAfter } = await harness();
    nvml.set({ gpus: [threeOf] });
    collectAfter(0);
    nvml.set({ gpus: [threeOf], handles: 1 });
    expect(collectAfter(1000)).toHaveLength(4);
    expect(instanceOf(collectAfter(1000), 0, 1).readings.memoryUsedBytes).toBe(20_000 * mib);
  });
});
