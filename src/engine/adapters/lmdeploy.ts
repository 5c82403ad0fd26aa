import {
  concurrencyOf,
  counterShare,
  fraction,
  gauge,
  latencies,
  rate,
  sum,
} from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

/** Requests wait first in the API server, then in the engine. */
const waiting = sum(
  [gauge("lmdeploy:num_requests_waiting")],
  [gauge("lmdeploy:num_api_requests_waiting")],
);
const running = gauge("lmdeploy:num_requests_running");

export const lmdeploy: Adapter = {
  engine: "lmdeploy",
  title: "LMDeploy",
  port: 23_333,
  path: "/metrics",
  otherPaths: [],
  enable: "start it without --disable-metrics",
  checked: {
    versions: "0.16.0 and 0.18.0",
    source: "InternLM/lmdeploy: lmdeploy/metrics/loggers.py",
    lacks: "a rate of failed requests",
  },
  owns: ownsPrefixes("lmdeploy:"),
  signals: {
    queue_depth: [waiting],
    running_requests: [running],
    concurrency: [concurrencyOf(waiting, running)],
    kv_cache_usage: [fraction("lmdeploy:gpu_cache_usage_perc")],
    ...latencies({
      ttft: "lmdeploy:time_to_first_token_seconds",
      interToken: ["lmdeploy:iter_token_latency", "lmdeploy:time_per_output_token_seconds"],
      e2e: "lmdeploy:e2e_request_latency_seconds",
      queue: "lmdeploy:request_queue_time_seconds",
    }),
    request_rate: [rate("lmdeploy:request_success")],
    generation_tokens_per_second: [rate("lmdeploy:generation_tokens")],
    prompt_tokens_per_second: [rate("lmdeploy:prompt_tokens")],
    prefix_cache_hit_rate: [
      {
        // Both are counted when a request ends.
        kind: "average",
        names: ["lmdeploy:cached_tokens_total"],
        countNames: ["lmdeploy:request_prompt_tokens_sum"],
        scale: 100,
      },
      fraction("lmdeploy:prefix_cache_hit_rate"),
    ],
    spec_decode_acceptance_rate: [
      counterShare(
        "lmdeploy:spec_decode_num_accepted_tokens",
        "lmdeploy:spec_decode_num_draft_tokens",
      ),
    ],
  },
};
