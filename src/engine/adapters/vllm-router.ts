import { gauge, latencies, rate } from "#engine/signal/formula.ts";
import { type Adapter, ownsAny } from "./adapter.ts";

/** Labels come with the first request to a model, or to a server; the page declares the name before. */
const lazy = {};

/** It sends each request on at once, and so has no queue: `vllm:num_requests_waiting` is never set. */
const inFlight = gauge("vllm:num_requests_running", { lazy });

export const vllmRouter: Adapter = {
  engine: "vllm-router",
  title: "vLLM production-stack router",
  port: 8001,
  path: "/metrics",
  otherPaths: [],
  enable: "the router serves them on its API port",
  // Names that no engine has.
  owns: ownsAny("vllm:healthy_pods_total", "vllm:num_incoming_requests_total", "vllm:current_qps"),
  checked: {
    versions: "0.1.12; main at a6c01db0",
    source:
      "vllm-project/production-stack: src/vllm_router/services/metrics_service/__init__.py, src/vllm_router/routers/metrics_router.py",
    lacks:
      "a queue: vllm:num_requests_waiting is declared and never set. The program listens on 8001, its chart's on 8000 behind a Service on 80",
  },
  signals: {
    running_requests: [inFlight],
    concurrency: [inFlight],
    ...latencies({ e2e: "vllm:request_latency_seconds" }),
    // Counts what arrives, also while no engine is there to take it: the signal that wakes.
    request_rate: [
      rate("vllm:num_incoming_requests", { lazy }),
      gauge("vllm:current_qps", { lazy }),
    ],
    error_rate: [rate("vllm:request_errors", { lazy })],
    generation_tokens_per_second: [rate("vllm:output_tokens", { lazy })],
    prompt_tokens_per_second: [rate("vllm:input_tokens", { lazy })],
  },
};
