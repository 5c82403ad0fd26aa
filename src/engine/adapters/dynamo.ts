import {
  combined,
  fraction,
  gauge,
  latencies,
  quantile,
  rate,
  type SignalFormulas,
  withoutLazy,
} from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";
import { isTotal, sglangRanks, sglangSignals } from "./sglang.ts";
import { trtllmSignals } from "./trtllm.ts";
import { routerCopy, vllmSignals } from "./vllm.ts";

/** The present prefix and the one before July 2025. */
const names = (name: string): readonly string[] => [
  `dynamo_frontend_${name}`,
  `nv_llm_http_service_${name}`,
];
/** It has no labels, so it is on the page from the start. */
const lazy = { shownBy: names("disconnected_clients") };
const inFlight = gauge([...names("active_requests"), ...names("inflight_requests")], { lazy });

/** Counts requests from their arrival, so what runs and what waits are one number here. */
export const dynamoFrontend: Adapter = {
  engine: "dynamo-frontend",
  title: "Dynamo frontend",
  port: 8000,
  path: "/metrics",
  otherPaths: [],
  enable: "Dynamo's frontend serves them on DYN_HTTP_PORT",
  checked: {
    versions: "0.7 to 1.6; before July 2025 under another prefix",
    source: "ai-dynamo/dynamo: lib/runtime/src/metrics/prometheus_names.rs",
    lacks: "a key-value cache; its queued requests end at the first token",
  },
  owns: ownsPrefixes("dynamo_frontend_", "nv_llm_http_service_"),
  signals: {
    // `queued_requests` ends at the first token, not at the end of the queue: it is the last choice.
    queue_depth: [
      gauge(["dynamo_frontend_router_queue_pending_requests", ...names("queued_requests")]),
    ],
    running_requests: [inFlight],
    concurrency: [inFlight],
    ...latencies({
      ttft: names("time_to_first_token_seconds"),
      interToken: names("inter_token_latency_seconds"),
      e2e: names("request_duration_seconds"),
    }),
    request_rate: [rate(names("requests"), { lazy })],
    error_rate: [rate(names("requests"), { where: ({ status }) => status === "error", lazy })],
    generation_tokens_per_second: [rate(names("output_tokens"), { lazy })],
    prompt_tokens_per_second: [
      rate(
        names("input_sequence_tokens").map((name) => `${name}_sum`),
        { lazy },
      ),
    ],
  },
};

const component: SignalFormulas = {
  kv_cache_usage: [
    fraction([
      "dynamo_component_gpu_cache_usage_percent",
      "dynamo_component_kvstats_gpu_cache_usage_percent",
    ]),
  ],
};

/** What the engine behind it may tell better. */
const portable: SignalFormulas = {
  prefix_cache_hit_rate: [fraction("dynamo_component_kv_cache_hit_rate")],
  kv_transfer_p95_ms: [quantile("trtllm_kv_transfer_latency_seconds", 0.95, 1000)],
};

/** A worker repeats its engine's page, whichever engine that is. */
export const dynamoWorker: Adapter = {
  engine: "dynamo-worker",
  title: "Dynamo worker",
  port: 8081,
  path: "/metrics",
  otherPaths: [],
  enable: "set DYN_SYSTEM_PORT",
  checked: {
    versions: "0.7 to 1.6",
    source:
      "ai-dynamo/dynamo: lib/runtime/src/metrics/prometheus_names.rs, components/src/dynamo/common/utils/prometheus.py; the engine's names are the engine's",
    lacks: "requests before they reach a worker",
  },
  owns: ownsPrefixes("dynamo_component_"),
  isCounted: isTotal,
  ranks: sglangRanks,
  foreign: routerCopy,
  copyLabel: "pid",
  signals: combined(component, vllmSignals, sglangSignals, withoutLazy(trtllmSignals), portable),
};
