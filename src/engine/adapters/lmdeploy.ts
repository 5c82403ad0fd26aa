import { concurrencyOf, fraction, gauge, latencies, plus, rate } from "#engine/signal/term.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

/** Requests wait first in the API server, then in the engine. */
const waiting = plus(
  [gauge("lmdeploy_num_requests_waiting")],
  [gauge("lmdeploy_num_api_requests_waiting")],
);
const running = gauge("lmdeploy_num_requests_running");

export const lmdeploy: Adapter = {
  engine: "lmdeploy",
  title: "LMDeploy",
  port: 23_333,
  path: "/metrics",
  otherPaths: [],
  enable: "start it without --disable-metrics",
  owns: ownsPrefixes("lmdeploy_"),
  signals: {
    queue_depth: [waiting],
    running_requests: [running],
    concurrency: [concurrencyOf(waiting, running)],
    kv_cache_usage: [fraction("lmdeploy_gpu_cache_usage_perc")],
    ...latencies({
      ttft: "lmdeploy_time_to_first_token_seconds",
      interToken: ["lmdeploy_iter_token_latency", "lmdeploy_time_per_output_token_seconds"],
      e2e: "lmdeploy_e2e_request_latency_seconds",
      queue: "lmdeploy_request_queue_time_seconds",
    }),
    request_rate: [rate("lmdeploy_request_success")],
    generation_tokens_per_second: [rate("lmdeploy_generation_tokens")],
    prompt_tokens_per_second: [rate("lmdeploy_prompt_tokens")],
  },
};
