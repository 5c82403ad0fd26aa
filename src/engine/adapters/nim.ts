import {
  combined,
  concurrencyOf,
  fraction,
  gauge,
  latencies,
  rate,
  type SignalFormulas,
} from "#engine/signal/formula.ts";
import type { Adapter } from "./adapter.ts";
import { isTotal, sglang, sglangRanks, sglangSignals } from "./sglang.ts";
import { routerCopy, vllm } from "./vllm.ts";

const waiting = gauge("num_requests_waiting");
const running = gauge("num_requests_running");

/** NIM 1.x prints vLLM's older names without their prefix. */
const bare: SignalFormulas = {
  queue_depth: [waiting],
  running_requests: [running],
  concurrency: [concurrencyOf(waiting, running)],
  kv_cache_usage: [fraction("gpu_cache_usage_perc")],
  ...latencies({
    ttft: "time_to_first_token_seconds",
    interToken: "time_per_output_token_seconds",
    e2e: "e2e_request_latency_seconds",
  }),
  request_rate: [rate(["request_finish", "request_success"])],
  error_rate: [rate("request_failure")],
  generation_tokens_per_second: [rate("generation_tokens")],
  prompt_tokens_per_second: [rate("prompt_tokens")],
};

/** NIM 2.x passes the page of its engine, vLLM or SGLang, through. */
export const nim: Adapter = {
  engine: "nim",
  title: "NIM",
  port: 8000,
  path: "/v1/metrics",
  otherPaths: ["/metrics"],
  enable: "NIM serves them on its API port",
  checked: {
    versions: "1.x and 2.1.4",
    source: "NVIDIA's documentation of NIM: logging and observability",
    lacks: "queue times in 1.x",
  },
  owns: (names) =>
    names.has("num_requests_waiting") ||
    names.has("num_requests_running") ||
    vllm.owns(names) ||
    sglang.owns(names),
  isCounted: isTotal,
  ranks: sglangRanks,
  foreign: routerCopy,
  copyLabel: "pid",
  signals: combined(bare, vllm.signals, sglangSignals),
};
