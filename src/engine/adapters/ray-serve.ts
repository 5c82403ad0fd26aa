import {
  combined,
  concurrencyOf,
  gauge,
  mapFormulas,
  type SignalFormulas,
} from "#engine/signal/formula.ts";
import type { Adapter } from "./adapter.ts";
import { vllmSignals } from "./vllm.ts";

/** Gauges are always there, so they show that this is an LLM deployment. */
const lazy = { shownBy: ["vllm:num_requests_waiting"] };

const waiting = gauge("ray_serve_deployment_queued_queries");
const running = gauge([
  "ray_serve_num_ongoing_requests_at_replicas",
  "ray_serve_replica_processing_queries",
]);
const serve: SignalFormulas = {
  queue_depth: [waiting],
  running_requests: [running],
  concurrency: [concurrencyOf(waiting, running)],
};

/**
 * One Ray node's agent: Serve's own numbers, and the engine's under `ray_vllm_`. Ray leaves out
 * increments of zero, so a counter that is absent is 0.
 */
export const rayServe: Adapter = {
  engine: "ray-serve",
  title: "Ray Serve",
  port: 8080,
  path: "/metrics",
  otherPaths: [],
  enable: "Ray's node agent serves them on its metrics export port",
  checked: {
    versions: "Serve 2.60; the wrappers of vLLM at 02579a5f",
    source: "ray-project/ray: python/ray/serve; vllm-project/vllm: vllm/v1/metrics/ray_wrappers.py",
    lacks:
      "a count of requests without vLLM: Serve has counters by HTTP route and by deployment, which engineMetric can name",
  },
  owns: (names) => [...names].some((name) => name.startsWith("ray_")),
  signals: combined(
    serve,
    mapFormulas(vllmSignals, (formula) =>
      formula.kind === "rate" ? { ...formula, lazy } : formula,
    ),
  ),
};
