import { describe, expect, test } from "bun:test";
import { adapterOf, adapters } from "#engine/adapters/all.ts";
import { type SignalName, signalNames } from "#metric/catalogue.ts";
import type { EngineName, LabelMatcher } from "#metric/engines.ts";
import { fixture, pagesOf, queryFor, readPages, shown, signalsOf } from "./pages.ts";

type Expected = Partial<Record<SignalName, number | string>>;

/** What most fixtures say: 7 wait, 11 run, 100 requests were observed in the minute. */
const load: Expected = {
  queue_depth: 7,
  running_requests: 11,
  concurrency: 18,
  kv_cache_usage: 75,
};
const ttft: Expected = { ttft_p50_ms: 100, ttft_p95_ms: 375, ttft_p99_ms: 475 };
const times: Expected = { ...ttft, inter_token_p95_ms: 37.5, e2e_p95_ms: 3750 };
const queued: Expected = { queue_wait_ms: 200 };
const requests: Expected = { request_rate: 2 };
const errors: Expected = { error_rate: 0.2 };
const tokens: Expected = { generation_tokens_per_second: 100, prompt_tokens_per_second: 200 };
const preempted: Expected = { preemptions_per_second: 0.1 };
const hits: Expected = { prefix_cache_hit_rate: 45 };
const vllmAll: Expected = { ...load, ...times, ...queued, ...requests, ...tokens, ...preempted };

const shop: readonly LabelMatcher[] = [
  { label: "route_name", op: "=", value: "chat" },
  { label: "route_namespace", op: "=", value: "shop" },
];

const rows: readonly (readonly [
  file: string,
  engine: EngineName,
  Expected,
  match?: readonly LabelMatcher[],
])[] = [
  ["vllm-v1.prom", "vllm", { ...vllmAll, ...hits, ...errors }],
  ["vllm-v0.11.prom", "vllm", { ...vllmAll, ...hits, error_rate: 0 }],
  ["vllm-v0.prom", "vllm", { ...vllmAll, error_rate: 0 }],
  // 9 more wait for what replicas do not bring; they are in the engine all the same.
  [
    "vllm-waiting-by-reason.prom",
    "vllm",
    {
      ...vllmAll,
      ...hits,
      concurrency: 27,
      error_rate: 0,
      // 780 of 1,200 draft tokens; of the adapters only the newest list counts.
      spec_decode_acceptance_rate: 65,
      lora_slot_usage: 75,
      lora_adapters_waiting: 2,
      // What was fetched waits for a place in the batch, and no more for a transfer.
      kv_transfer_requests: 5,
      kv_transfer_p95_ms: 150,
    },
  ],
  ["vllm-openmetrics.prom", "vllm", { ...load, ...requests, error_rate: 0 }],
  [
    "sglang.prom",
    "sglang",
    {
      ...vllmAll,
      ...errors,
      ttft_p95_ms: 300,
      ttft_p99_ms: 380,
      e2e_p95_ms: 3000,
      prefix_cache_hit_rate: 50,
      spec_decode_acceptance_rate: 70,
      lora_slot_usage: 62.5,
      kv_transfer_requests: 4,
      kv_transfer_p95_ms: 175,
    },
  ],
  // A process that was replaced prints its gauges still, under its own number.
  ["sglang-copies.prom", "sglang", { ...vllmAll, ...errors }],
  // 11 wait and 9 run on two data-parallel ranks, of which the second begins at tensor rank 2.
  [
    "sglang-dp-attention.prom",
    "sglang",
    {
      queue_depth: 11,
      running_requests: 9,
      concurrency: 20,
      kv_cache_usage: 53.5,
      generation_tokens_per_second: 100,
    },
  ],
  [
    "sglang-priority.prom",
    "sglang",
    { queue_depth: 11, running_requests: 9, concurrency: 20, kv_cache_usage: 53.5 },
  ],
  ["sglang-before-warm-up.prom", "sglang", {}],
  [
    "sglang-first-release.prom",
    "sglang",
    {
      ...load,
      ...ttft,
      ...tokens,
      // Its bounds are 30 and 40 ms there.
      inter_token_p95_ms: 35,
      e2e_p95_ms: 3750,
      prefix_cache_hit_rate: 50,
    },
  ],
  [
    "triton.prom",
    "triton",
    { queue_depth: 7 - 4, queue_wait_ms: 200, request_rate: 2.2, ...errors },
  ],
  [
    "triton-tensorrt-llm.prom",
    "triton",
    { ...load, queue_wait_ms: 200, request_rate: 2.2, ...errors },
  ],
  [
    "triton-vllm.prom",
    "triton",
    // The backend tells no counts: those that wait are Triton's own.
    { queue_depth: 7, ...times, queue_wait_ms: 200, request_rate: 2.2, ...errors, ...tokens },
  ],
  [
    "trtllm.prom",
    "trtllm",
    {
      ...load,
      ...times,
      ...queued,
      ...requests,
      ...errors,
      ...tokens,
      prefix_cache_hit_rate: 50,
      spec_decode_acceptance_rate: 65,
    },
  ],
  // Bounds of both are 10 µs · 1.5^n: the slowest tenth lies in one, from n 31 to 32 and 20 to 21.
  [
    "tgi.prom",
    "tgi",
    {
      ...load,
      inter_token_p95_ms: 41.5657091,
      e2e_p95_ms: 3595.33236,
      ...queued,
      ...requests,
      ...errors,
      generation_tokens_per_second: 100,
    },
  ],
  [
    "tei.prom",
    "tei",
    { queue_depth: 7, e2e_p95_ms: 3595.33236, ...queued, ...requests, ...errors },
  ],
  ["nim-1.prom", "nim", { ...load, ...times, ...requests, ...errors, ...tokens }],
  [
    "lmdeploy.prom",
    "lmdeploy",
    {
      ...load,
      ...times,
      ...queued,
      ...requests,
      ...tokens,
      prefix_cache_hit_rate: 50,
      spec_decode_acceptance_rate: 65,
    },
  ],
  [
    "llama-cpp.prom",
    "llama.cpp",
    { queue_depth: 7, running_requests: 11, concurrency: 18, ...tokens },
  ],
  ["llama-cpp-2024.prom", "llama.cpp", { ...load, ...tokens }],
  [
    "dynamo-frontend.prom",
    "dynamo-frontend",
    {
      queue_depth: 7,
      running_requests: 18,
      concurrency: 18,
      ...times,
      ...requests,
      ...errors,
      generation_tokens_per_second: 100,
      prompt_tokens_per_second: 0,
    },
  ],
  [
    "dynamo-frontend-before-july-2025.prom",
    "dynamo-frontend",
    {
      running_requests: 18,
      concurrency: 18,
      ...times,
      ...requests,
      ...errors,
      generation_tokens_per_second: 0,
      prompt_tokens_per_second: 0,
    },
  ],
  ["dynamo-worker.prom", "dynamo-worker", { ...vllmAll, ...hits, concurrency: 27 }],
  [
    "dynamo-frontend-1.6.prom",
    "dynamo-frontend",
    {
      queue_depth: 3,
      running_requests: 3,
      concurrency: 3,
      request_rate: 0.0333333333,
      error_rate: 0.0166666667,
      generation_tokens_per_second: 0,
      prompt_tokens_per_second: 0,
    },
  ],
  [
    "ray-serve.prom",
    "ray-serve",
    { ...load, ...times, ...queued, ...requests, ...tokens, preemptions_per_second: 0 },
  ],
  ["ray-serve-2.60.prom", "ray-serve", { queue_depth: 5, running_requests: 2, concurrency: 7 }],
  [
    "vllm-router.prom",
    "vllm-router",
    {
      running_requests: 11,
      concurrency: 11,
      e2e_p95_ms: 3750,
      ...requests,
      ...errors,
      ...tokens,
    },
  ],
  [
    "vllm-router-fresh.prom",
    "vllm-router",
    {
      running_requests: 0,
      concurrency: 0,
      request_rate: 0,
      error_rate: 0,
      generation_tokens_per_second: 0,
      prompt_tokens_per_second: 0,
    },
  ],
  [
    "litellm.prom",
    "litellm",
    {
      running_requests: 18,
      concurrency: 18,
      ...ttft,
      e2e_p95_ms: 3750,
      ...queued,
      ...requests,
      ...errors,
      ...tokens,
    },
  ],
  [
    "litellm-fresh.prom",
    "litellm",
    {
      running_requests: 0,
      concurrency: 0,
      request_rate: 0,
      error_rate: 0,
      generation_tokens_per_second: 0,
      prompt_tokens_per_second: 0,
    },
  ],
  [
    "epp-llm-d.prom",
    "epp",
    { ...load, inter_token_p95_ms: 47, e2e_p95_ms: 4500, ...requests, ...errors, ...tokens },
  ],
  // Three pods with 2.5 that wait in each.
  [
    "epp-without-flow-control.prom",
    "epp",
    {
      queue_depth: 7.5,
      running_requests: 11,
      concurrency: 11,
      kv_cache_usage: 75,
      inter_token_p95_ms: 47,
      e2e_p95_ms: 4500,
      ...requests,
      error_rate: 0,
      ...tokens,
    },
  ],
  [
    "epp-fresh.prom",
    "epp",
    {
      queue_depth: 0,
      running_requests: 0,
      concurrency: 0,
      kv_cache_usage: 0,
      ttft_p50_ms: 0,
      ttft_p95_ms: 0,
      ttft_p99_ms: 0,
      inter_token_p95_ms: 0,
      e2e_p95_ms: 0,
      request_rate: 0,
      error_rate: 0,
      generation_tokens_per_second: 0,
      prompt_tokens_per_second: 0,
    },
  ],
  // It tells its queue, and not yet whether flow control runs.
  ["epp-1.1.prom", "epp", { ...load, e2e_p95_ms: 3500, ...requests, ...errors, ...tokens }],
  [
    "epp-1.0.prom",
    "epp",
    {
      queue_depth: 7.5,
      running_requests: 11,
      concurrency: 11,
      kv_cache_usage: 75,
      e2e_p95_ms: 3500,
      ...requests,
      ...errors,
      ...tokens,
    },
  ],
  ["http-add-on.prom", "http-add-on", { concurrency: 18, e2e_p95_ms: 3750, ...requests }, shop],
  ["http-add-on-0.13.prom", "http-add-on", { concurrency: 18, ...requests }, shop],
  ["http-add-on-queue.json", "http-add-on", { concurrency: 18 }, shop],
  ["ollama-ps.json", "ollama", { loaded_models: 2 }],
  // A page before any event: what its exporter makes late is a true 0, the rest is not known.
  [
    "tgi-fresh.prom",
    "tgi",
    {
      queue_depth: 0,
      running_requests: 0,
      concurrency: 0,
      kv_cache_usage: 0,
      inter_token_p95_ms: 0,
      e2e_p95_ms: 0,
      queue_wait_ms: 0,
      request_rate: 0,
      error_rate: 0,
      generation_tokens_per_second: 0,
    },
  ],
  [
    "trtllm-before-first-request.prom",
    "trtllm",
    {
      queue_depth: 0,
      running_requests: 0,
      concurrency: 0,
      kv_cache_usage: 0,
      ttft_p50_ms: 0,
      ttft_p95_ms: 0,
      ttft_p99_ms: 0,
      inter_token_p95_ms: 0,
      e2e_p95_ms: 0,
      queue_wait_ms: 0,
      request_rate: 0,
      error_rate: 0,
      generation_tokens_per_second: 0,
      prompt_tokens_per_second: 0,
    },
  ],
  ["trtllm-without-iteration-stats.prom", "trtllm", { request_rate: 2, error_rate: 0 }],
];

describe("a page gives exactly these signals:", () => {
  test.each(rows)("%s", (file, engine, expected, match = []) => {
    const got = signalsOf(file, signalNames, { match });
    const known = Object.entries(got).filter(([, value]) => typeof value === "number");
    expect(Object.fromEntries(known)).toEqual(expected);
    expect(readPages(pagesOf(file), queryFor("concurrency", { match })).adapter.engine).toBe(
      engine,
    );
  });
});

test("every page says first what its names were taken from", () => {
  for (const [file] of rows.filter(([name]) => name.endsWith(".prom")))
    expect([file, fixture(file).split("\n", 1)[0]]).toEqual([
      file,
      expect.stringMatching(/^# (?!HELP |TYPE )./),
    ]);
});

describe("pages of several models", () => {
  test("counts add up and fractions are averaged", () => {
    const got = signalsOf("vllm-two-models.prom", [
      "queue_depth",
      "running_requests",
      "kv_cache_usage",
    ]);
    expect(got).toEqual({ queue_depth: 4, running_requests: 6, kv_cache_usage: 60 });
  });

  test("a matcher keeps one model", () => {
    const match = [{ label: "model_name", op: "=", value: "qwen" }] as const;
    const got = signalsOf("vllm-two-models.prom", ["queue_depth", "kv_cache_usage"], { match });
    expect(got).toEqual({ queue_depth: 1, kv_cache_usage: 40 });
  });

  test("a model that is not there is said, with those that are", () => {
    const match = [{ label: "model_name", op: "=", value: "mistral" }] as const;
    const { result } = readPages(
      pagesOf("vllm-two-models.prom"),
      queryFor("queue_depth", { match }),
    );
    expect(result).toMatchObject({ reason: "lacking" });
    expect("why" in result && result.why).toContain(
      'no series with model_name="mistral", there is llama, qwen',
    );
  });
});

test("of SGLang's ranks the lowest of a data-parallel rank speaks, whichever is printed first", () => {
  const rank = (labels: string, waiting: number) => `sglang:num_queue_reqs{${labels}} ${waiting}\n`;
  const text = [
    rank('dp_rank="1",pp_rank="0",tp_rank="10"', 100),
    rank('dp_rank="1",pp_rank="1",tp_rank="2"', 200),
    rank('dp_rank="1",pp_rank="0",tp_rank="2"', 7),
    rank('dp_rank="0",pp_rank="1"', 300),
    rank('dp_rank="0",pp_rank="0"', 4),
  ].join("");
  for (const [engine, page] of [
    ["sglang", text],
    ["nim", text],
    ["dynamo-worker", `${text}dynamo_component_uptime_seconds 1\n`],
  ] as const)
    expect(
      shown(readPages([{ atMs: 0, text: page }], queryFor("queue_depth"), engine).result),
    ).toBe(11);
});

describe("Triton's ensembles", () => {
  const signals = ["queue_depth", "request_rate", "queue_wait_ms"] as const;

  test("are not added to their parts unasked", () => {
    const got = signalsOf("triton-ensemble.prom", signals);
    expect(got).toEqual({ queue_depth: 7, request_rate: "[refused]", queue_wait_ms: "[refused]" });
  });

  test("are left out by name", () => {
    const got = signalsOf("triton-ensemble.prom", signals, { ensembles: ["pipeline"] });
    expect(got).toEqual({ queue_depth: 7, request_rate: 4.2, queue_wait_ms: 200 });
  });

  test("are left out by choosing a model", () => {
    const match = [{ label: "model", op: "=", value: "resnet" }] as const;
    const got = signalsOf("triton-ensemble.prom", signals, { match });
    expect(got).toEqual({ queue_depth: 4, request_rate: 2, queue_wait_ms: 200 });
  });
});

test.each(["healthy_pods_total", "num_incoming_requests_total", "current_qps"])(
  "a page with vllm:%s is the router's",
  (name) => {
    const text = `vllm:num_requests_waiting 1\nvllm:${name} 1\n`;
    expect(readPages([{ atMs: 0, text }], queryFor("queue_depth")).adapter.engine).toBe(
      "vllm-router",
    );
  },
);

test("a router's copy is not taken for an engine", () => {
  const router = `${fixture("vllm-router.prom").split("# 60 s later\n")[1]}`;
  const { result } = readPages([{ atMs: 0, text: router }], queryFor("running_requests"), "vllm");
  expect(result).toMatchObject({ reason: "refused" });
  expect("why" in result && result.why).toContain("use engine vllm-router");
});

test("the interceptor's numbers are never those of all routes", () => {
  for (const file of ["http-add-on.prom", "http-add-on-queue.json"])
    expect(shown(readPages(pagesOf(file), queryFor("concurrency")).result)).toBe("[refused]");
  const match = shop.map((one) => ({ ...one, value: "typo" }));
  const { result } = readPages(
    pagesOf("http-add-on-queue.json"),
    queryFor("concurrency", { match }),
  );
  expect(shown(result)).toBe("[lacking]");
});

describe("an engine's own metric has one name however it is spelled:", () => {
  test.each([
    "vllm:num_requests_waiting",
    "vllm_num_requests_waiting",
    "ray_vllm_num_requests_waiting",
  ])("%s", (spelling) => {
    const page = [{ atMs: 0, text: `# TYPE ${spelling} gauge\n${spelling} 7\n` }];
    expect(shown(readPages(page, queryFor("queue_depth"), "vllm").result)).toBe(7);
  });

  test("of two spellings on one page the engine's own counts", () => {
    const page = [
      { atMs: 0, text: "ray_vllm:num_requests_waiting 7\nvllm:num_requests_waiting 3\n" },
    ];
    expect(shown(readPages(page, queryFor("queue_depth"), "vllm").result)).toBe(3);
  });

  test("an error spells it as the engine does", () => {
    const page = [{ atMs: 0, text: "vllm:num_requests_running 1\n" }];
    const { result } = readPages(page, queryFor("queue_depth"));
    expect("why" in result && result.why).toBe(
      "its page has no vllm:num_requests_waiting_by_reason, no vllm:num_requests_waiting",
    );
    const match = [{ label: "model_name", op: "=", value: "x" }] as const;
    const other = readPages(pagesOf("vllm-v1.prom"), queryFor("queue_depth", { match })).result;
    expect("why" in other && other.why).toStartWith("its vllm:num_requests_waiting has no series");
  });
});

test("asking for what an engine does not export lists what it does", () => {
  const { result } = readPages(pagesOf("tei.prom"), queryFor("kv_cache_usage"));
  expect("why" in result && result.why).toBe(
    "Text Embeddings Inference does not export kv_cache_usage; it has e2e_p95_ms, error_rate, queue_depth, queue_wait_ms, request_rate",
  );
});

test.each([
  ["vllm-v1.prom", 375],
  ["sglang.prom", 300],
])("NIM 2 passes %s through", (file, ttftMs) => {
  const got = signalsOf(file, ["queue_depth", "ttft_p95_ms", "request_rate"], {}, "nim");
  expect(got).toEqual({ queue_depth: 7, ttft_p95_ms: ttftMs, request_rate: 2 });
});

test("a page of another engine is refused, and told", () => {
  const refused = () => readPages(pagesOf("sglang.prom"), queryFor("queue_depth"), "vllm");
  expect(refused).toThrow("set engine to sglang");
  expect(() => readPages([{ atMs: 0, text: "go_info 1\n" }], queryFor("queue_depth"))).toThrow(
    "its page has no known names, got text/plain with go_info",
  );
});

test.each(adapters.filter(({ engine }) => engine !== "prometheus"))(
  "another program's page is not $engine's, and the error says what to switch on",
  ({ engine }) => {
    const refused = () =>
      readPages([{ atMs: 0, text: "go_info 1\n" }], queryFor("queue_depth"), engine);
    expect(refused).toThrow(
      /^Cannot read .+: its page has names of that engine, got text\/plain with go_info; check the port and path, or .+ .+$/,
    );
  },
);

test("trtllm-serve's JSON is not its metrics page", () => {
  const json = [{ atMs: 0, text: fixture("trtllm-metrics.json") }];
  expect(() => readPages(json, queryFor("queue_depth"), "trtllm")).toThrow(
    "a page is Prometheus text",
  );
  expect(adapterOf("trtllm")?.path).toBe("/prometheus/metrics");
});
