import { concurrencyOf, either, gauge, type SignalTerms } from "#engine/signal/term.ts";
import type { Adapter } from "./adapter.ts";
import { vllmSignals } from "./vllm.ts";

/** Gauges are always there, so they tell that this is an LLM deployment. */
const lazy = { given: "vllm_num_requests_waiting" };

const waiting = gauge("serve_deployment_queued_queries");
const running = gauge([
  "serve_num_ongoing_requests_at_replicas",
  "serve_replica_processing_queries",
]);
const serve: SignalTerms = {
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
  owns: (names) => [...names].some((name) => name.startsWith("ray_")),
  signals: either(serve, lazyRates(vllmSignals)),
};

function lazyRates(signals: SignalTerms): SignalTerms {
  return Object.fromEntries(
    Object.entries(signals).map(([signal, terms]) => [
      signal,
      terms.map((term) => (term.kind === "rate" ? { ...term, lazy } : term)),
    ]),
  );
}
