import { gauge, latencies, rate } from "#engine/signal/formula.ts";
import { type Adapter, ownsPrefixes } from "./adapter.ts";

/**
 * In flight means waiting or running: the proxy cannot see which. It counts every HTTP request, and
 * so the one that reads the page.
 */
const inFlight = gauge("litellm_in_flight_requests", { ownShare: 1 });
/** Several worker processes print no `# TYPE` of what none of them has counted. */
const lazy = { shownBy: inFlight.names };

export const litellm: Adapter = {
  engine: "litellm",
  title: "LiteLLM proxy",
  port: 4000,
  path: "/metrics/",
  otherPaths: [],
  enable: "add prometheus to litellm_settings.callbacks, and give the bearer token",
  checked: {
    versions: "1.106",
    source:
      "BerriAI/litellm: litellm/integrations/prometheus.py, litellm/types/integrations/prometheus.py, litellm/proxy/middleware/in_flight_requests_middleware.py",
    lacks:
      "requests in flight by model: for one of several models choose request_rate and the label requested_model",
  },
  owns: ownsPrefixes("litellm_"),
  signals: {
    running_requests: [inFlight],
    concurrency: [inFlight],
    ...latencies(
      {
        ttft: "litellm_llm_api_time_to_first_token_metric",
        e2e: "litellm_request_total_latency_metric",
        queue: "litellm_request_queue_time_seconds",
      },
      1000,
      { lazy: { unless: ["litellm_proxy_total_requests_metric_total"], ...lazy } },
    ),
    request_rate: [rate("litellm_proxy_total_requests_metric", { lazy })],
    error_rate: [rate("litellm_proxy_failed_requests_metric", { lazy })],
    generation_tokens_per_second: [rate("litellm_output_tokens_metric", { lazy })],
    prompt_tokens_per_second: [rate("litellm_input_tokens_metric", { lazy })],
  },
};
