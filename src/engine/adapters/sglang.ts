import type { SeriesLabels } from "#engine/page/series.ts";
import {
  concurrencyOf,
  counterShare,
  fraction,
  gauge,
  latencies,
  quantile,
  rate,
  ratio,
  type SignalFormulas,
  sum,
} from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes, type Ranks } from "./adapter.ts";

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
  // The first grows while a request runs, the second when it ends.
  generation_tokens_per_second: [
    rate("sglang:realtime_tokens", { where: ({ mode }) => mode === "decode" }),
    rate("sglang:generation_tokens"),
    gauge("sglang:gen_throughput"),
  ],
  prompt_tokens_per_second: [rate("sglang:prompt_tokens")],
  preemptions_per_second: [rate("sglang:num_retracted_requests")],
  // The first cache hit makes the counter; until then the last batch's share tells.
  prefix_cache_hit_rate: [
    counterShare("sglang:cached_tokens", "sglang:prompt_tokens"),
    fraction("sglang:cache_hit_rate"),
  ],
  // Of the last batches; 0 where there is no speculative decoding, which no other gauge tells apart.
  spec_decode_acceptance_rate: [
    fraction("sglang:spec_accept_rate", { onlyBeside: ["sglang:spec_verify_calls_total"] }),
  ],
  lora_slot_usage: [ratio("sglang:lora_pool_slots_used", "sglang:lora_pool_slots_total")],
  kv_transfer_requests: [
    sum(
      [gauge("sglang:num_prefill_inflight_queue_reqs")],
      [
        gauge("sglang:num_prefill_bootstrap_queue_reqs"),
        gauge("sglang:num_decode_transfer_queue_reqs"),
      ],
    ),
  ],
  kv_transfer_p95_ms: [quantile("sglang:kv_transfer_latency_ms", 0.95, 1)],
};

/**
 * Every tensor and pipeline rank of a data-parallel rank tells the same. With attention in data
 * parallel `tp_rank` counts on over all of them, so that only the first one's is 0.
 */
export const sglangRanks: Ranks = { group: "dp_rank", copies: ["pp_rank", "tp_rank"] };

/** Scheduling by priority prints each priority under the name of the total, which has none. */
export function isTotal({ priority = "" }: SeriesLabels): boolean {
  return priority === "";
}

export const sglang: Adapter = {
  engine: "sglang",
  title: "SGLang",
  port: 30_000,
  path: "/metrics",
  otherPaths: [],
  enable: "start it with --enable-metrics",
  checked: {
    versions: "0.3.6; main at 016d8605; 0.5.23",
    source: "sgl-project/sglang: python/sglang/srt/observability/metrics_collector.py",
    lacks:
      "numbers before its scheduler reports for the first time; what waits for a LoRA slot; draft tokens as counters, so that replicas' shares are averaged",
  },
  owns: ownsPrefixes("sglang:"),
  isCounted: isTotal,
  ranks: sglangRanks,
  copyLabel: "pid",
  signals: sglangSignals,
};
