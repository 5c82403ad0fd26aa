import { fraction, gauge, latencies, plus, rate, type SignalTerms } from "#engine/signal/term.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

const waiting = gauge("vllm_num_requests_waiting");
const running = gauge("vllm_num_requests_running");

/**
 * vLLM's names, also where others repeat them: V1, and behind each the V0 or renamed one.
 *
 * `capacity` is the part of the queue that more replicas cure; the rest waits for a LoRA slot or a
 * transfer.
 */
export const vllmSignals: SignalTerms = {
  queue_depth: [
    gauge("vllm_num_requests_waiting_by_reason", {
      where: ({ reason }) => reason === "capacity",
    }),
    waiting,
  ],
  running_requests: [running],
  concurrency: [plus([waiting, running])],
  kv_cache_usage: [fraction(["vllm_kv_cache_usage_perc", "vllm_gpu_cache_usage_perc"])],
  ...latencies({
    ttft: "vllm_time_to_first_token_seconds",
    interToken: ["vllm_inter_token_latency_seconds", "vllm_time_per_output_token_seconds"],
    e2e: "vllm_e2e_request_latency_seconds",
    queue: ["vllm_request_queue_time_seconds", "vllm_time_in_queue_requests"],
  }),
  request_rate: [rate("vllm_request_success")],
  generation_tokens_per_second: [
    rate("vllm_generation_tokens"),
    gauge("vllm_avg_generation_throughput_toks_per_s"),
  ],
  prompt_tokens_per_second: [
    rate("vllm_prompt_tokens"),
    gauge("vllm_avg_prompt_throughput_toks_per_s"),
  ],
  preemptions_per_second: [rate("vllm_num_preemptions")],
};

/** The router copies its engines' gauges under their own names and adds this label. */
export function routerCopy({ server }: Readonly<Record<string, string>>): string | undefined {
  return server === undefined
    ? undefined
    : `it has a label server=${JSON.stringify(server)}, so it is a router's copy: use engine vllm-router, or the engine's own address`;
}

export const vllm: Adapter = {
  engine: "vllm",
  title: "vLLM",
  port: 8000,
  path: "/metrics",
  otherPaths: [],
  enable: "start it without --disable-log-stats",
  owns: ownsPrefixes("vllm_"),
  foreign: routerCopy,
  signals: {
    ...vllmSignals,
    // Children of this counter come with the first response of their status.
    error_rate: [
      rate("http_requests", {
        where: ({ status }) => /^5/.test(status ?? ""),
        lazy: { given: "vllm_num_requests_waiting" },
      }),
    ],
  },
};
