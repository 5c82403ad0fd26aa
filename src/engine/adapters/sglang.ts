import type { SeriesLabels } from "#engine/page/series.ts";
import {
  concurrencyOf,
  fraction,
  gauge,
  latencies,
  rate,
  type SignalFormulas,
  sum,
} from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

/** Requests wait for a grammar to compile, or on a decode server for cache space, in own queues. */
const waiting = sum(
  [gauge("sglang:num_queue_reqs")],
  [gauge("sglang:num_grammar_queue_reqs"), gauge("sglang:num_decode_prealloc_queue_reqs")],
);
const running = gauge("sglang:num_running_reqs");

export const sglangSignals: SignalFormulas = {
  queue_depth: [waiting],
  running_requests: [running],
  concurrency: [concurrencyOf(waiting, running)],
  kv_cache_usage: [fraction(["sglang:token_usage", "sglang:full_token_usage"])],
  ...latencies({
    ttft: "sglang:time_to_first_token_seconds",
    interToken: ["sglang:inter_token_latency_seconds", "sglang:time_per_output_token_seconds"],
    e2e: "sglang:e2e_request_latency_seconds",
    queue: "sglang:queue_time_seconds",
  }),
  request_rate: [rate("sglang:num_requests")],
  error_rate: [rate("sglang:num_aborted_requests")],
  generation_tokens_per_second: [rate("sglang:generation_tokens"), gauge("sglang:gen_throughput")],
  prompt_tokens_per_second: [rate("sglang:prompt_tokens")],
  preemptions_per_second: [rate("sglang:num_retracted_requests")],
};

/** Every tensor and pipeline rank tells the same; only data-parallel ranks have work of their own. */
export function isFirstRank({
  tp_rank: tensor = "0",
  pp_rank: pipeline = "0",
}: SeriesLabels): boolean {
  return tensor === "0" && pipeline === "0";
}

export const sglang: Adapter = {
  engine: "sglang",
  title: "SGLang",
  port: 30_000,
  path: "/metrics",
  otherPaths: [],
  enable: "start it with --enable-metrics",
  owns: ownsPrefixes("sglang:"),
  isCounted: isFirstRank,
  copyLabel: "pid",
  signals: sglangSignals,
};
