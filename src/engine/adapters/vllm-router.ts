import { concurrencyOf, gauge, latencies, rate } from "#engine/signal/formula.ts";
import { type Adapter, ownsAny } from "./adapter.ts";

const waiting = gauge("vllm:num_requests_waiting");
const running = gauge("vllm:num_requests_running");

export const vllmRouter: Adapter = {
  engine: "vllm-router",
  title: "vLLM production-stack router",
  port: 8001,
  path: "/metrics",
  otherPaths: [],
  enable: "the router serves them on its API port",
  // Names that no engine has.
  owns: ownsAny("vllm:healthy_pods_total", "vllm:num_incoming_requests_total", "vllm:current_qps"),
  signals: {
    queue_depth: [waiting],
    running_requests: [running],
    concurrency: [concurrencyOf(waiting, running)],
    ...latencies({ e2e: "vllm:request_latency_seconds" }),
    // Counts what arrives, also while no engine is there to take it: the signal that wakes.
    request_rate: [rate("vllm:num_incoming_requests"), gauge("vllm:current_qps")],
    error_rate: [rate("vllm:request_errors", { lazy: true })],
    generation_tokens_per_second: [rate("vllm:output_tokens", { lazy: true })],
    prompt_tokens_per_second: [rate("vllm:input_tokens", { lazy: true })],
  },
};
