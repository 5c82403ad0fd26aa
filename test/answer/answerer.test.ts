import { describe, expect, test } from "bun:test";
import { answerer } from "#answer/answerer.ts";
import type { FaultCode } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import type { FleetDevice, FleetNode } from "#fleet/view.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { expectFault } from "./faults.ts";
import { clock, gpu, loads, node, nowMs, storeOf } from "./fleet.ts";

type Metadata = Readonly<Record<string, string>>;
const ref = { namespace: "", name: "", scalerMetadata: {} };

function ask(devices: readonly FleetDevice[], metadata: Metadata = {}, nodes?: FleetNode[]) {
  const store = storeOf(nodes ?? [node(devices)]);
  const answers = answerer({ store, clock, localNode: "a" });
  const trigger = parseTrigger(metadata);
  return {
    value: () => answers.value(ref, trigger),
    activity: () => answers.activity(ref, trigger),
  };
}

const unsupported = (index: number, changes: Partial<FleetDevice> = {}) =>
  gpu({ index, absences: { utilizationPercent: "unsupported" }, ...changes });
const failed = (index: number, agoMs: number, changes: Partial<FleetDevice> = {}) =>
  gpu({
    index,
    absences: { utilizationPercent: "failed" },
    absentSinceMs: { utilizationPercent: nowMs - agoMs },
    ...changes,
  });
const lost = (index: number, agoMs: number) =>
  gpu({
    index,
    health: { state: "lost", reason: "fell off the bus" },
    unwellSinceMs: nowMs - agoMs,
    readings: { utilizationPercent: 100 },
  });
const longAgo = missingGraceMs + 1;

describe("value() is", () => {
  test.each<[string, readonly FleetDevice[], Metadata, number]>([
    ["the maximum of the local node", loads(20, 90, 40), {}, 90],
    ["the minimum", loads(20, 90, 40), { aggregation: "min" }, 20],
    ["the average", loads(20, 90, 40), { aggregation: "avg" }, 50],
    ["the sum", loads(20, 90, 40), { aggregation: "sum" }, 150],
    ["a percentile", loads(20, 90, 40), { aggregation: "p50" }, 40],
    ["one device", loads(20, 90, 40), { gpuIndex: "2" }, 40],
    ["a true 0", loads(0, 0), {}, 0],
    [
      "in the metric's own unit",
      [gpu({ readings: { memoryUsedBytes: 3 * 1024 ** 3, memoryTotalBytes: 4 * 1024 ** 3 } })],
      { metricType: "memory_used_percent" },
      75,
    ],
    [
      "0 below freezing, for KEDA carries nothing below 0",
      [gpu({ readings: { temperatureCelsius: -5 } })],
      { metricType: "temperature", targetValue: "80" },
      0,
    ],
    [
      "of instantaneous power where the driver has no average",
      [
        gpu({
          readings: { powerInstantMilliwatts: 250_000 },
          absences: { powerAverageMilliwatts: "unsupported" },
        }),
      ],
      { metricType: "power_draw", targetValue: "80" },
      250,
    ],
    ["of the devices that have the metric", [...loads(30), unsupported(1)], {}, 30],
    ["of what is left when a device is long lost", [...loads(30), lost(1, longAgo)], {}, 30],
    ["of what is left when a reading long failed", [...loads(30), failed(1, longAgo)], {}, 30],
    [
      "of what is left when one of the two readings of a device long failed",
      [
        gpu({ readings: { memoryUsedBytes: 30, memoryTotalBytes: 100 } }),
        gpu({
          index: 1,
          absences: { memoryUsedBytes: "failed", memoryTotalBytes: "failed" },
          absentSinceMs: { memoryUsedBytes: nowMs - 1_000, memoryTotalBytes: nowMs - longAgo },
        }),
      ],
      { metricType: "memory_used_percent" },
      30,
    ],
    [
      "of what is left when one of the two readings of a device is pending and the other never comes",
      [
        gpu({ readings: { memoryUsedBytes: 30, memoryTotalBytes: 100 } }),
        gpu({
          index: 1,
          absences: { memoryUsedBytes: "pending", memoryTotalBytes: "unsupported" },
        }),
      ],
      { metricType: "memory_used_percent" },
      30,
    ],
    [
      "of slices in place of their GPU",
      [
        gpu({ readings: { memoryUsedBytes: 90, memoryTotalBytes: 100 } }),
        ...[1, 2].map((index) =>
          gpu({
            index,
            parentUuid: "GPU-0",
            readings: { memoryUsedBytes: 30, memoryTotalBytes: 100 },
          }),
        ),
      ],
      { metricType: "memory_used_percent", aggregation: "sum" },
      60,
    ],
    [
      "of slices whose GPU may not be read",
      [
        gpu({ absences: { memoryUsedBytes: "not-permitted", memoryTotalBytes: "not-permitted" } }),
        gpu({
          index: 1,
          parentUuid: "GPU-0",
          readings: { memoryUsedBytes: 30, memoryTotalBytes: 100 },
        }),
      ],
      { metricType: "memory_used_percent" },
      30,
    ],
    [
      "of the GPU in place of its slices where they only have a part of what it has",
      [
        gpu({ readings: { powerAverageMilliwatts: 400_000, memoryTotalBytes: 80 } }),
        gpu({ index: 1, parentUuid: "GPU-0", readings: { memoryTotalBytes: 10 } }),
      ],
      { metricType: "workload_power_watts", targetValue: "500" },
      400,
    ],
    [
      "of the energy counter before other readings of power, and of all devices together",
      [
        gpu({ readings: { powerFromEnergyMilliwatts: 300_000, powerAverageMilliwatts: 1 } }),
        gpu({
          index: 1,
          readings: { powerInstantMilliwatts: 100_000 },
          absences: { powerFromEnergyMilliwatts: "unsupported", powerAverageMilliwatts: "failed" },
        }),
      ],
      { metricType: "workload_power_watts", targetValue: "500" },
      400,
    ],
    [
      "of the GPU where its slices do not have the metric",
      [...loads(70), unsupported(1, { parentUuid: "GPU-0" })],
      {},
      70,
    ],
  ])("%s", (_what, devices, metadata, expected) => {
    expect(ask(devices, metadata).value().value).toBe(expected);
  });

  test("of the node that the metadata names", () => {
    const nodes = [node(loads(10)), node(loads(55), { name: "b" })];
    expect(ask([], { node: "b" }, nodes).value().value).toBe(55);
  });

  test.each([0, 42.5])("the mean %d over the window", (mean) => {
    const asked: unknown[] = [];
    const store = storeOf([node(loads(90))], (device, metric, windowMs) => {
      asked.push([device.uuid, metric, windowMs]);
      return mean;
    });
    const { value } = answerer({ store, clock, localNode: "a" });
    const answer = value(ref, parseTrigger({ windowSeconds: "60" }));
    expect(answer.value).toBe(mean);
    expect(answer.explanation.rule).toEndWith(`, means over 60 s: ${mean}`);
    expect(asked).toEqual([["GPU-0", "gpu_utilization", 60_000]]);
  });

  test("explained, with the devices that did not count and why", () => {
    const devices = [...loads(30, 60), unsupported(2), lost(3, longAgo)];
    const { explanation } = ask(devices, { aggregation: "sum" }).value();
    const identity = { node: "a", ageMs: 400 };
    expect(explanation).toEqual({
      metric: "gpu_utilization",
      scope: "node",
      rule: "sum of gpu_utilization in % over 2 of 4 devices of node a, newest readings: 90",
      devices: [
        { ...identity, uuid: "GPU-0", index: 0, value: 30 },
        { ...identity, uuid: "GPU-1", index: 1, value: 60 },
        { ...identity, uuid: "GPU-2", index: 2, reason: "has no gpu_utilization" },
        { ...identity, uuid: "GPU-3", index: 3, reason: "lost: fell off the bus" },
      ],
    });
  });

  test("explained where it is not what was measured", () => {
    const devices = [gpu({ readings: { temperatureCelsius: -5 } })];
    const { explanation } = ask(devices, { metricType: "temperature", targetValue: "80" }).value();
    expect(explanation.rule).toContain(": -5, sent as 0");
  });
});

describe("value() and activity() both fail", () => {
  const stale = node(loads(50), { sampledAtMs: nowMs - 5_001 });
  const slow = node(loads(50), { sampledAtMs: nowMs - 30_001, sampleIntervalMs: 10_000 });
  const modern = unsupported(0, { readings: { smUtilizationPercent: 10 } });
  test.each<[string, FaultCode, FleetNode[], Metadata, string[]]>([
    ["on stale data", "data-stale", [stale], {}, ["node a", "5 s ago", "limit is 5 s"]],
    ["on stale data of a slow sampler", "data-stale", [slow], {}, ["limit is 30 s"]],
    ["before the first sample", "data-stale", [], {}, ["have not been read yet"]],
    ["on an unknown node", "device-unknown", [stale], { node: "b" }, ["node b", "nodes: a;"]],
    ["on a node without devices", "device-unknown", [node([])], {}, ["no devices"]],
    [
      "on an index that is not there",
      "device-unknown",
      [node(loads(1, 2).toReversed())],
      { gpuIndex: "7" },
      ["gpuIndex 7", "its indexes are 0, 1;"],
    ],
    [
      "on a metric that no device has, and name what it does have",
      "metric-unsupported",
      [node([modern, unsupported(1, { readings: { smUtilizationPercent: 10 } })])],
      {},
      ["gpu_utilization", "GPU 0 (H200, GPU-0)", "use metricType sm_utilization instead"],
    ],
    [
      "on a metric that no device has, and name nothing that one lacks",
      "metric-unsupported",
      [node([modern, unsupported(1)])],
      {},
      ["GPU 0 (H200, GPU-0), GPU 1 (H200, GPU-1) do not support it", "choose another metricType"],
    ],
    [
      "on a metric that none of many devices has, and names the first eight",
      "metric-unsupported",
      [node(Array.from({ length: 9 }, (_, index) => unsupported(index)))],
      {},
      ["GPU 7 (H200, GPU-7) and 1 more do not support it"],
    ],
    [
      "on a metric that the only device does not have",
      "metric-unsupported",
      [node([modern])],
      {},
      ["GPU 0 (H200, GPU-0) does not support it"],
    ],
    ["on engine metrics", "scope-unavailable", [stale], { profile: "vllm-queue-depth" }, ["pods"]],
    ["in scope workload", "scope-unavailable", [stale], { scope: "workload" }, ["Kubernetes API"]],
    ["in scope cluster", "scope-unavailable", [stale], { scope: "cluster" }, ["every node"]],
    [
      "on a selector that nobody can follow here",
      "scope-unavailable",
      [stale],
      { podSelector: "app=llm" },
      ["scope workload"],
    ],
    [
      "while no device is known",
      "data-missing",
      [node([lost(0, longAgo), failed(1, longAgo)])],
      {},
      ["0 of 2", "GPU 0", "lost: fell off the bus", "utilizationPercent is failed"],
    ],
  ])("%s", (_what, code, nodes, metadata, parts) => {
    const { value, activity } = ask([], metadata, nodes);
    expectFault(value, code, ...parts);
    expectFault(activity, code, ...parts);
  });

  test("without a node of their own, and name those there are", () => {
    const { value } = answerer({ store: storeOf([node(loads(1))]), clock });
    expectFault(() => value(ref, parseTrigger({})), "scope-unavailable", "metadata node", "a");
  });
});

describe("value() is missing", () => {
  const pending = gpu({ index: 1, absences: { utilizationPercent: "pending" } });
  const pendingFor = (ms: number): FleetDevice => ({
    ...pending,
    absentSinceMs: { utilizationPercent: pending.sampledAtMs - ms },
  });
  test.each<[string, readonly FleetDevice[], Metadata]>([
    ["within the grace of a lost device", [...loads(90), lost(1, 1_000)], {}],
    ["to the last moment of that grace", [...loads(90), lost(1, missingGraceMs)], {}],
    ["within the grace of a failed reading", [...loads(90), failed(1, 1_000)], {}],
    ["while a reading is pending", [...loads(90), pending], {}],
    ["while a reading is pending for less than 30 s", [...loads(90), pendingFor(30_000)], {}],
    ["while one that never came is in its grace", [...loads(90), pendingFor(30_001)], {}],
    ["with fewer than half", [...loads(90), lost(1, longAgo), lost(2, longAgo)], {}],
    [
      "while the later of two power readings is in its grace",
      [
        gpu({ index: 0, readings: { powerAverageMilliwatts: 1 } }),
        gpu({
          index: 1,
          absences: { powerAverageMilliwatts: "failed", powerInstantMilliwatts: "failed" },
          absentSinceMs: { powerAverageMilliwatts: 0, powerInstantMilliwatts: nowMs - 1_000 },
        }),
      ],
      { metricType: "power_draw", targetValue: "80" },
    ],
    [
      "when power has no average and the instantaneous one failed: that is not unsupported",
      [
        gpu({
          absences: { powerAverageMilliwatts: "unsupported", powerInstantMilliwatts: "failed" },
        }),
      ],
      { metricType: "power_draw", targetValue: "80" },
    ],
    ["when a reading is absent without a reason", [...loads(90), gpu({ index: 1 })], {}],
  ])("%s", (_what, devices, metadata) => {
    expectFault(ask(devices, metadata).value, "data-missing");
  });

  test("for the reading that is absent, beside one that is there", () => {
    const half = gpu({
      readings: { memoryUsedBytes: 1 },
      absences: { memoryTotalBytes: "pending" },
    });
    const metadata = { metricType: "memory_used_percent" };
    expectFault(
      ask([half], metadata).value,
      "data-missing",
      "0 of 1 devices are known",
      "look into GPU 0 (H200, GPU-0): memoryTotalBytes is pending",
    );
  });

  test("where a reading that was demanded does not come, and says who does not take it", () => {
    const of = (ms: number) =>
      gpu({
        absences: { pcieTxKilobytesPerSecond: "pending" },
        absentSinceMs: { pcieTxKilobytesPerSecond: nowMs - 400 - ms },
      });
    const metadata = { metricType: "pcie_tx_kbps", targetValue: "1" };
    expectFault(ask([of(30_000)], metadata).value, "data-missing", "PerSecond is pending");
    expectFault(
      ask([of(missingGraceMs)], metadata).value,
      "data-missing",
      "at least half of the devices must be known",
      "pcieTxKilobytesPerSecond has not come in 300 s",
      "the agent of node a does not take what is demanded",
    );
  });

  test("not by one that never came, beside one that did", () => {
    const late = gpu({
      index: 1,
      absences: { utilizationPercent: "pending" },
      absentSinceMs: { utilizationPercent: nowMs - missingGraceMs - 401 },
    });
    expect(ask([...loads(90), late], {}).value().value).toBe(90);
  });

  test("not for a device that was not asked for", () => {
    expect(ask([...loads(90), lost(1, 0)], { gpuIndex: "0" }).value().value).toBe(90);
  });
});

describe("activity() is", () => {
  const mixed = [
    gpu({ readings: { utilizationPercent: 0, memoryUsedBytes: 10, memoryTotalBytes: 100 } }),
  ];
  const byMemory = { activationMetricType: "memory_used_percent" };
  test.each<[string, readonly FleetDevice[], Metadata, boolean]>([
    ["true above 0", loads(0.5), {}, true],
    ["false at 0", loads(0), {}, false],
    ["false at the threshold", loads(5), { activationThreshold: "5" }, false],
    ["true above the threshold", loads(5.1), { activationThreshold: "5" }, true],
    ["true by another metric", mixed, { ...byMemory, activationThreshold: "9" }, true],
    ["false by another metric", mixed, { ...byMemory, activationThreshold: "10" }, false],
    ["true while a part is missing but the rest is busy", [...loads(9), lost(1, 0)], {}, true],
    ["true for a profile that never goes to zero", loads(0), { profile: "training" }, true],
    ["true for such a profile on a dead node", [lost(0, 0)], { profile: "training" }, true],
  ])("%s", (_what, devices, metadata, expected) => {
    expect(ask(devices, metadata).activity().active).toBe(expected);
  });

  test("never false when a device was lost lately", () => {
    const { activity } = ask([...loads(0), lost(1, 0)]);
    expectFault(activity, "data-missing", "a device that goes missing is waited for 300 s");
  });

  test("false without a device that was lost long ago, as the value is", () => {
    const asked = ask([...loads(0), lost(1, longAgo)]);
    expect(asked.activity().active).toBe(false);
    expect(asked.value().value).toBe(0);
  });

  test("explained", () => {
    const { explanation } = ask(loads(5, 6), { activationThreshold: "5.5" }).activity();
    expect(explanation.rule).toEndWith(": 6, above the activation threshold 5.5");
    expect(explanation.devices.map(({ value }) => value)).toEqual([5, 6]);
  });
});

test("tells which readings are looked for, before they are there", () => {
  const needed: unknown[] = [];
  const store = storeOf([node(loads(1))]);
  const answers = answerer({ store, clock, localNode: "a", asked: (needs) => needed.push(needs) });
  const trigger = parseTrigger({
    metricType: "pcie_tx_kbps",
    targetValue: "80",
    activationMetricType: "memory_used_percent",
  });
  expectFault(() => answers.value(ref, trigger), "data-missing");
  expectFault(() => answers.activity(ref, trigger), "data-missing");
  expect(needed).toEqual([["pcieTxKilobytesPerSecond"], ["memoryUsedBytes", "memoryTotalBytes"]]);
});
