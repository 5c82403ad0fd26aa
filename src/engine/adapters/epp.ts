import { concurrencyOf, fraction, gauge, latencies, rate } from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

/** The endpoint picker's prefixes: llm-d's router, the gateway extension from 1.1, and before. */
const names = (name: string): readonly string[] => [
  `llm_d_epp_${name}`,
  `inference_objective_${name}`,
  `inference_model_${name}`,
];
/** Pods that take requests. */
const readyPods = [
  "llm_d_epp_ready_endpoints",
  "llm_d_epp_ready_pods",
  "inference_pool_ready_pods",
];
/** Written in each cycle of flow control, and only there; since gateway extension 1.5. */
const saturation = [
  "llm_d_epp_flow_control_pool_saturation",
  "inference_extension_flow_control_pool_saturation",
];
/** Flow control makes the series with its first request, and nothing else does. */
const flowControlQueue = gauge(
  ["llm_d_epp_flow_control_queue_size", "inference_extension_flow_control_queue_size"],
  { lazy: { shownBy: saturation } },
);
/** Without flow control requests wait in the engines, of which the picker knows the mean. */
const engineQueues = gauge(["llm_d_epp_average_queue_size", "inference_pool_average_queue_size"], {
  meanOver: readyPods,
});
const running = gauge(
  [
    "llm_d_epp_request_running",
    "inference_objective_running_requests",
    "inference_model_running_requests",
  ],
  // Requests make the series; what is known of the pool is there before them.
  { lazy: { shownBy: readyPods, unless: names("request_total") } },
);
/** Requests make these series too; beside one that is there, absence is another name. */
const lazy = { shownBy: readyPods, unless: [...running.names] };

export const epp: Adapter = {
  engine: "epp",
  title: "Gateway API endpoint picker",
  port: 9090,
  path: "/metrics",
  otherPaths: [],
  enable: "give the bearer token; its queue needs flow control switched on",
  checked: {
    versions:
      "gateway extension 0.3 to 1.5, of which 1.0.1 and 1.1.0 were run; llm-d router at ebab6879",
    source:
      "llm-d/llm-d-router: pkg/epp/metrics/metrics.go and llm_d_router_metrics.go; kubernetes-sigs/gateway-api-inference-extension: pkg/epp/metrics/metrics.go",
    lacks: "a queue of its own without flow control: then what waits in the engines",
  },
  owns: ownsPrefixes(
    "llm_d_epp_",
    "inference_pool_",
    "inference_objective_",
    "inference_model_",
    "inference_extension_",
  ),
  signals: {
    queue_depth: [flowControlQueue, engineQueues],
    running_requests: [running],
    // What waits in the engines runs already where the picker is asked.
    concurrency: [concurrencyOf(flowControlQueue, running), running],
    kv_cache_usage: [
      fraction([
        "llm_d_epp_average_kv_cache_utilization",
        "inference_pool_average_kv_cache_utilization",
      ]),
    ],
    ...latencies(
      {
        ttft: names("request_ttft_seconds"),
        interToken: [
          "llm_d_epp_request_ntpot_seconds",
          ...names("normalized_time_per_output_token_seconds"),
        ],
        e2e: names("request_duration_seconds"),
      },
      1000,
      { lazy: { shownBy: readyPods, unless: names("request_total") } },
    ),
    request_rate: [rate(names("request"), { lazy })],
    error_rate: [rate(names("request_error"), { lazy: { shownBy: readyPods } })],
    generation_tokens_per_second: [
      rate(
        [...names("request_output_tokens"), ...names("output_tokens")].map((name) => `${name}_sum`),
        { lazy },
      ),
    ],
    prompt_tokens_per_second: [
      rate(
        [...names("request_input_tokens"), ...names("input_tokens")].map((name) => `${name}_sum`),
        { lazy },
      ),
    ],
  },
};
