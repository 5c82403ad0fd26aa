/** What engines tell of their caches, drafts, adapters and transfers, and what they leave open. */
import { describe, expect, test } from "bun:test";
import { mergedResult } from "#engine/signal/result.ts";
import type { SignalName } from "#metric/catalogue.ts";
import { queryFor, readPages, shown } from "./pages.ts";

const resultOf = (signal: SignalName, texts: readonly string[], engine = "vllm") =>
  readPages(
    texts.map((text, at) => ({ atMs: at * 5_000, text: `${text}\n` })),
    queryFor(signal),
    engine,
  ).result;
const read = (signal: SignalName, texts: readonly string[], engine?: string) =>
  shown(resultOf(signal, texts, engine));

describe("a share of two counters", () => {
  const cache = (hits: number, queries: number) =>
    `vllm:prefix_cache_hits_total ${hits}\nvllm:prefix_cache_queries_total ${queries}`;
  const share = (hits: number, queries: number) =>
    resultOf("prefix_cache_hit_rate", [cache(500, 1_000), cache(500 + hits, 1_000 + queries)]);

  test("is of what came in the window, not since the start", () => {
    expect(shown(share(30, 40))).toBe(75);
    expect(shown(share(0, 40))).toBe(0);
  });

  test("is not known where nothing came", () => {
    expect(shown(share(0, 0))).toBe("[no-samples]");
  });

  test("of several replicas is the sum of all parts by the sum of all wholes", () => {
    const [few, many] = [share(9, 10), share(10, 90)];
    expect(shown(mergedResult([few, many]) ?? few)).toBe(19);
    expect(shown(mergedResult([few, share(0, 0)]) ?? few)).toBe(90);
  });

  test("is left to the caller where a replica tells its own share alone", () => {
    const older = resultOf("prefix_cache_hit_rate", ["vllm:gpu_prefix_cache_hit_rate 0.4"]);
    expect(shown(older)).toBe(40);
    expect(mergedResult([older, share(30, 40)])).not.toHaveProperty("value");
    expect(mergedResult([share(30, 40), older])).not.toHaveProperty("value");
  });

  test("is absent with its whole, and no 0", () => {
    expect(read("prefix_cache_hit_rate", ["vllm:prefix_cache_hits_total 4"])).toBe("[lacking]");
    expect(read("spec_decode_acceptance_rate", ["vllm:num_requests_running 1"])).toBe("[lacking]");
  });
});

describe("LoRA adapters", () => {
  const info = (running: string, waiting: string, at: number, slots = "2") =>
    `vllm:lora_requests_info{max_lora="${slots}",running_lora_adapters="${running}",waiting_lora_adapters="${waiting}"} ${at}`;
  const page = [info("a,b", "c,d,e", 10), info("", "", 30), info("a", "b", 20)].join("\n");

  test("are those of the newest list, wherever it stands", () => {
    expect(read("lora_adapters_waiting", [page])).toBe(0);
    expect(read("lora_slot_usage", [page])).toBe(0);
    expect(read("lora_adapters_waiting", [`${page}\n${info("a", "b,c", 40)}`])).toBe(2);
    expect(read("lora_slot_usage", [`${page}\n${info("a", "b,c", 40)}`])).toBe(50);
  });

  test("are not known before the first list, nor their share without a limit", () => {
    expect(read("lora_adapters_waiting", ["vllm:num_requests_running 1"])).toBe("[lacking]");
    expect(read("lora_slot_usage", [info("a", "", 10, "0")])).toBe("[no-samples]");
  });
});

describe("SGLang", () => {
  test("tells the last batch's hit rate until the first hit makes the counter", () => {
    const before = 'sglang:prompt_tokens_total{is_streaming="true"} 100\nsglang:cache_hit_rate 0';
    expect(read("prefix_cache_hit_rate", [before, before], "sglang")).toBe(0);
  });

  test("accepts no share of drafts where nothing was drafted", () => {
    const off = "sglang:num_running_reqs 1\nsglang:spec_accept_rate 0";
    expect(read("spec_decode_acceptance_rate", [off], "sglang")).toBe("[lacking]");
    expect(
      read("spec_decode_acceptance_rate", [`${off}\nsglang:spec_verify_calls_total 9`], "sglang"),
    ).toBe(0);
  });

  test("has no LoRA slots in use where it has none", () => {
    const none = "sglang:lora_pool_slots_used 0\nsglang:lora_pool_slots_total 0";
    expect(read("lora_slot_usage", [none], "sglang")).toBe("[no-samples]");
  });
});

describe("the time of a transfer", () => {
  const page = (transfers: number, inTransfer: number, waiting = 0) =>
    [
      `sglang:num_queue_reqs ${waiting}`,
      `sglang:num_running_reqs ${waiting}`,
      `sglang:num_prefill_inflight_queue_reqs ${inTransfer}`,
      ...[50, 100, Infinity].map(
        (le) =>
          `sglang:kv_transfer_latency_ms_bucket{le="${le === Infinity ? "+Inf" : le}"} ${le === 50 ? 0 : transfers}`,
      ),
    ].join("\n");
  const time = (pages: readonly string[]) => read("kv_transfer_p95_ms", pages, "sglang");

  test("is a quantile in milliseconds", () => {
    expect(time([page(0, 0), page(100, 3)])).toBe(97.5);
  });

  test("is at least the wait while requests wait for one and none ends", () => {
    expect(time([page(9, 3), page(9, 3), page(9, 3)])).toBe(10_000);
  });

  test("is not what requests wait for in the queue", () => {
    expect(time([page(9, 0, 5), page(9, 0, 5), page(9, 0, 5)])).toBe("[no-samples]");
  });

  test("is 0 while nothing is there", () => {
    expect(time([page(9, 0), page(9, 0)])).toBe(0);
  });
});

test("a newer vLLM counts who waits for a transfer, on the side that fetches", () => {
  const stages = ["waiting_to_start", "in_progress", "completed_waiting"].map(
    (stage, at) => `vllm:num_requests_kv_fetch_by_stage{stage="${stage}"} ${at + 1}`,
  );
  expect(read("kv_transfer_requests", [stages.join("\n")])).toBe(3);
  expect(read("kv_transfer_requests", ["vllm:num_requests_running 1"])).toBe("[lacking]");
});

test("Dynamo tells a worker's hit rate where its engine does not", () => {
  const worker = (more: string) => `dynamo_component_kv_cache_hit_rate 0.4\n${more}`;
  const engine = (hits: number) =>
    worker(`vllm:prefix_cache_hits_total ${hits}\nvllm:prefix_cache_queries_total ${2 * hits}`);
  expect(read("prefix_cache_hit_rate", [worker("")], "dynamo-worker")).toBe(40);
  expect(read("prefix_cache_hit_rate", [engine(10), engine(20)], "dynamo-worker")).toBe(50);
});
