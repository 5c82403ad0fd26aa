import { describe, expect, test } from "bun:test";
import { parseTrigger } from "#trigger/trigger.ts";
import { canWake, type TriggerFacts, triggerWarnings } from "#trigger/warnings.ts";

type Metadata = Readonly<Record<string, string>>;
const codes = (metadata: Metadata, facts: TriggerFacts): readonly string[] =>
  triggerWarnings(parseTrigger(metadata), facts).map(({ code }) => code);
const message = (metadata: Metadata, facts: TriggerFacts) =>
  triggerWarnings(parseTrigger(metadata), facts)[0]?.message;
const ours = (metadata: Metadata) => ({ type: "external", trigger: parseTrigger(metadata) });

const preallocated = { prealloc: true, memoryPercent: 92 };
const vram = { profile: "vllm-inference" };
const ttft = { profile: "llm-ttft-p95" };
const gateway = { profile: "gateway-flow-control", endpoint: "http://epp:9090" };
const queue = { metricType: "queue_depth", targetValue: "5" };
const cache = { profile: "vllm-kv-cache" };
/** vLLM's, in ms. */
const bucketEdges = [500, 750, 1_000, 2_500, 5_000, Number.POSITIVE_INFINITY];

describe("triggerWarnings() gives", () => {
  test.each<[string, Metadata, TriggerFacts, readonly string[]]>([
    ["nothing where nothing is known", vram, {}, []],

    ["memory taken at start", vram, { prealloc: true, memoryPercent: 92 }, ["memory-runs-away"]],
    ["memory within tolerance", vram, { prealloc: true, memoryPercent: 88 }, []],
    ["memory that follows the load", vram, { prealloc: false, memoryPercent: 92 }, []],
    ["memory with a target above", { ...vram, targetValue: "84" }, preallocated, []],
    ["memory of a trigger on another metric", queue, preallocated, []],

    ["zero with nothing else", queue, { minReplicas: 0, otherTriggers: [] }, ["no-wake-source"]],
    ["zero with unknown others", queue, { minReplicas: 0 }, []],
    ["one with nothing else", queue, { minReplicas: 1, otherTriggers: [] }, []],
    [
      "zero with cpu",
      queue,
      { minReplicas: 0, otherTriggers: [{ type: "cpu" }] },
      ["no-wake-source"],
    ],
    ["zero with a cron", queue, { minReplicas: 0, otherTriggers: [{ type: "cron" }] }, []],
    [
      "zero with another of the same pods",
      queue,
      { minReplicas: 0, otherTriggers: [ours(vram)] },
      ["no-wake-source"],
    ],
    ["zero with a gateway", queue, { minReplicas: 0, otherTriggers: [ours(gateway)] }, []],
    ["zero of a gateway", gateway, { minReplicas: 0, otherTriggers: [] }, []],

    ["a latency alone", ttft, { otherTriggers: [] }, ["latency-without-guard"]],
    ["a latency beside memory", ttft, { otherTriggers: [ours(vram)] }, ["latency-without-guard"]],
    ["a latency beside a queue", ttft, { otherTriggers: [ours(queue)] }, []],
    ["a latency beside who knows what", ttft, {}, []],

    ["a cache alone", cache, { otherTriggers: [] }, ["cache-without-guard"]],
    ["a cache beside memory", cache, { otherTriggers: [ours(vram)] }, ["cache-without-guard"]],
    [
      "a cache beside a time",
      cache,
      { otherTriggers: [{ type: "cron" }] },
      ["cache-without-guard"],
    ],
    ["a cache beside a queue", cache, { otherTriggers: [ours(queue)] }, []],
    [
      "a cache beside requests",
      cache,
      { otherTriggers: [ours({ profile: "llm-concurrency" })] },
      [],
    ],
    ["a cache beside who knows what", cache, {}, []],

    ["a target on an edge", ttft, { bucketEdges }, []],
    [
      "a target on an edge but for rounding",
      { ...ttft, targetValue: "750" },
      { bucketEdges: [0.5 * 1_000, 0.75 * 1_000.0000001, 2_500] },
      [],
    ],
    [
      "a target between edges",
      { ...ttft, targetValue: "1200" },
      { bucketEdges },
      ["target-off-bucket-edge"],
    ],
    [
      "a target above them",
      { ...ttft, targetValue: "6000" },
      { bucketEdges },
      ["target-beyond-buckets"],
    ],
    ["buckets of no latency", queue, { bucketEdges }, []],

    ["a percentage as a share of 1", { targetValue: "0.8" }, {}, ["target-as-fraction"]],
    ["one percent", { targetValue: "1" }, {}, ["target-as-fraction"]],
    ["two percent", { targetValue: "2" }, {}, []],
    ["a share of 1 by the shorthand", { targetGpuUtilization: "0.9" }, {}, ["target-as-fraction"]],
    ["one request", { ...queue, targetValue: "1" }, {}, []],
    ["every percent", { targetValue: "100" }, {}, []],
    ["more than every percent", { targetValue: "101" }, {}, ["target-beyond-percentage"]],
    ["more than 100 °C", { metricType: "temperature", targetValue: "101" }, {}, []],
    [
      "the percentages of a replica's devices added up",
      { targetValue: "640", aggregation: "sum" },
      {},
      [],
    ],
    [
      "an engine's percentage, which has no devices to add up",
      { metricType: "kv_cache_usage", targetValue: "640", aggregation: "sum" },
      {},
      ["target-beyond-percentage"],
    ],
    [
      "the percentages of all replicas added up under Value",
      { targetValue: "300", replicaAggregation: "sum" },
      { metricType: "Value" },
      ["sum-under-value"],
    ],

    [
      "a cache's hit rate",
      { metricType: "prefix_cache_hit_rate", targetValue: "60" },
      {},
      ["inverted-metric"],
    ],
    [
      "a share of accepted drafts",
      { metricType: "spec_decode_acceptance_rate", targetValue: "60" },
      {},
      ["inverted-metric"],
    ],
    ["a share of slots", { metricType: "lora_slot_usage", targetValue: "60" }, {}, []],
    ["a latency under Value", ttft, { metricType: "Value" }, []],
    [
      "a latency under AverageValue",
      ttft,
      { metricType: "AverageValue" },
      ["metric-type-unsuited"],
    ],
    [
      "a latency without a profile under AverageValue",
      { metricType: "e2e_p95_ms", targetValue: "900" },
      { metricType: "AverageValue" },
      ["metric-type-unsuited"],
    ],
    ["a queue's profile under Value", vram, { metricType: "Value" }, ["metric-type-unsuited"]],
    ["a metric of no profile under Value", queue, { metricType: "Value" }, []],
    [
      "a queue of one endpoint under Value",
      { ...queue, endpoint: "http://a" },
      { metricType: "Value" },
      ["total-under-value"],
    ],
    ["a profile under what it is for", vram, { metricType: "AverageValue" }, []],

    [
      "an average of replicas under AverageValue",
      { replicaAggregation: "avg" },
      { metricType: "AverageValue" },
      ["average-of-average"],
    ],
    [
      "a percentage of a node under AverageValue",
      { scope: "node" },
      { metricType: "AverageValue" },
      ["average-of-average"],
    ],
    [
      "a percentage of one endpoint under AverageValue",
      { metricType: "kv_cache_usage", endpoint: "http://a" },
      { metricType: "AverageValue" },
      ["average-of-average"],
    ],
    [
      "a ratio of one endpoint under AverageValue",
      { engineMetric: "a / b", targetValue: "1", endpoint: "http://a" },
      { metricType: "AverageValue" },
      ["average-of-average"],
    ],
    [
      "a series of one endpoint under AverageValue",
      { engineMetric: "a", targetValue: "1", endpoint: "http://a" },
      { metricType: "AverageValue" },
      [],
    ],
    ["a queue of one endpoint under AverageValue", gateway, { metricType: "AverageValue" }, []],
    ["a percentage under AverageValue", {}, { metricType: "AverageValue" }, []],
    ["an average under Value", { replicaAggregation: "avg" }, { metricType: "Value" }, []],
    [
      "a sum under Value",
      { replicaAggregation: "sum" },
      { metricType: "Value" },
      ["sum-under-value"],
    ],
  ])("for %s", (_what, metadata, facts, expected) => {
    expect(codes(metadata, facts)).toEqual([...expected]);
  });

  test("every warning at once", () => {
    expect(
      codes(ttft, { metricType: "AverageValue", otherTriggers: [], bucketEdges: [1, 2] }),
    ).toEqual(["latency-without-guard", "target-beyond-buckets", "metric-type-unsuited"]);
  });
});

test.each([
  ['quantile="0.9"', ["average-of-average"]],
  ['quantile!="0.9"', []],
  ['quantile=~"0.9"', []],
])("a series with %s of one endpoint under AverageValue gives %p", (engineLabels, expected) => {
  const metadata = { engineMetric: "a", engineLabels, targetValue: "1", endpoint: "http://a" };
  expect(codes(metadata, { metricType: "AverageValue" })).toEqual(expected);
});

describe("a warning says what to do instead", () => {
  test("a target that memory does not reach", () => {
    expect(message(vram, preallocated)).toStartWith(
      "Each replica that has started uses 92.0 % of its memory whatever its load, above the target of 80 %",
    );
    expect(message(vram, preallocated)).toEndWith("or take a target of at least 83.7");
    // At that target the ratio is within the HPA's tolerance.
    expect(codes({ ...vram, targetValue: "83.7" }, preallocated)).toEqual([]);
  });

  test("the edges around a target", () => {
    expect(message({ ...ttft, targetValue: "1200" }, { bucketEdges })).toEndWith(
      "between 1000 and 2500 ms apart, and the target of 1200 lies there; take 1000 or 2500",
    );
    expect(message({ ...ttft, targetValue: "100" }, { bucketEdges })).toEndWith("take 500");
  });
});

describe("canWake()", () => {
  test.each<[string, Metadata, boolean]>([
    ["not a workload's own devices", {}, false],
    ["not a workload's own engines", queue, false],
    ["the devices of a node", { scope: "node" }, true],
    ["the devices of other pods", { podSelector: "app=other" }, true],
    ["what is always active", { profile: "training" }, true],
    ["a gateway", gateway, true],
    ["an endpoint of who knows what", { ...queue, endpoint: "http://a" }, true],
    ["not the workload's own Service", { ...queue, vllmEndpoint: "http://a" }, false],
    [
      "not an endpoint that decides on size alone",
      { ...gateway, activationMetricType: "gpu_utilization" },
      false,
    ],
  ])("%s", (_what, metadata, expected) => {
    expect(canWake(parseTrigger(metadata))).toBe(expected);
  });
});
