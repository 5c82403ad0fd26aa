import {
  fraction,
  gauge,
  latencies,
  rate,
  type SignalFormulas,
  sum,
} from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

const waiting = gauge("vllm:num_requests_waiting");
const running = gauge("vllm:num_requests_running");

/**
 * vLLM's names, also where others repeat them: V1, and behind each the V0 or renamed one.
 *
 * `capacity` is the part of the queue that more replicas cure; the rest waits for a LoRA slot or a
 * transfer.
 */
export const vllmSignals: SignalFormulas = {
  queue_depth: [
    gauge("vllm:num_requests_waiting_by_reason", {
      where: ({ reason }) => reason === "capacity",
    }),
    waiting,
  ],
  running_requests: [running],
  concurrency: [sum([waiting, running])],
  kv_cache_usage: [fraction(["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"])],
  ...latencies({
    ttft: "vllm:time_to_first_token_seconds",
    interToken: ["vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"],
    e2e: "vllm:e2e_request_latency_seconds",
    queue: ["vllm:request_queue_time_seconds", "vllm:time_in_queue_requests"],
  }),
  request_rate: [rate("vllm:request_success")],
  generation_tokens_per_second: [
    rate("vllm:generation_tokens"),
    gauge("vllm:avg_generation_throughput_toks_per_s"),
  ],
  prompt_tokens_per_second: [
    rate("vllm:prompt_tokens"),
    gauge("vllm:avg_prompt_throughput_toks_per_s"),
  ],
  preemptions_per_second: [rate("vllm:num_preemptions")],
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
  checked: {
    versions: "V0 to 0.10; V1 from 0.8 to 0.32",
    source: "vllm-project/vllm: vllm/v1/metrics/loggers.py, vllm/engine/metrics.py",
    lacks: "latencies of requests that have not finished",
  },
  owns: ownsPrefixes("vllm:"),
  foreign: routerCopy,
  signals: {
    ...vllmSignals,
    // Children of this counter come with the first response of their status.
    error_rate: [
      rate("http_requests", {
        where: ({ status }) => /^5/.test(status ?? ""),
        lazy: { shownBy: ["vllm:num_requests_waiting"] },
      }),
    ],
  },
};
