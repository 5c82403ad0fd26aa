/**
 * What others call what the catalogue has, so that a refusal can say our word for it: DCGM's fields,
 * nvidia-smi's columns, the series of engines as PromQL names them, and what people say.
 *
 * Sources: dcgm-exporter, etc/default-counters.csv; `nvidia-smi --help-query-gpu`; the adapters of
 * `src/engine/adapters`, with which a test compares the names of series.
 *
 * @module
 */
import type { Aliases } from "#core/closest.ts";
import type { MetricName } from "./catalogue.ts";
import type { EngineName } from "./engines.ts";

const dcgmFields = {
  dcgm_fi_dev_gpu_util: ["gpu_utilization"],
  dcgm_fi_prof_gr_engine_active: ["gpu_utilization"],
  dcgm_fi_dev_mem_copy_util: ["memory_utilization"],
  dcgm_fi_dev_fb_used: ["memory_used_mib", "memory_used_percent"],
  dcgm_fi_dev_fb_used_percent: ["memory_used_percent"],
  dcgm_fi_dev_gpu_temp: ["temperature"],
  dcgm_fi_dev_memory_temp: ["memory_temperature"],
  dcgm_fi_dev_power_usage: ["power_draw"],
  dcgm_fi_dev_power_usage_instant: ["power_draw"],
  dcgm_fi_dev_sm_clock: ["sm_clock_mhz"],
  dcgm_fi_dev_enc_util: ["encoder_utilization"],
  dcgm_fi_dev_dec_util: ["decoder_utilization"],
  dcgm_fi_prof_pcie_tx_bytes: ["pcie_tx_kbps"],
  dcgm_fi_prof_pcie_rx_bytes: ["pcie_rx_kbps"],
  dcgm_fi_prof_nvlink_tx_bytes: ["nvlink_tx_mbps"],
  dcgm_fi_prof_nvlink_rx_bytes: ["nvlink_rx_mbps"],
  dcgm_fi_dev_nvlink_bandwidth_total: ["nvlink_tx_mbps", "nvlink_rx_mbps"],
  dcgm_fi_prof_sm_active: ["sm_utilization"],
  dcgm_fi_prof_sm_occupancy: ["sm_occupancy"],
  dcgm_fi_prof_pipe_tensor_active: ["tensor_utilization"],
  dcgm_fi_prof_dram_active: ["dram_bandwidth_utilization"],
} as const satisfies Record<string, readonly MetricName[]>;

const nvidiaSmiColumns = {
  "utilization.gpu": ["gpu_utilization"],
  "utilization.memory": ["memory_utilization"],
  "utilization.encoder": ["encoder_utilization"],
  "utilization.decoder": ["decoder_utilization"],
  "memory.used": ["memory_used_mib", "memory_used_percent"],
  "temperature.gpu": ["temperature"],
  "temperature.memory": ["memory_temperature"],
  "power.draw": ["power_draw"],
  "power.draw.average": ["power_draw"],
  "power.draw.instant": ["power_draw"],
  "clocks.sm": ["sm_clock_mhz"],
  "clocks.current.sm": ["sm_clock_mhz"],
} as const satisfies Record<string, readonly MetricName[]>;

/** Series of engines' pages, and the metric that is made of each. */
export const seriesAliases = {
  "vllm:num_requests_waiting": ["queue_depth"],
  "vllm:num_requests_running": ["running_requests"],
  "vllm:kv_cache_usage_perc": ["kv_cache_usage"],
  "vllm:gpu_cache_usage_perc": ["kv_cache_usage"],
  "vllm:time_to_first_token_seconds": ["ttft_p95_ms"],
  "vllm:inter_token_latency_seconds": ["inter_token_p95_ms"],
  "vllm:time_per_output_token_seconds": ["inter_token_p95_ms"],
  "vllm:e2e_request_latency_seconds": ["e2e_p95_ms"],
  "vllm:request_queue_time_seconds": ["queue_wait_ms"],
  "vllm:request_success_total": ["request_rate"],
  "vllm:generation_tokens_total": ["generation_tokens_per_second"],
  "vllm:prompt_tokens_total": ["prompt_tokens_per_second"],
  "vllm:num_preemptions_total": ["preemptions_per_second"],
  "sglang:num_queue_reqs": ["queue_depth"],
  "sglang:num_running_reqs": ["running_requests"],
  "sglang:token_usage": ["kv_cache_usage"],
  "sglang:time_to_first_token_seconds": ["ttft_p95_ms"],
  tgi_queue_size: ["queue_depth"],
  tgi_batch_current_size: ["running_requests"],
  nv_inference_pending_request_count: ["queue_depth"],
  nv_inference_queue_duration_us: ["queue_wait_ms"],
  nv_inference_request_success: ["request_rate"],
  trtllm_num_requests_waiting: ["queue_depth"],
  trtllm_num_requests_running: ["running_requests"],
} as const satisfies Record<string, readonly MetricName[]>;

const plainWords = {
  gpu: ["gpu_utilization"],
  util: ["gpu_utilization"],
  utilization: ["gpu_utilization"],
  utilisation: ["gpu_utilization"],
  duty_cycle: ["gpu_utilization"],
  vram: ["memory_used_percent"],
  vram_usage: ["memory_used_percent"],
  gpu_memory: ["memory_used_percent", "memory_used_mib"],
  memory: ["memory_used_percent", "memory_used_mib"],
  temp: ["temperature"],
  power: ["power_draw", "power_percent"],
  watts: ["power_draw"],
  nvlink: ["nvlink_tx_mbps", "nvlink_rx_mbps"],
  pcie: ["pcie_tx_kbps", "pcie_rx_kbps"],
  queue: ["queue_depth"],
  queue_length: ["queue_depth"],
  queue_size: ["queue_depth"],
  waiting: ["queue_depth"],
  waiting_requests: ["queue_depth"],
  num_requests_waiting: ["queue_depth"],
  running: ["running_requests"],
  in_flight: ["concurrency"],
  inflight: ["concurrency"],
  requests: ["concurrency", "request_rate"],
  kv_cache: ["kv_cache_usage"],
  cache: ["kv_cache_usage"],
  ttft: ["ttft_p95_ms"],
  itl: ["inter_token_p95_ms"],
  tpot: ["inter_token_p95_ms"],
  latency: ["ttft_p95_ms", "e2e_p95_ms"],
  qps: ["request_rate"],
  rps: ["request_rate"],
  errors: ["error_rate"],
  tps: ["generation_tokens_per_second"],
  tokens: ["generation_tokens_per_second", "prompt_tokens_per_second"],
  tokens_per_second: ["generation_tokens_per_second"],
  throughput: ["request_rate", "generation_tokens_per_second"],
  preemptions: ["preemptions_per_second"],
} as const satisfies Record<string, readonly MetricName[]>;

export const metricAliases: Aliases = {
  ...dcgmFields,
  ...nvidiaSmiColumns,
  ...seriesAliases,
  ...plainWords,
};

/** Of every way to reduce: which of two words is right depends on what is reduced. */
export const reducerAliases: Aliases = {
  average: ["avg", "mean"],
  mean: ["avg"],
  avg: ["mean"],
  maximum: ["max"],
  highest: ["max"],
  minimum: ["min"],
  lowest: ["min"],
  median: ["p50"],
  total: ["sum"],
};

export const engineAliases: Aliases = {
  router: ["vllm-router"],
  "production-stack": ["vllm-router"],
  "tensorrt-llm": ["trtllm"],
  "trtllm-serve": ["trtllm"],
  "text-generation-inference": ["tgi"],
  "text-embeddings-inference": ["tei"],
  llamacpp: ["llama.cpp"],
  "endpoint-picker": ["epp"],
  gateway: ["epp"],
  gaie: ["epp"],
  "inference-gateway": ["epp"],
  keda: ["http-add-on"],
  ray: ["ray-serve"],
  promql: ["prometheus"],
} satisfies Record<string, readonly EngineName[]>;
