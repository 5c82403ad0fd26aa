import { concurrencyOf, gauge, latencies, rate, ratio } from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

/**
 * Its exporter makes a series at its first use: a fresh server has no queue line at all, and prints
 * the size of a batch that it worked out at its start. A request that was queued left the others.
 */
const shownBy = ["tgi_batch_max_total_tokens"];
const queued = { lazy: { shownBy, unless: ["tgi_request_queue_duration_count"] } };
const lazy = { shownBy: [...shownBy, "tgi_request_count"] };
const waiting = gauge("tgi_queue_size", queued);
const running = gauge("tgi_batch_current_size", queued);

export const tgi: Adapter = {
  engine: "tgi",
  title: "TGI",
  port: 80,
  path: "/metrics",
  otherPaths: [],
  enable: "use the API port: --prometheus-port serves nothing",
  checked: {
    versions: "3.3.6-dev",
    source: "huggingface/text-generation-inference: router/src/server.rs, backends/v3/src/queue.rs",
    lacks: "the time to the first token; the key-value cache is the share of tokens in the batch",
  },
  owns: ownsPrefixes("tgi_"),
  signals: {
    queue_depth: [waiting],
    running_requests: [running],
    concurrency: [concurrencyOf(waiting, running)],
    kv_cache_usage: [ratio("tgi_batch_current_max_tokens", "tgi_batch_max_total_tokens", queued)],
    ...latencies(
      {
        interToken: "tgi_request_mean_time_per_token_duration",
        e2e: "tgi_request_duration",
        queue: "tgi_request_queue_duration",
      },
      1000,
      // A request that succeeded has left its times: what is absent then is not exported.
      { lazy: { ...lazy, unless: ["tgi_request_success"] } },
    ),
    request_rate: [rate("tgi_request_count", { lazy })],
    error_rate: [rate("tgi_request_failure", { lazy })],
    generation_tokens_per_second: [rate("tgi_request_generated_tokens_sum", { lazy })],
  },
};
