import { expect, test } from "bun:test";
import { holdersStaleMs } from "#core/limits.ts";
import { podEnergy } from "#fleet/pod-energy.ts";
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
      readings: { powerAverageMilliwatts: 100_000 },
      absences: {},
      absentSinceMs: {},
      holders,
    })),
  };
}

/** Joules by pod. */
function shares(before: FleetNode, after: FleetNode) {
  return podEnergy(before, after).map(({ node: name, namespace, pod, joules }) => {
    expect([name, namespace]).toEqual(["a", "ml"]);
    return [pod, joules];
  });
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

test("a gap between reports is nobody's where only power is known, and a new device has no past", () => {
  const devices = [[held("x")]];
  expect(shares(node(0, devices), node(60_000, devices))).toEqual([]);
  expect(shares(node(0, []), node(1_000, devices))).toEqual([]);
});
