/** What the refusal of metadata suggests for words that other tools use. */
import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { keyAliases } from "#trigger/key-aliases.ts";
import { triggerKeyNames } from "#trigger/keys.ts";
import { parseTrigger } from "#trigger/trigger.ts";

function problemOf(metadata: Readonly<Record<string, string>>): string {
  try {
    parseTrigger(metadata);
  } catch (error) {
    if (error instanceof Fault && "problems" in error.facts) return error.facts.problems.join("; ");
  }
  return "";
}

describe("a word of another tool", () => {
  test.each([
    [{ aggregation: "mean" }, "did you mean avg?"],
    [{ aggregation: "median" }, "did you mean p50?"],
    [{ replicaAggregation: "average" }, "did you mean avg?"],
    [{ metricType: "vram" }, "did you mean memory_used_percent?"],
    [{ metricType: "DCGM_FI_DEV_GPU_UTIL" }, "did you mean gpu_utilization?"],
    [{ metricType: "memory.used" }, "did you mean memory_used_mib or memory_used_percent?"],
    [{ metricType: "vllm:num_requests_waiting" }, "did you mean queue_depth?"],
    [{ metricType: "vllm" }, "did you mean vllm_queue_depth or vllm_kv_cache_usage?"],
    [{ profile: "vllm" }, "did you mean vllm-inference, vllm-queue-depth or vllm-kv-cache?"],
    [{ profile: "ttft" }, "did you mean llm-ttft-p95?"],
    [
      { metricType: "queue_depth", targetValue: "5", engine: "router" },
      "did you mean vllm-router?",
    ],
    [{ threshold: "80" }, '"threshold": unknown key; did you mean targetValue?'],
    [{ query: "up" }, '"query": unknown key; did you mean engineMetric?'],
    [{ gpu: "0" }, '"gpu": unknown key; did you mean gpuIndex?'],
    [{ window: "60" }, '"window": unknown key; did you mean windowSeconds?'],
  ])("%j: %s", (metadata, hint) => {
    expect(problemOf(metadata)).toContain(hint);
  });
});

test.each([{ scope: "gpu" }, { aggregation: "mad" }, { profile: "chat" }, { model: "llama" }])(
  "%j is like nothing that there is",
  (metadata) => {
    const problem = problemOf(metadata);
    expect(problem).not.toBe("");
    expect(problem).not.toMatch(/did you mean (min|sum|node|p90)\b/);
  },
);

test("every alias of a key is lower case, means a key and is none", () => {
  for (const [alias, names] of Object.entries(keyAliases)) {
    expect(alias).toBe(alias.toLowerCase());
    for (const name of names) expect(triggerKeyNames as readonly string[]).toContain(name);
    expect(triggerKeyNames as readonly string[]).not.toContain(alias);
  }
});
