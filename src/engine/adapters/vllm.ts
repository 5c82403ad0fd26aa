import {
  counterShare,
  fraction,
  gauge,
  type LabelListFormula,
  latencies,
  quantile,
  rate,
  type SignalFormulas,
  sum,
} from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

const waiting = gauge("vllm:num_requests_waiting");
const running = gauge("vllm:num_requests_running");

function loraAdapters(label: string): LabelListFormula {
  return { kind: "label-list", names: ["vllm:lora_requests_info"], label };
}

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
  prefix_cache_hit_rate: [
    counterShare(
      ["vllm:prefix_cache_hits", "vllm:gpu_prefix_cache_hits"],
      ["vllm:prefix_cache_queries", "vllm:gpu_prefix_cache_queries"],
    ),
    fraction("vllm:gpu_prefix_cache_hit_rate"),
  ],
  spec_decode_acceptance_rate: [
    counterShare("vllm:spec_decode_num_accepted_tokens", "vllm:spec_decode_num_draft_tokens"),
  ],
  lora_slot_usage: [{ ...loraAdapters("running_lora_adapters"), limitLabel: "max_lora" }],
  lora_adapters_waiting: [loraAdapters("waiting_lora_adapters")],
  // On the side that fetches: what was fetched and waits to run waits for nothing more.
  kv_transfer_requests: [
    gauge("vllm:num_requests_kv_fetch_by_stage", {
      where: ({ stage = "" }) => stage === "waiting_to_start" || stage === "in_progress",
    }),
  ],
  kv_transfer_p95_ms: [
    quantile(["vllm:nixl_xfer_time_seconds", "vllm:mooncake_xfer_time_seconds"], 0.95, 1000),
  ],
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
    versions: "V0 to 0.10; V1 from 0.8 to 0.33",
    source:
      "vllm-project/vllm: vllm/v1/metrics/loggers.py, vllm/engine/metrics.py, vllm/v1/spec_decode/metrics.py, vllm/distributed/kv_transfer/kv_connector/v1",
    lacks:
      "latencies of requests that have not finished; how many requests wait for a LoRA slot, of which it lists the adapters, and with data parallelism those of the engine that wrote last",
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
