import { describe, expect, test } from "bun:test";
import { holdersStaleMs } from "#core/limits.ts";
import { type MeteredNode, podDeviceUse } from "#fleet/pod-device-use.ts";
import type { FleetNode } from "#fleet/view.ts";
import type { Holder } from "#telemetry/report.ts";

const held = (pod: string, sharedBy?: number, container = "main"): Holder => ({
  namespace: "ml",
  pod,
  container,
  sharedBy,
});

/** A node at a time in ms; each device draws 100 W and is held by these. */
function node(
  sampledAtMs: number,
  devices: readonly (readonly Holder[])[],
  holdersAtMs: number | undefined = sampledAtMs,
): FleetNode {
  return {
    name: "a",
    sampleIntervalMs: 1_000,
    sampledAtMs,
    holdersAtMs,
    devices: devices.map((holders, index) => ({
      uuid: `GPU-${index}`,
      index,
      vendor: "nvidia",
      model: "H200",
      node: "a",
      sampledAtMs,
      health: { state: "ok" },
      conditions: [],
      readings: { powerAverageMilliwatts: 100_000 },
      absences: {},
      absentSinceMs: {},
      holders,
    })),
  };
}

/** Joules by pod, which has held 100 W for as long. */
function shares(before: FleetNode, after: FleetNode) {
  return podDeviceUse(before, after).map(
    ({ node: name, namespace, pod, joules, deviceSeconds }) => {
      expect([name, namespace]).toEqual(["a", "ml"]);
      expect(deviceSeconds).toBe(Number(joules) / 100);
      return [pod, joules];
    },
  );
}

test("a pod has what its devices used, once for each, however many containers hold one", () => {
  const devices = [[held("x")], [held("x"), held("x", undefined, "side")], [], [held("y")]];
  expect(shares(node(0, devices), node(2_000, devices))).toEqual([
    ["x", 200],
    ["x", 200],
    ["y", 200],
  ]);
});

test("a shared device is divided in equal parts, which add up to what it used", () => {
  const devices = [[held("x", 4), held("y", 4), held("z", 4), held("w", 4)]];
  expect(shares(node(0, devices), node(1_000, devices)).map(([, joules]) => joules)).toEqual([
    25, 25, 25, 25,
  ]);
});

test("time in which a device changed hands is nobody's, and the order of holders is none", () => {
  const [x, y] = [held("x", 2), held("y", 2)];
  expect(shares(node(0, [[held("x")]]), node(1_000, [[held("y")]]))).toEqual([]);
  expect(shares(node(0, [[held("x")]]), node(1_000, [[x, y]]))).toEqual([]);
  expect(shares(node(0, [[x, y]]), node(1_000, [[x]]))).toEqual([]);
  expect(shares(node(0, [[x, y]]), node(1_000, [[x, held("z", 2)]]))).toEqual([]);
  expect(shares(node(0, [[]]), node(1_000, [[held("x")]]))).toEqual([]);
  expect(shares(node(0, [[x, y]]), node(1_000, [[y, x]]))).toEqual([
    ["y", 50],
    ["x", 50],
  ]);
});

test("while the kubelet does not say who holds it, what a device used is nobody's", () => {
  const devices = [[held("x")]];
  const known = node(0, devices);
  expect(shares(known, { ...node(1_000, devices), holdersAtMs: undefined })).toEqual([]);
  expect(shares({ ...known, holdersAtMs: undefined }, node(1_000, devices))).toEqual([]);
  expect(shares(known, node(1_000, devices, 1_000 - holdersStaleMs))).toHaveLength(1);
  expect(shares(known, node(1_000, devices, 999 - holdersStaleMs))).toEqual([]);
});

test("of a gap between reports counts what a counter tells, and nothing else", () => {
  const counted = (sampledAtMs: number, energyMillijoules: number): FleetNode => {
    const { devices, ...rest } = node(sampledAtMs, [[held("x")], [held("y")]]);
    const [x, y] = devices.map((device) => ({ ...device, sampledAtMs }));
    if (x === undefined || y === undefined) throw new Error("two devices were made");
    return { ...rest, devices: [{ ...x, readings: { energyMillijoules } }, y] };
  };
  const used = podDeviceUse(counted(0, 1_000_000), counted(60_000, 7_000_000));
  expect(used).toEqual([
    { node: "a", namespace: "ml", pod: "x", joules: 6_000, deviceSeconds: 0 },
    { node: "a", namespace: "ml", pod: "y", joules: undefined, deviceSeconds: 0 },
  ]);
});

test("a new device has no past, and the same sample again is no time", () => {
  const devices = [[held("x")]];
  expect(shares(node(0, []), node(1_000, devices))).toEqual([]);
  expect(shares(node(0, devices), node(0, devices))).toEqual([]);
});

test("a device that tells no energy is held all the same", () => {
  const silent = (sampledAtMs: number): FleetNode => {
    const { devices, ...rest } = node(sampledAtMs, [[held("x", 2), held("y", 2)]]);
    return { ...rest, devices: devices.map((device) => ({ ...device, readings: {} })) };
  };
  expect(podDeviceUse(silent(0), silent(1_000))).toEqual([
    { node: "a", namespace: "ml", pod: "x", joules: undefined, deviceSeconds: 0.5 },
    { node: "a", namespace: "ml", pod: "y", joules: undefined, deviceSeconds: 0.5 },
  ]);
});

test("a MIG instance used its part of what its GPU used, by memory, and the rest is nobody's", () => {
  const at = (sampledAtMs: number, parentUuid = "GPU-0"): MeteredNode => {
    const cut = node(sampledAtMs, [[], [held("x")], [held("y")]]);
    const devices = cut.devices.map((device, index) => ({
      ...device,
      parentUuid: index === 0 ? undefined : parentUuid,
      readings: {
        ...(index === 0 ? device.readings : {}),
        memoryTotalBytes: [80, 10, 40][index] ?? 0,
      },
    }));
    return { ...cut, devices };
  };
  const used = (before: MeteredNode, after: MeteredNode) =>
    podDeviceUse(before, after).map(({ pod, joules, deviceSeconds }) => [
      pod,
      joules,
      deviceSeconds,
    ]);
  expect(used(at(0), at(2_000))).toEqual([
    ["x", 25, 2],
    ["y", 100, 2],
  ]);
  // Of a GPU that is not listed nothing is known, and an instance is held all the same.
  expect(used(at(0, "GPU-9"), at(2_000, "GPU-9"))).toEqual([
    ["x", undefined, 2],
    ["y", undefined, 2],
  ]);
});

describe("of a shared device whose node tells processes apart", () => {
  const uses = {
    smPercent: new Map([
      ["uid-x", 0.7],
      ["uid-y", 0.1],
    ]),
  };
  const holders = ["x", "y", "z"].map((name) => held(name, 3));
  const at = (atMs: number): FleetNode => {
    const state = node(atMs, [holders]);
    return { ...state, devices: state.devices.map((device) => ({ ...device, uses })) };
  };
  const joules = (lengthMs: number, known: readonly string[]) =>
    podDeviceUse(at(0), at(lengthMs), ({ pod }) =>
      known.includes(pod) ? `uid-${pod}` : undefined,
    ).map((one) => one.joules);

  test("each pod has the energy of its own processes, and of time an equal part", () => {
    expect(joules(1_000, ["x", "y", "z"])).toEqual([70, 10, 0]);
    const times = podDeviceUse(at(0), at(1_000)).map(({ deviceSeconds }) => deviceSeconds);
    expect(times).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });

  test("pods that nobody has named yet divide what is left, so that all is what was measured", () => {
    const [x, y, z] = joules(1_000, ["x"]);
    expect(x).toBe(70);
    expect(y).toBeCloseTo(15);
    expect(z).toBeCloseTo(15);
  });
});
