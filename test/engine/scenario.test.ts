/**
 * Each engine's page through a day: idle, the first request, a queue, drained, idle again; with a
 * restart in the middle; and as an older version prints it, which half of the replicas do in a roll-out.
 */
import { describe, expect, test } from "bun:test";
import type { SignalName } from "#metric/catalogue.ts";
import type { EngineName } from "#metric/engines.ts";
import { queryFor, readPages, shown } from "./pages.ts";

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
  readonly arrivals?: boolean;
}

const counted = (name: string, total: number, labels = "") =>
  total === 0 ? `# TYPE ${name} counter\n` : `# TYPE ${name} counter\n${name}${labels} ${total}\n`;
const vllmPage =
  (prefix: string) =>
  ({ waiting, running, total }: Truth) =>
    `${prefix}num_requests_waiting{engine="0"} ${waiting}\n${prefix}num_requests_running{engine="0"} ${running}\n${prefix}request_success_total{finished_reason="stop"} ${total}\n`;
const triton = ({ waiting, total }: Truth) =>
  `nv_inference_pending_request_count{model="m"} ${waiting}\nnv_inference_request_success{model="m"} ${total}\n`;

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
    arrivals: true,
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

function play(
  steps: typeof day,
  page: Played["page"],
  { engine }: Played,
  signal: SignalName | "activity",
) {
  const timed = steps.map((truth, at) => ({ atMs: at * stepMs, text: page(truth) }));
  return readPages(timed, queryFor(signal), engine).results.map(shown);
}

describe.each(engines)("$engine", (played) => {
  const versions = [played.page, ...(played.older === undefined ? [] : [played.older])];
  const runs = versions.flatMap((page) => [
    { page, steps: day },
    { page, steps: restarted },
  ]);

  test("tells what waits and what runs at each step, in each version, over a restart", () => {
    for (const { page, steps } of runs)
      for (const what of ["waiting", "running"] as const) {
        const signal = played[what];
        if (signal === undefined) continue;
        expect(play(steps, page, played, signal)).toEqual(steps.map((step) => step[what]));
      }
  });

  test("counts the first request, and what came since the page before", () => {
    if (played.arrivals !== true) return;
    for (const { page, steps } of runs) {
      const gains = steps.map(({ total }, at) => {
        const before = steps[at - 1]?.total ?? 0;
        return total < before ? total : total - before;
      });
      const [first, ...rates] = play(steps, page, played, "request_rate");
      expect(first).toBe("[pending]");
      expect(rates.map(Number)).toEqual(
        gains.slice(1).map((gain) => expect.closeTo((gain / stepMs) * 1_000, 6)),
      );
    }
  });

  test("is in use while anything waits, runs or has come, and idle else", () => {
    for (const { page, steps } of runs) {
      const activity = play(steps, page, played, "activity");
      const isUsed = steps.map(
        (step) => step.isUsed && (step.waiting + step.running > 0 || played.arrivals === true),
      );
      // The first page cannot say what arrives.
      expect(activity.slice(1).map((value) => Number(value) > 0)).toEqual(isUsed.slice(1));
      expect(activity[0]).not.toBe(1);
    }
  });
});
