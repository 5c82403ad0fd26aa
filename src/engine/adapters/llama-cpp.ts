import { concurrencyOf, fraction, gauge, rate } from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

const waiting = gauge("llamacpp:requests_deferred");
const running = gauge("llamacpp:requests_processing");

export const llamaCpp: Adapter = {
  engine: "llama.cpp",
  title: "llama.cpp server",
  port: 8080,
  path: "/metrics",
  otherPaths: [],
  enable: "start it with --metrics; in router mode the path needs ?model=<name>",
  checked: {
    versions: "2024; main at 00dc8057",
    source: "ggml-org/llama.cpp: tools/server/README.md",
    lacks:
      "latencies, a count of requests, and since 2025 the key-value cache; it prints six digits, so that after a hundred million tokens a rate is good to a thousand tokens in its window",
  },
  owns: ownsPrefixes("llamacpp:"),
  signals: {
    queue_depth: [waiting],
    running_requests: [running],
    concurrency: [concurrencyOf(waiting, running)],
    // Only servers before 2025 have it.
    kv_cache_usage: [fraction("llamacpp:kv_cache_usage_ratio")],
    generation_tokens_per_second: [rate("llamacpp:tokens_predicted")],
    prompt_tokens_per_second: [rate("llamacpp:prompt_tokens")],
  },
};
