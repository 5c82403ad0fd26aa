/**
 * Each engine's page through a day: idle, the first request, a queue, drained, idle again; with a
 * restart in the middle; as an older version prints it; and with another version from the middle on,
 * or in half of the replicas, as in a roll-out.
 */
import { describe, expect, test } from "bun:test";
import { mergedResult } from "#engine/signal/result.ts";
import type { SignalName } from "#metric/catalogue.ts";
import type { EngineName, LabelMatcher } from "#metric/engines.ts";
import { pagesOf, queryFor, readPages, shown } from "./pages.ts";

/** What is true of an engine at one time; `total`: all requests that came and ended since its start. */
interface Truth {
  readonly waiting: number;
  readonly running: number;
  readonly total: number;
}

interface Played {
  readonly engine: EngineName;
  readonly page: (truth: Truth) => string;
  /** How the version before printed it. */
  readonly older?: (truth: Truth) => string;
  /** What the engine calls waiting and running, where it tells. */
  readonly waiting?: SignalName;
  readonly running?: SignalName;
  /** What it calls both, where it cannot tell them apart. */
  readonly inside?: SignalName;
  readonly arrivals?: boolean;
  readonly match?: readonly LabelMatcher[];
}

const counted = (name: string, total: number, labels = "") =>
  total === 0 ? `# TYPE ${name} counter\n` : `# TYPE ${name} counter\n${name}${labels} ${total}\n`;
const vllmPage =
  (prefix: string) =>
  ({ waiting, running, total }: Truth) =>
    `${prefix}num_requests_waiting{engine="0"} ${waiting}\n${prefix}num_requests_running{engine="0"} ${running}\n${prefix}request_success_total{finished_reason="stop"} ${total}\n`;
const triton = ({ waiting, total }: Truth) =>
  `nv_inference_pending_request_count{model="m"} ${waiting}\nnv_inference_request_success{model="m"} ${total}\n`;

const own = 'route_name="chat",route_namespace="shop"';
const others = 'route_name="chat",route_namespace="other"';

const engines: readonly Played[] = [
  {
    engine: "vllm",
    page: vllmPage("vllm:"),
    older: vllmPage("vllm_"),
    waiting: "queue_depth",
    running: "running_requests",
    arrivals: true,
  },
  {
    engine: "ray-serve",
    page: ({ waiting, running, total }) =>
      `ray_serve_deployment_queued_queries ${waiting}\nray_serve_num_ongoing_requests_at_replicas ${running}\n${vllmPage("ray_vllm_")({ waiting: 0, running: 0, total })}`,
    older: ({ waiting, running, total }) =>
      `ray_serve_deployment_queued_queries ${waiting}\nray_serve_replica_processing_queries ${running}\n${vllmPage("ray_vllm_")({ waiting: 0, running: 0, total })}`,
    waiting: "queue_depth",
    running: "running_requests",
    arrivals: true,
  },
  {
    engine: "sglang",
    page: ({ waiting, running, total }) =>
      `sglang:num_queue_reqs{dp_rank="1",tp_rank="2"} ${waiting}\nsglang:num_queue_reqs{dp_rank="1",tp_rank="3"} ${waiting}\nsglang:num_running_reqs{dp_rank="1",tp_rank="2"} ${running}\n${counted("sglang:num_requests_total", total)}`,
    older: ({ waiting, running, total }) =>
      `sglang:num_queue_reqs{name="m"} ${waiting}\nsglang:num_running_reqs{name="m"} ${running}\n${counted("sglang:num_requests_total", total)}`,
    waiting: "queue_depth",
    running: "running_requests",
    arrivals: true,
  },
  { engine: "triton", page: triton, waiting: "queue_depth", arrivals: true },
  {
    engine: "trtllm",
    page: ({ waiting, running, total }) =>
      `trtllm_num_requests_waiting ${waiting}\ntrtllm_num_requests_running ${running}\n${counted("trtllm_request_success_total", total)}`,
    older: ({ waiting, running, total }) =>
      `trtllm:num_requests_waiting ${waiting}\ntrtllm:num_requests_running ${running}\n${counted("trtllm:request_success_total", total)}`,
    waiting: "queue_depth",
    running: "running_requests",
    arrivals: true,
  },
  {
    engine: "tgi",
    page: ({ waiting, running, total }) =>
      total === 0 && waiting + running === 0
        ? "tgi_batch_max_total_tokens 9\n"
        : `tgi_batch_max_total_tokens 9\ntgi_queue_size ${waiting}\ntgi_batch_current_size ${running}\ntgi_request_count ${total}\n`,
    waiting: "queue_depth",
    running: "running_requests",
    arrivals: true,
  },
  {
    engine: "tei",
    page: ({ waiting, total }) => `te_queue_size ${waiting}\nte_request_count ${total}\n`,
    waiting: "queue_depth",
    arrivals: true,
  },
  {
    engine: "lmdeploy",
    page: ({ waiting, running, total }) =>
      `lmdeploy:num_requests_waiting ${waiting}\nlmdeploy:num_api_requests_waiting 0\nlmdeploy:num_requests_running ${running}\nlmdeploy:request_success_total ${total}\n`,
    older: ({ waiting, running, total }) =>
      `lmdeploy:num_requests_waiting ${waiting}\nlmdeploy:num_requests_running ${running}\nlmdeploy:request_success_total ${total}\n`,
    waiting: "queue_depth",
    running: "running_requests",
    arrivals: true,
  },
  {
    engine: "llama.cpp",
    page: ({ waiting, running }) =>
      `llamacpp:requests_deferred ${waiting}\nllamacpp:requests_processing ${running}\nllamacpp:predicted_tokens_seconds nan\n`,
    waiting: "queue_depth",
    running: "running_requests",
  },
  {
    engine: "nim",
    page: vllmPage("vllm:"),
    older: vllmPage(""),
    waiting: "queue_depth",
    running: "running_requests",
    arrivals: true,
  },
  {
    engine: "dynamo-frontend",
    page: ({ waiting, running, total }) =>
      `dynamo_frontend_disconnected_clients 0\ndynamo_frontend_active_requests ${waiting + running}\n${total === 0 ? "" : `dynamo_frontend_requests_total{model="m"} ${total}\n`}`,
    older: ({ waiting, running, total }) =>
      `nv_llm_http_service_disconnected_clients 0\nnv_llm_http_service_inflight_requests ${waiting + running}\n${total === 0 ? "" : `nv_llm_http_service_requests_total{model="m"} ${total}\n`}`,
    inside: "concurrency",
    arrivals: true,
  },
  {
    engine: "vllm-router",
    page: ({ running, total }) =>
      `vllm:healthy_pods_total{server="a"} 1\n# TYPE vllm:num_requests_running gauge\n${total === 0 ? "" : `vllm:num_requests_running{server="a"} ${running}\n`}${counted("vllm:num_incoming_requests_total", total, '{model="m"}')}`,
    running: "running_requests",
    arrivals: true,
  },
  {
    engine: "litellm",
    page: ({ waiting, running, total }) =>
      `litellm_in_flight_requests ${waiting + running + 1}\n${counted("litellm_proxy_total_requests_metric_total", total, '{team="t"}')}`,
    inside: "concurrency",
    arrivals: true,
  },
  {
    engine: "dynamo-worker",
    page: (truth) =>
      `dynamo_component_gpu_cache_usage_percent{dp_rank="0"} 0.5\n${vllmPage("vllm:")(truth)}`,
    older: (truth) =>
      `dynamo_component_kvstats_gpu_cache_usage_percent 0.5\n${vllmPage("vllm_")(truth)}`,
    waiting: "queue_depth",
    running: "running_requests",
    arrivals: true,
  },
  {
    engine: "http-add-on",
    page: ({ waiting, running, total }) =>
      `interceptor_request_concurrency{${own}} ${waiting + running}\ninterceptor_request_concurrency{${others}} 40\n${total === 0 ? "" : `interceptor_request_count_total{code="200",${own}} ${total}\n`}interceptor_request_count_total{code="200",${others}} 900\n`,
    older: ({ waiting, running, total }) =>
      `interceptor_pending_requests{${own}} ${waiting + running}\ninterceptor_pending_requests{${others}} 40\n${total === 0 ? "" : `interceptor_requests_total{code="200",${own}} ${total}\n`}interceptor_requests_total{code="200",${others}} 900\n`,
    inside: "concurrency",
    arrivals: true,
    match: [
      { label: "route_name", op: "=", value: "chat" },
      { label: "route_namespace", op: "=", value: "shop" },
    ],
  },
  {
    engine: "epp",
    page: ({ waiting, running, total }) =>
      `llm_d_epp_flow_control_pool_saturation 0\nllm_d_epp_ready_endpoints 1\n${total === 0 ? "" : `llm_d_epp_flow_control_queue_size ${waiting}\nllm_d_epp_request_running ${running}\nllm_d_epp_request_total{model_name="m"} ${total}\n`}`,
    older: ({ waiting, running, total }) =>
      `inference_pool_average_queue_size ${waiting / 2}\ninference_pool_ready_pods 2\n${total === 0 ? "" : `inference_model_running_requests ${running}\ninference_model_request_total{model_name="m"} ${total}\n`}`,
    waiting: "queue_depth",
    running: "running_requests",
    arrivals: true,
  },
];

/** Seconds apart by more than a rate's window, so that each step stands for itself. */
const stepMs = 70_000;
const day: readonly (Truth & { readonly isUsed: boolean })[] = [
  { waiting: 0, running: 0, total: 0, isUsed: false },
  { waiting: 0, running: 1, total: 1, isUsed: true },
  { waiting: 7, running: 4, total: 43, isUsed: true },
  // All done since the last page: nothing is inside, and requests came.
  { waiting: 0, running: 0, total: 85, isUsed: true },
  { waiting: 0, running: 0, total: 85, isUsed: false },
];
/** The same, with a new process from the third step on. */
const restarted = day.map((step, at) => (at < 3 ? step : { ...step, total: 42 }));

/** What is printed at each step. */
interface Run {
  readonly steps: typeof day;
  readonly pageAt: (step: number) => Played["page"];
}

/** A day in each version, over a restart, and over a restart into the other version. */
function runsOf({ page, older = page }: Played): readonly Run[] {
  const same = [page, older].flatMap((one) => [
    { steps: day, pageAt: () => one },
    { steps: restarted, pageAt: () => one },
  ]);
  const changed = [
    [older, page],
    [page, older],
  ].map(([before = page, after = page]) => ({
    steps: restarted,
    pageAt: (step: number) => (step < 3 ? before : after),
  }));
  return [...same, ...changed];
}

function play(
  { steps, pageAt }: Run,
  { engine, match = [] }: Played,
  signal: SignalName | "activity",
) {
  const timed = steps.map((truth, at) => ({ atMs: at * stepMs, text: pageAt(at)(truth) }));
  return readPages(timed, queryFor(signal, { match }), engine).results.map(shown);
}

describe.each(engines)("$engine", (played) => {
  const runs = runsOf(played);

  test("tells what waits and what runs at each step, in each version, over a restart", () => {
    for (const run of runs)
      for (const what of ["waiting", "running", "inside"] as const) {
        const signal = played[what];
        if (signal === undefined) continue;
        const truths = run.steps.map(({ waiting, running }) => ({
          waiting,
          running,
          inside: waiting + running,
        }));
        expect(play(run, played, signal)).toEqual(truths.map((truth) => truth[what]));
      }
  });

  test("counts the first request, and what came since the page before", () => {
    if (played.arrivals !== true) return;
    for (const run of runs) {
      const gains = run.steps.map(({ total }, at) => {
        const before = run.steps[at - 1]?.total ?? 0;
        return total < before ? total : total - before;
      });
      const [first, ...rates] = play(run, played, "request_rate");
      expect(first).toBe("[pending]");
      expect(rates.map(Number)).toEqual(
        gains.slice(1).map((gain) => expect.closeTo((gain / stepMs) * 1_000, 6)),
      );
    }
  });

  test("is in use while anything waits, runs or has come, and idle else", () => {
    for (const run of runs) {
      const activity = play(run, played, "activity");
      const isUsed = run.steps.map(
        (step) => step.isUsed && (step.waiting + step.running > 0 || played.arrivals === true),
      );
      // The first page cannot say what arrives.
      expect(activity.slice(1).map((value) => Number(value) > 0)).toEqual(isUsed.slice(1));
      expect(activity[0]).not.toBe(1);
    }
  });
});

test("Ollama tells the models that it holds, and never whether it is in use", () => {
  const steps = day.map((step, at) => ({
    atMs: at * stepMs,
    text: JSON.stringify({ models: step.total > 0 ? [{ name: "m" }] : [] }),
  }));
  const read = (signal: SignalName | "activity") =>
    readPages(steps, queryFor(signal), "ollama").results.map(shown);
  expect(read("loaded_models")).toEqual([0, 1, 1, 1, 1]);
  expect(read("activity")).toEqual(steps.map(() => "[not-exported]"));
});

describe("a roll-out, with half of the replicas at another version:", () => {
  const both: readonly SignalName[] = ["queue_depth", "running_requests", "request_rate"];
  /** Pages that those versions' own definitions print, of the same load. */
  test.each([
    ["vLLM 0.12 and V0", ["vllm-v1.prom", "vllm-v0.prom"], both, 375],
    ["vLLM 0.33 and 0.11", ["vllm-waiting-by-reason.prom", "vllm-v0.11.prom"], both, 375],
    // The older bounds are 250 and 500 ms, the newer 200 and 400.
    [
      "SGLang 0.5.23 and 0.3.6",
      ["sglang.prom", "sglang-first-release.prom"],
      ["queue_depth", "running_requests"],
      // Of 400 requests 365 came by 250 ms and 392 by 400, each spread evenly inside its bounds.
      250 + (150 * (380 - 365)) / (392 - 365),
    ],
  ] as const)("%s", (_what, [newer, older], counts, ttftMs) => {
    const fleet = [newer, older, newer, older];
    const results = (signal: SignalName) =>
      fleet.map((file) => readPages(pagesOf(file), queryFor(signal)).result);
    for (const signal of counts) {
      const values = results(signal).map((result) => Number(shown(result)));
      const each = { queue_depth: 7, running_requests: 11, request_rate: 2 }[String(signal)];
      expect(values).toEqual(fleet.map(() => Number(each)));
    }
    expect(results("kv_cache_usage").map(shown)).toEqual(fleet.map(() => 75));
    const merged = mergedResult(results("ttft_p95_ms"));
    expect(merged && shown(merged)).toBeCloseTo(ttftMs, 4);
  });

  test("a share that one version tells alone is left to each replica", () => {
    const results = ["vllm-v1.prom", "sglang-first-release.prom"].map(
      (file) => readPages(pagesOf(file), queryFor("prefix_cache_hit_rate")).result,
    );
    expect(results.map(shown)).toEqual([45, 50]);
    expect(mergedResult(results)).not.toHaveProperty("value");
  });

  test("endpoint pickers tell one queue under both names", () => {
    const queue = (file: string) =>
      shown(readPages(pagesOf(file), queryFor("queue_depth"), "epp").result);
    expect(["epp-llm-d.prom", "epp-1.1.prom"].map(queue)).toEqual([7, 7]);
  });
});
