/** What keeps a workload from zero, engine by engine: whatever waits, runs or arrives. */
import { describe, expect, test } from "bun:test";
import type { EngineName } from "#metric/engines.ts";
import { fixture, queryFor, readPages, shown, type TimedPage } from "./pages.ts";

/** What an engine's page shows. */
interface Load {
  readonly waiting?: number;
  readonly running?: number;
  /** All requests that came or ended so far. */
  readonly requests?: number;
}
type Page = (load: Required<Load>) => string;
const label = 'model_name="m"';

const pages: Partial<Record<EngineName, Page>> = {
  vllm: ({ waiting, running, requests }) =>
    `vllm:num_requests_waiting{${label}} ${waiting}\nvllm:num_requests_running{${label}} ${running}\nvllm:request_success_total{${label}} ${requests}\n`,
  sglang: ({ waiting, running, requests }) =>
    `sglang:num_queue_reqs{${label}} ${waiting}\nsglang:num_running_reqs{${label}} ${running}\nsglang:num_requests_total{${label}} ${requests}\n`,
  trtllm: ({ waiting, running, requests }) =>
    `trtllm_num_requests_waiting ${waiting}\ntrtllm_num_requests_running ${running}\ntrtllm_request_success_total ${requests}\n`,
  tgi: ({ waiting, running, requests }) =>
    `tgi_batch_max_total_tokens 9\ntgi_queue_size ${waiting}\ntgi_batch_current_size ${running}\ntgi_request_count ${requests}\n`,
  tei: ({ waiting, requests }) => `te_queue_size ${waiting}\nte_request_count ${requests}\n`,
  triton: ({ waiting, requests }) =>
    `nv_inference_pending_request_count{model="m"} ${waiting}\nnv_inference_request_success{model="m"} ${requests}\n`,
  lmdeploy: ({ waiting, running, requests }) =>
    `lmdeploy:num_requests_waiting ${waiting}\nlmdeploy:num_requests_running ${running}\nlmdeploy:request_success_total ${requests}\n`,
  "llama.cpp": ({ waiting, running }) =>
    `llamacpp:requests_deferred ${waiting}\nllamacpp:requests_processing ${running}\n`,
  nim: ({ waiting, running, requests }) =>
    `num_requests_waiting ${waiting}\nnum_requests_running ${running}\nrequest_success_total ${requests}\n`,
  "dynamo-worker": ({ waiting, running, requests }) =>
    `dynamo_component_uptime_seconds 9\nvllm:num_requests_waiting ${waiting}\nvllm:num_requests_running ${running}\nvllm:request_success_total ${requests}\n`,
  "dynamo-frontend": ({ waiting, running, requests }) =>
    `dynamo_frontend_disconnected_clients 0\ndynamo_frontend_queued_requests ${waiting}\ndynamo_frontend_active_requests ${waiting + running}\ndynamo_frontend_requests_total ${requests}\n`,
  "ray-serve": ({ waiting, running, requests }) =>
    `ray_serve_deployment_queued_queries ${waiting}\nray_serve_replica_processing_queries ${running}\nray_vllm_num_requests_waiting 0\nray_vllm_request_success_total ${requests}\n`,
  "vllm-router": ({ running, requests }) =>
    `vllm:num_requests_running{server="a"} ${running}\nvllm:num_incoming_requests_total{model="m"} ${requests}\nvllm:current_qps{server="a"} 0\n`,
  // What waits at the proxy runs there; the scrape is one more.
  litellm: ({ waiting, running, requests }) =>
    `litellm_in_flight_requests ${waiting + running + 1}\nlitellm_proxy_total_requests_metric_total{${label}} ${requests}\n`,
  epp: ({ waiting, running, requests }) =>
    `llm_d_epp_flow_control_pool_saturation 0\nllm_d_epp_ready_endpoints 0\nllm_d_epp_flow_control_queue_size ${waiting}\nllm_d_epp_request_running ${running}\nllm_d_epp_request_total ${requests}\n`,
  "http-add-on": ({ waiting, running, requests }) =>
    `interceptor_request_concurrency{route_namespace="n",route_name="r"} ${waiting + running}\ninterceptor_request_count_total{route_namespace="n",route_name="r"} ${requests}\n`,
};

const route = (["route_namespace", "route_name"] as const).map(
  (name) => ({ label: name, op: "=", value: name === "route_name" ? "r" : "n" }) as const,
);

/** The engine at rest, then under a load. */
function activityUnder(engine: EngineName, page: Page, load: Load): number | string {
  const rest = { waiting: 0, running: 0, requests: 10 };
  const timed: readonly TimedPage[] = [rest, { ...rest, ...load }].map((one, at) => ({
    atMs: at * 5_000,
    text: page(one),
  }));
  const match = engine === "http-add-on" ? route : [];
  return shown(readPages(timed, queryFor("activity", { match }), engine).result);
}

describe.each(Object.entries(pages) as [EngineName, Page][])("%s is", (engine, page) => {
  const under = (load: Load) => activityUnder(engine, page, load);
  const says = (load: Load) =>
    page({ waiting: 0, running: 0, requests: 0, ...load }) !==
    page({ waiting: 0, running: 0, requests: 0 });

  test("idle when nothing waits, runs or arrives", () => {
    expect(under({})).toBe(0);
  });
  test.each<Load>([{ waiting: 3 }, { running: 3 }, { requests: 13 }, { waiting: 1, running: 1 }])(
    "in use with %o, if it tells",
    (load) => {
      const activity = under(load);
      if (says(load)) expect(activity).toBeGreaterThan(0);
      else expect(activity).toBe(0);
    },
  );
});

test("Ollama does not tell: a model that it holds says nothing of requests", () => {
  const text = fixture("ollama-ps.json");
  expect(shown(readPages([{ atMs: 0, text }], queryFor("activity")).result)).toBe("[not-exported]");
});

test("vLLM with nothing but deferred requests is in use, though its queue asks for no replica", () => {
  const text =
    'vllm:num_requests_waiting_by_reason{reason="capacity"} 0\nvllm:num_requests_waiting_by_reason{reason="deferred"} 3\nvllm:num_requests_waiting 3\nvllm:num_requests_running 0\n';
  const read = (signal: "queue_depth" | "activity") =>
    shown(readPages([{ atMs: 0, text }], queryFor(signal)).result);
  expect([read("queue_depth"), read("activity")]).toEqual([0, 3]);
});

describe("a plain Triton, which does not say what runs,", () => {
  const page = (pending: number, requests: number, waitedUs: number) =>
    `nv_inference_pending_request_count{model="m"} ${pending}\nnv_inference_request_success{model="m"} ${requests}\nnv_inference_queue_duration_us{model="m"} ${waitedUs}\n`;
  const read = (texts: readonly string[], signal: "queue_wait_ms" | "activity") =>
    readPages(
      texts.map((text, at) => ({ atMs: at * 5_000, text })),
      queryFor(signal),
    ).results.map(shown);

  test("waits 0 while no request comes and none is pending", () => {
    const idle = page(0, 100, 9_000);
    expect(read([idle, idle], "queue_wait_ms")).toEqual(["[pending]", 0]);
    expect(read([idle, idle], "activity")).toEqual(["[pending]", 0]);
  });
  test("is in use at twenty requests a second that hardly wait", () => {
    const busy = [page(0, 0, 0), page(0, 100, 200_000)];
    expect(read(busy, "queue_wait_ms")).toEqual(["[pending]", 2]);
    expect(read(busy, "activity")).toEqual(["[pending]", 20]);
  });
});
