import {
  concurrencyOf,
  counterShare,
  fraction,
  gauge,
  latencies,
  rate,
  type SignalFormulas,
} from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

/**
 * Series come with the first request. Once one has succeeded, a missing gauge means that the engine
 * does not keep it.
 */
const lazy = { unless: ["trtllm_request_success_total"] };
const waiting = gauge("trtllm_num_requests_waiting", { lazy });
const running = gauge("trtllm_num_requests_running", { lazy });

export const trtllmSignals: SignalFormulas = {
  queue_depth: [waiting],
  running_requests: [running],
  concurrency: [concurrencyOf(waiting, running)],
  kv_cache_usage: [fraction("trtllm_kv_cache_utilization", { lazy })],
  ...latencies(
    {
      ttft: "trtllm_time_to_first_token_seconds",
      interToken: "trtllm_time_per_output_token_seconds",
      e2e: "trtllm_e2e_request_latency_seconds",
      queue: "trtllm_request_queue_time_seconds",
    },
    1000,
    { lazy },
  ),
  request_rate: [rate("trtllm_request_success", { lazy: {} })],
  error_rate: [
    rate("trtllm_request_error", {
      lazy: { shownBy: ["trtllm_request_success_total"] },
    }),
  ],
  generation_tokens_per_second: [rate("trtllm_generation_tokens", { lazy })],
  prompt_tokens_per_second: [rate("trtllm_prompt_tokens", { lazy })],
  // Versions without the counter tell the mean since their start.
  prefix_cache_hit_rate: [
    counterShare("trtllm_prompt_cached_tokens", "trtllm_prompt_tokens"),
    fraction("trtllm_kv_cache_hit_rate"),
  ],
  spec_decode_acceptance_rate: [
    counterShare("trtllm_spec_decode_num_accepted_tokens", "trtllm_spec_decode_num_draft_tokens"),
  ],
};

/** `/metrics` of `trtllm-serve` is a JSON array, so the page to read has a path of its own. */
export const trtllm: Adapter = {
  engine: "trtllm",
  title: "trtllm-serve",
  port: 8000,
  path: "/prometheus/metrics",
  otherPaths: ["/metrics"],
  enable: "set return_perf_metrics and enable_iter_perf_stats to true",
  checked: {
    versions: "main at 050f80de",
    source: "NVIDIA/TensorRT-LLM: tensorrt_llm/metrics/collector.py",
    lacks: "counts without iteration statistics",
  },
  owns: ownsPrefixes("trtllm_"),
  signals: trtllmSignals,
};
