import { concurrencyOf, fraction, gauge, latencies, rate } from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

/** The endpoint picker's prefixes: llm-d's router, the gateway extension from 1.1, and before. */
const names = (name: string): readonly string[] => [
  `llm_d_epp_${name}`,
  `inference_objective_${name}`,
  `inference_model_${name}`,
];
/** A quiet pool shows no queue. */
const lazy = true;
const waiting = gauge(
  ["llm_d_epp_flow_control_queue_size", "inference_extension_flow_control_queue_size"],
  { lazy },
);
const running = gauge(
  [
    "llm_d_epp_request_running",
    "inference_objective_running_requests",
    "inference_model_running_requests",
  ],
  { lazy },
);

export const epp: Adapter = {
  engine: "epp",
  title: "Gateway API endpoint picker",
  port: 9090,
  path: "/metrics",
  otherPaths: [],
  enable: "give the bearer token; its queue needs flow control switched on",
  owns: ownsPrefixes(
    "llm_d_epp_",
    "inference_pool_",
    "inference_objective_",
    "inference_model_",
    "inference_extension_",
  ),
  signals: {
    queue_depth: [waiting],
    running_requests: [running],
    concurrency: [concurrencyOf(waiting, running)],
    kv_cache_usage: [fraction("inference_pool_average_kv_cache_utilization")],
    ...latencies(
      {
        ttft: names("request_ttft_seconds"),
        interToken: names("normalized_time_per_output_token_seconds"),
        e2e: names("request_duration_seconds"),
      },
      1000,
      { lazy: { unlessPresent: names("request_total") } },
    ),
    request_rate: [rate(names("request"), { lazy })],
    error_rate: [rate(names("request_error"), { lazy })],
    generation_tokens_per_second: [
      rate(
        names("output_tokens").map((name) => `${name}_sum`),
        { lazy },
      ),
    ],
    prompt_tokens_per_second: [
      rate(
        names("input_tokens").map((name) => `${name}_sum`),
        { lazy },
      ),
    ],
  },
};
