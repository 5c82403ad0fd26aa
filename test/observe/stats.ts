import { readingNames } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";
import type { NodeStats } from "#observe/node-metrics.ts";
import type { CostOutcome, EngineStats, FleetStats } from "#observe/scaler-metrics.ts";
import type { TriggerStatus } from "#observe/trigger-history.ts";
import { parseTrigger } from "#trigger/trigger.ts";

/** Has every reading: the first is 1, the second 2, and so on, so that none is taken for another. */
const healthy: DeviceSample = {
  uuid: "GPU-a",
  index: 0,
  vendor: "nvidia",
  model: "H100",
  health: { state: "ok" },
  conditions: [
    { kind: "thermal-slowdown", detail: "too hot" },
    { kind: "xid-application", detail: "XID 13" },
  ],
  xidCounts: [
    { xid: 13, kind: "application", count: 4 },
    { xid: 79, kind: "hardware", count: 1 },
  ],
  readings: Object.fromEntries(readingNames.map((name, place) => [name, place + 1])),
  absences: {},
};

/** Has the two readings that stand in for others, and misses some of the rest. */
const failing: DeviceSample = {
  uuid: "GPU-b",
  index: 1,
  vendor: "nvidia",
  model: "H100",
  health: { state: "lost", reason: "gone from the bus" },
  conditions: [],
  readings: { powerInstantMilliwatts: 250_000 },
  absences: { utilizationPercent: "failed", smOccupancyPercent: "unsupported" },
};

export const node: NodeStats = {
  devices: () => [healthy, failing],
  energyJoules: (uuid) => (uuid === "GPU-a" ? 1_234.5 : undefined),
  podEnergy: () => [{ namespace: "team-a", pod: "llama-0", joules: 1_200.5 }],
  sampling: () => ({ collections: 11, faults: 2, skipped: 3 }),
};
export const fleet: FleetStats = {
  nodes: () => 4,
  devices: () => 32,
  unwellDevices: () =>
    new Map([
      ["lost", 1],
      ["failing", 2],
    ]),
  deviceConditions: () => new Map([["row-remap-pending", 3]]),
  silentAgents: () => 1,
  refusedReports: () => 3,
  sampleAgesMs: () =>
    new Map([
      ["node-a", 400],
      ["node-b", 1_500],
    ]),
};
export const engines: EngineStats = {
  targets: () => [
    { engine: "vllm", isFailing: false, ageMs: 400 },
    { engine: "vllm", isFailing: true, ageMs: 61_000 },
    { engine: "unknown", isFailing: true },
    { engine: "vllm", isFailing: false, ageMs: 700 },
  ],
  scrapes: () =>
    new Map([
      ["ok", 90],
      ["engine-unreachable", 7],
    ]),
};
/** Three that are answered, two of them of one object, and one that is refused. */
export const triggers: readonly TriggerStatus[] = [
  {
    ...triggerStatus("llm", "1", ["no-wake-source"]),
    value: { result: 276, rule: "sum over 3 replicas" },
    activity: { result: true, rule: "above" },
    workload: {
      kind: "ScaledObject",
      metricType: "AverageValue",
      replicas: 3,
      minReplicas: 1,
      maxReplicas: 9,
      desiredReplicas: 4,
    },
    coverage: { counted: 3, missing: 1, warming: 2 },
    dataAtMs: Date.UTC(2026, 0, 1) - 1_000,
    askedAtMs: Date.UTC(2026, 0, 1),
  },
  triggerStatus("llm", "2", ["no-wake-source"]),
  triggerStatus("tts", "1", ["sum-under-value"]),
  {
    ...triggerStatus("asr", "much", []),
    trigger: undefined,
    value: { fault: { code: "trigger-invalid", message: "Cannot use it", sinceMs: 0 } },
    refusals: new Map([["trigger-invalid", 7]]),
  },
];

export const deviceUse = () => [
  { namespace: "ml", name: "llm", joules: 7_200_000.5, deviceSeconds: 36_000.25 },
  { namespace: "ml", name: "sliced", deviceSeconds: 5 },
];

export const deletionCosts = (outcome: CostOutcome) => ({ ok: 40, left: 2, failed: 1 })[outcome];

function triggerStatus(
  name: string,
  targetValue: string,
  codes: readonly ("no-wake-source" | "sum-under-value")[],
): TriggerStatus {
  return {
    ref: { namespace: "ml", name, scalerMetadata: { targetValue } },
    trigger: {
      ...parseTrigger({ metricType: "gpu_utilization" }),
      metricName: `gpu-utilization-${targetValue}`,
    },
    warnings: codes.map((code) => ({ code, message: `about ${code}` })),
    refusals: new Map(),
    points: [],
    changes: [],
  };
}
