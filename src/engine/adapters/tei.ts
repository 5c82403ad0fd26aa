import { gauge, latencies, rate } from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

/** As in TGI, a series is there from its first use on. Every request is counted. */
const lazy = { shownBy: ["te_request_count"] };

export const tei: Adapter = {
  engine: "tei",
  title: "Text Embeddings Inference",
  port: 80,
  path: "/metrics",
  otherPaths: [],
  enable: "the gRPC build serves them on --prometheus-port, 9000",
  checked: {
    versions: "1.9.3",
    source: "huggingface/text-embeddings-inference: router/src/prometheus.rs, core/src/queue.rs",
    lacks: "running requests; any page before the first request",
  },
  owns: ownsPrefixes("te_"),
  signals: {
    queue_depth: [gauge("te_queue_size")],
    ...latencies({ e2e: "te_request_duration", queue: "te_request_queue_duration" }, 1000, {
      lazy: { ...lazy, unless: ["te_request_success"] },
    }),
    request_rate: [rate("te_request_count", { lazy: { shownBy: ["te_queue_size"] } })],
    error_rate: [rate("te_request_failure", { lazy })],
  },
};
