import type { SeriesLabels } from "#engine/page/series.ts";
import {
  combined,
  fraction,
  type GaugeFormula,
  gauge,
  latencies,
  picked,
  rate,
  type SignalFormulas,
  sum,
} from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";
import { vllmSignals } from "./vllm.ts";

/** The TensorRT-LLM backend keeps all its gauges under one name and tells them apart by a label. */
const requests = (type: string): GaugeFormula =>
  gauge("nv_trt_llm_request_metrics", {
    where: ({ request_type }: SeriesLabels) => request_type === type,
  });

const pending = gauge("nv_inference_pending_request_count");
const success = rate("nv_inference_request_success");
const failure = rate("nv_inference_request_failure", {
  lazy: { shownBy: ["nv_inference_request_success"] },
});

const backends: SignalFormulas = {
  queue_depth: [requests("waiting")],
  running_requests: [requests("scheduled")],
  concurrency: [sum([requests("waiting"), requests("scheduled")])],
  kv_cache_usage: [
    fraction("nv_trt_llm_kv_cache_block_metrics", {
      where: ({ kv_cache_block_type }) => kv_cache_block_type === "fraction",
    }),
  ],
};

/** Durations are counters in microseconds over all requests, cached ones included. */
const server: SignalFormulas = {
  queue_depth: [pending],
  ...latencies({ ttft: "nv_inference_first_response_histogram_ms" }, 1),
  queue_wait_ms: [
    {
      kind: "average",
      names: ["nv_inference_queue_duration_us"],
      countNames: ["nv_inference_request_success"],
      scale: 1 / 1000,
    },
  ],
  request_rate: [sum([success], [failure])],
  error_rate: [failure],
};

/** The vLLM backend registers these of the engine's metrics, and no others. */
const vllmBackend = picked(vllmSignals, [
  "ttft_p50_ms",
  "ttft_p95_ms",
  "ttft_p99_ms",
  "inter_token_p95_ms",
  "e2e_p95_ms",
  "generation_tokens_per_second",
  "prompt_tokens_per_second",
]);

export const triton: Adapter = {
  engine: "triton",
  title: "Triton",
  port: 8002,
  path: "/metrics",
  otherPaths: [],
  enable: "start it with --allow-metrics=true",
  checked: {
    versions: "server 2.71; vLLM backend at 8de0c14; TensorRT-LLM backend at 0d5352f5",
    source:
      "triton-inference-server/core: src/metric_model_reporter.cc; triton-inference-server/vllm_backend: src/utils/metrics.py; NVIDIA/TensorRT-LLM: triton_backend",
    lacks:
      "running requests without the TensorRT-LLM backend, so that arriving ones keep it in use; the key-value cache with the vLLM backend",
  },
  owns: ownsPrefixes("nv_inference_", "nv_trt_llm_"),
  signals: combined(backends, vllmBackend, server),
};
