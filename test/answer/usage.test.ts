import { expect, test } from "bun:test";
import { type UsageSources, workloadUsage } from "#answer/usage.ts";
import { Fault } from "#core/fault.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import { targetText } from "#engine/scrape/target.ts";
import { signalText } from "#engine/signal/query.ts";
import type { FleetDevice } from "#fleet/view.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import { holder, host, llm, pod, workload } from "./cluster.ts";
import { serving, unusedEngines } from "./engines.ts";
import { gpu, nowMs, storeOf } from "./fleet.ts";

interface State {
  readonly pods: readonly Pod[];
  readonly devices?: readonly FleetDevice[];
  readonly metadata?: Readonly<Record<string, string>>;
  /** What engines tell, by address and signal; those that are not here are not scraped. */
  readonly pages?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly podRefusal?: UsageSources["engines"]["podRefusal"];
}

function usageOf({ pods, devices = [], metadata = {}, pages = {}, podRefusal }: State) {
  const trigger = parseTrigger({ metricType: "gpu_utilization", ...metadata });
  const one = { ref: { ...llm, scalerMetadata: metadata }, trigger };
  return workloadUsage(one, workload({ pods }), {
    view: storeOf([host("a", devices)]).view(),
    nowMs,
    engines: {
      ...unusedEngines,
      podRefusal: podRefusal ?? (() => undefined),
      peek: (target, queries) => {
        const page = "podAddress" in target.at ? pages[target.at.podAddress] : undefined;
        if (page === undefined) return [];
        return queries.map((query): EngineReading => {
          const base = { target: targetText(target), engine: "vllm", ageMs: 1_000 };
          const value = page[signalText(query)];
          if (value !== undefined) return { ...base, state: "known", value };
          const fault = new Fault("data-missing", "Cannot read", { known: 0, missing: [] });
          return { ...base, state: "absent", reason: "lacking", fault };
        });
      },
    },
  });
}

const device = (name: string, index: number, utilizationPercent: number, usedMib: number) =>
  gpu({
    uuid: `GPU-${name}-${index}`,
    index,
    readings: {
      utilizationPercent,
      memoryUsedBytes: usedMib * 2 ** 20,
      memoryTotalBytes: 100 * 2 ** 20,
      powerInstantMilliwatts: 1_000 * (200 + utilizationPercent),
    },
    holders: [holder(name)],
  });

test("each ready replica counts with the mean of its devices, whatever the trigger reads", () => {
  const usage = usageOf({
    pods: [pod("x"), pod("y"), pod("z", { state: "warming", ready: false })],
    devices: [device("x", 0, 40, 90), device("x", 1, 60, 92), device("y", 2, 90, 80)],
    metadata: { metricType: "temperature", targetValue: "70", aggregation: "max" },
  });
  expect(usage).toMatchObject({
    replicas: 3,
    readyReplicas: 2,
    minReplicas: 1,
    maxReplicas: 100,
    utilizationPercent: { least: 50, mean: 70, most: 90 },
    memoryUsedPercent: { least: 80, mean: 85.5, most: 91 },
    powerWatts: { least: 250, mean: 270, most: 290 },
    startingPods: ["uid-z"],
  });
  expect(usage.engine).toBeUndefined();
});

test("what is not known of any replica is absent, and never 0", () => {
  const old = device("y", 0, 50, 50);
  const usage = usageOf({
    pods: [pod("x"), pod("y", { node: "gone" })],
    devices: [gpu({ holders: [holder("x")], readings: { utilizationPercent: 30 } }), old],
  });
  expect(usage.utilizationPercent).toEqual({ least: 30, mean: 30, most: 30 });
  expect(usage.memoryUsedPercent).toBeUndefined();
  expect(usage.powerWatts).toBeUndefined();
});

const reads = { metricType: "concurrency", targetValue: "16" };

test("engines tell what waits, runs and is cached, of those that are scraped anyway", () => {
  const pages = {
    "10.0.0.1": { queue_depth: 3, running_requests: 30, kv_cache_usage: 95 },
    "10.0.0.2": { queue_depth: 0, running_requests: 20, kv_cache_usage: 60 },
    "10.0.0.3": { running_requests: 25 },
  };
  const pods = [serving(1), serving(2), serving(3), serving(4), serving(5, { ready: false })];
  expect(usageOf({ pods, pages, metadata: reads }).engine).toEqual({
    name: "vllm",
    waiting: 3,
    running: 75,
    runningMost: 30,
    unqueuedMost: 20,
    cachePercentMost: 95,
  });
  // Where nobody reads engines, none is asked.
  expect(usageOf({ pods, pages }).engine).toBeUndefined();
  const endpoint = { ...reads, endpoint: "http://router" };
  expect(usageOf({ pods, pages, metadata: endpoint }).engine).toBeUndefined();
});

test("engines that tell nothing, or may not be asked, leave all of it absent", () => {
  const nothing = {
    name: undefined,
    waiting: undefined,
    running: undefined,
    runningMost: undefined,
    unqueuedMost: undefined,
    cachePercentMost: undefined,
  };
  const pods = [serving(1), pod("without-address")];
  expect(usageOf({ pods, metadata: reads }).engine).toEqual(nothing);
  const refusal = new Fault("endpoint-refused", "Cannot ask", { endpoint: "", rule: "" });
  const pages = { "10.0.0.1": { queue_depth: 3 } };
  const podRefusal = () => refusal;
  expect(usageOf({ pods, pages, metadata: reads, podRefusal }).engine).toEqual(nothing);
});

test.each([
  ["vllm", "vllm"],
  ["vllm-openai", "vllm"],
  ["vllm-router", "vllm-router"],
  ["server", undefined],
  ["myvllm", undefined],
])("a container that is named %s seems to run %p", (name, engine) => {
  const containers = [
    { name: "sidecar", ready: true, ports: [] },
    { name, ready: true, ports: [] },
  ];
  const likely = usageOf({ pods: [pod("x", { containers })] }).likelyEngine;
  expect(likely).toBe(engine as typeof likely);
});

test("of each ready pod it is told how long it took, and of no other", () => {
  const usage = usageOf({
    pods: [
      pod("x", { readyAfterMs: 90_000 }),
      pod("y"),
      pod("z", { ready: false, readyAfterMs: 10_000 }),
    ],
  });
  expect([...usage.readyAfterMs]).toEqual([["uid-x", 90_000]]);
});
