import { describe, expect, test } from "bun:test";
import { held, host, inCluster, pod } from "./cluster.ts";
import { latency, serving, withEngines } from "./engines.ts";

const router = {
  metricType: "queue_depth",
  targetValue: "5",
  engine: "vllm-router",
  endpoint: "http://router:8000/metrics",
};
const page = (queue_depth: number) => ({ queue_depth, activity: queue_depth });

describe("warnings", () => {
  test("are told beside the value of an object that nothing wakes from zero", () => {
    const cluster = (otherTriggers: readonly { type: string }[]) =>
      withEngines({
        pods: [serving(1)],
        pages: { "10.0.0.1": page(1) },
        workload: { minReplicas: 0, otherTriggers },
      }).value({ metricType: "queue_depth", targetValue: "5" });
    expect(cluster([]).explanation.warnings).toMatchObject([{ code: "no-wake-source" }]);
    expect(cluster([]).value).toBe(1);
    expect(cluster([{ type: "prometheus" }]).explanation.warnings).toBeUndefined();
    expect(cluster([{ type: "cpu" }]).explanation.warnings).toBeDefined();
  });

  test("look at the object's other triggers of this scaler", () => {
    const ours = { scalerAddress: "here", ...router };
    const warningsWith = (metadata: Readonly<Record<string, string>>) =>
      withEngines({
        pods: [serving(1)],
        pages: { "10.0.0.1": page(1) },
        workload: { minReplicas: 0, otherTriggers: [{ type: "external", metadata }] },
      }).value({ metricType: "queue_depth", targetValue: "5" }).explanation.warnings;
    expect(warningsWith(ours)).toBeUndefined();
    const { endpoint: _, engine: __, ...own } = ours;
    expect(warningsWith(own)).toMatchObject([{ code: "no-wake-source" }]);
  });

  test("know the engine's buckets", () => {
    const pages = {
      "10.0.0.1": { ttft_p95_ms: latency(500, [0.5, 50], [1, 100], [Infinity, 100]) },
    };
    const cluster = withEngines({ pods: [serving(1)], pages, workload: { metricType: "Value" } });
    const codes = (targetValue: string) =>
      cluster
        .value({ metricType: "ttft_p95_ms", targetValue })
        .explanation.warnings?.map(({ code }) => code);
    expect(codes("500")).toEqual(["latency-without-guard"]);
    expect(codes("600")).toEqual(["latency-without-guard", "target-off-bucket-edge"]);
    expect(codes("2000")).toEqual(["latency-without-guard", "target-beyond-buckets"]);
  });

  test("say nothing for a trigger that cannot be parsed, nor for a ScaledJob", () => {
    const codes = (kind: "ScaledObject" | "ScaledJob", metadata = {}) =>
      withEngines({
        pods: [serving(1)],
        pages: { "10.0.0.1": page(1) },
        workload: {
          kind,
          minReplicas: 0,
          otherTriggers: [{ type: "external", metadata: { scalerAddress: "here", ...metadata } }],
        },
      })
        .value({ metricType: "queue_depth", targetValue: "5" })
        .explanation.warnings?.map(({ code }) => code);
    expect(codes("ScaledObject")).toEqual(["no-wake-source"]);
    // It may be of any kind, and so may wake the workload.
    expect(codes("ScaledObject", { metricType: "nonsense" })).toBeUndefined();
    expect(codes("ScaledJob")).toBeUndefined();
  });

  test("know the object of a trigger whose answer does not need its pods", () => {
    const cluster = inCluster({
      nodes: [host("a", [held("x", 50)])],
      workload: { metricType: "Value" },
    });
    const metadata = { scope: "cluster", replicaAggregation: "sum" };
    expect(cluster.value(metadata).explanation.warnings).toBeUndefined();
    const average = inCluster({ nodes: [host("a", [held("x", 50)])] });
    expect(average.value({ scope: "cluster" }).explanation.warnings).toMatchObject([
      { code: "average-of-average" },
    ]);
  });
});

describe("memory that a server takes at its start", () => {
  const usedPercents = (percents: readonly number[], metadata: object) => {
    const devices = percents.map((percent, index) =>
      held(`p${index}`, 0, {
        readings: { memoryUsedBytes: percent, memoryTotalBytes: 100 },
      }),
    );
    const pods = percents.map((_, index) => pod(`p${index}`));
    const { value } = inCluster({ nodes: [host("a", devices)], pods });
    return value({ ...metadata }).explanation.warnings?.map(({ message }) => message);
  };
  const byMemory = { metricType: "memory_used_percent", targetValue: "80" };

  test("is warned of when every replica is above the target, by the one that uses least", () => {
    const vllm = { profile: "vllm-inference" };
    expect(usedPercents([95, 92], vllm)).toEqual([
      expect.stringContaining("Each replica that has started uses 92.0 %"),
    ]);
    expect(usedPercents([95, 60], vllm)).toBeUndefined();
    expect(usedPercents([], vllm)).toBeUndefined();
    expect(usedPercents([95], { profile: "tgi-inference" })).toHaveLength(1);
  });

  test("is known of the engine that the metadata names, and of none that is not named", () => {
    expect(usedPercents([95], { ...byMemory, engine: "sglang" })).toHaveLength(1);
    expect(usedPercents([95], { ...byMemory, engine: "ollama" })).toBeUndefined();
    expect(usedPercents([95], byMemory)).toBeUndefined();
  });
});
