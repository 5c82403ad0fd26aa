import type { Labels } from "#engine/page/series.ts";
import {
  concurrencyOf,
  fraction,
  gauge,
  latencies,
  plus,
  rate,
  type SignalTerms,
} from "#engine/signal/term.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

/** Requests wait for a grammar to compile, or on a decode server for cache space, in own queues. */
const waiting = plus(
  [gauge("sglang_num_queue_reqs")],
  [gauge("sglang_num_grammar_queue_reqs"), gauge("sglang_num_decode_prealloc_queue_reqs")],
);
const running = gauge("sglang_num_running_reqs");

export const sglangSignals: SignalTerms = {
  queue_depth: [waiting],
  running_requests: [running],
  concurrency: [concurrencyOf(waiting, running)],
  kv_cache_usage: [fraction(["sglang_token_usage", "sglang_full_token_usage"])],
  ...latencies({
    ttft: "sglang_time_to_first_token_seconds",
    interToken: ["sglang_inter_token_latency_seconds", "sglang_time_per_output_token_seconds"],
    e2e: "sglang_e2e_request_latency_seconds",
    queue: "sglang_queue_time_seconds",
  }),
  request_rate: [rate("sglang_num_requests")],
  error_rate: [rate("sglang_num_aborted_requests")],
  generation_tokens_per_second: [rate("sglang_generation_tokens"), gauge("sglang_gen_throughput")],
  prompt_tokens_per_second: [rate("sglang_prompt_tokens")],
  preemptions_per_second: [rate("sglang_num_retracted_requests")],
};

/** Every tensor and pipeline rank tells the same; only data-parallel ranks have work of their own. */
export function firstRank({ tp_rank: tensor = "0", pp_rank: pipeline = "0" }: Labels): boolean {
  return tensor === "0" && pipeline === "0";
}

export const sglang: Adapter = {
  engine: "sglang",
  title: "SGLang",
  port: 30_000,
  path: "/metrics",
  otherPaths: [],
  enable: "start it with --enable-metrics",
  owns: ownsPrefixes("sglang_"),
  keep: firstRank,
  copyLabel: "pid",
  signals: sglangSignals,
};
