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
    versions: "the first release; main at 016d8605",
    source: "sgl-project/sglang: python/sglang/srt/observability/metrics_collector.py",
    lacks: "numbers before its scheduler reports for the first time",
  },
  owns: ownsPrefixes("sglang:"),
  isCounted: isTotal,
  ranks: sglangRanks,
  copyLabel: "pid",
  signals: sglangSignals,
};
