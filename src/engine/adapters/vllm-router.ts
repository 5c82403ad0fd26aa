import { canonicalName } from "#engine/page/name-filter.ts";
import { concurrencyOf, gauge, latencies, rate } from "#engine/signal/term.ts";
import type { Adapter } from "./adapter.ts";

const waiting = gauge("vllm_num_requests_waiting");
const running = gauge("vllm_num_requests_running");
/** Names that only the router of the vLLM production stack has. */
const own = ["vllm_healthy_pods_total", "vllm_num_incoming_requests_total", "vllm_current_qps"];

export const vllmRouter: Adapter = {
  engine: "vllm-router",
  title: "vLLM production-stack router",
  port: 8001,
  path: "/metrics",
  otherPaths: [],
  enable: "the router serves them on its API port",
  owns: (names) => [...names].some((name) => own.includes(canonicalName(name))),
  signals: {
    queue_depth: [waiting],
    running_requests: [running],
    concurrency: [concurrencyOf(waiting, running)],
    ...latencies({ e2e: "vllm_request_latency_seconds" }),
    // Counts what arrives, also while no engine is there to take it: the signal that wakes.
    request_rate: [rate("vllm_num_incoming_requests"), gauge("vllm_current_qps")],
    error_rate: [rate("vllm_request_errors", { lazy: true })],
    generation_tokens_per_second: [rate("vllm_output_tokens", { lazy: true })],
    prompt_tokens_per_second: [rate("vllm_input_tokens", { lazy: true })],
  },
};
