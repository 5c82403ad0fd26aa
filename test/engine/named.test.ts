/** Metrics that a trigger names itself: series, quantiles of any histogram, and ratios. */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { counterWindowMs, widestWindowMs } from "#core/limits.ts";
import { retentionMs } from "#engine/signal/evaluate.ts";
import type { NamedMetric } from "#engine/signal/named.ts";
import { mergedResult, type SignalResult } from "#engine/signal/result.ts";
import { pagesOf, queryFor, readPages, shown, type TimedPage } from "./pages.ts";

describe("a metric by its name", () => {
  const read = (metric: string, more = {}) =>
    shown(readPages(pagesOf("triton.prom"), queryFor({ metric, ...more }), "prometheus").result);

  test("is a rate when its TYPE says counter, whatever its name", () => {
    expect(read("nv_inference_count")).toBe(16);
    expect(read("nv_inference_count", { kind: "gauge" })).toBe(2248);
  });
  test("is a gauge otherwise, reduced as asked", () => {
    expect(read("nv_gpu_utilization")).toBe(0.98);
    expect(read("nv_gpu_utilization", { reduce: "max" })).toBe(0.98);
  });
  test("is the one that is spelled so, and not another of a name like it", () => {
    const lines = ["job:x:sum", "job_x_sum"].map((name) => `# TYPE ${name} gauge`);
    const text = `${lines.join("\n")}\njob:x:sum 5\njob_x_sum 11\nray_job:x:sum 70\n`;
    const readIn = (metric: string) =>
      shown(readPages([{ atMs: 0, text }], queryFor({ metric }), "prometheus").result);
    expect(["job:x:sum", "job_x_sum", "job_x:sum"].map(readIn)).toEqual([5, 11, "[lacking]"]);
  });
  test.each(["requests_bucket", "requests_total", "requests_sum", "requests_count"])(
    "%s is a rate by its name, whatever an exporter without types says",
    (metric) => {
      for (const type of ["", `# TYPE ${metric} untyped\n`, `# TYPE ${metric} unknown\n`]) {
        const page = [10, 20].map((value, at) => ({
          atMs: at * 5_000,
          text: `${type}${metric}{le="1"} ${value}\n`,
        }));
        expect(shown(readPages(page, queryFor({ metric }), "prometheus").result)).toBe(2);
      }
    },
  );
  test("is a rate where the trigger says so", () => {
    const page = [10, 20].map((value, at) => ({ atMs: at * 5_000, text: `jobs_done ${value}\n` }));
    const read = (more: object) =>
      shown(readPages(page, queryFor({ metric: "jobs_done", ...more }), "prometheus").result);
    expect([read({}), read({ kind: "counter" })]).toEqual([20, 2]);
  });
  test("is a quantile of a histogram, in the page's own unit", () => {
    const page = [0, 10].map((count, at) => ({
      atMs: at * 5_000,
      text: `wait_seconds_bucket{le="1"} 0\nwait_seconds_bucket{le="2"} ${count}\nwait_seconds_bucket{le="+Inf"} ${count}\n`,
    }));
    const query = queryFor({ metric: "wait_seconds", reduce: "p50" });
    expect(shown(readPages(page, query, "prometheus").result)).toBe(1.5);
  });
  test.each([{}, { reduce: "max" }] as const)("is unknown while it is below 0: %p", (more) => {
    const page = [{ atMs: 0, text: "jobs_left -1\n" }];
    const { result } = readPages(page, queryFor({ metric: "jobs_left", ...more }), "prometheus");
    expect(result).toEqual({
      reason: "no-samples",
      why: "its jobs_left is -1, which cannot be",
    });
  });
  test("is not made up when the page lacks it", () => {
    expect(read("nv_gpu_power_usage")).toBe("[lacking]");
  });
});

/** One page every 5 s. */
const every5s = (texts: readonly string[]): readonly TimedPage[] =>
  texts.map((text, at) => ({ atMs: at * 5_000, text: `${text}\n` }));
const readNamed = (
  texts: readonly string[],
  named: NamedMetric,
  engine = "prometheus",
  more = {},
) => readPages(every5s(texts), queryFor(named, more), engine).result;
const whyOf = (result: SignalResult) => ("why" in result ? result.why : result.value);

describe("a ratio", () => {
  const gauges = 'used{m="a"} 2\nused{m="b"} 4\nslots{m="a"} 4\nslots{m="b"} 8';
  const counted = (failed: number, all: number) => `failed_total ${failed}\nall_total ${all}`;

  test.each<[string, Partial<NamedMetric>, number]>([
    ["sums by default", {}, 0.5],
    ["means", { reduce: "mean" }, 0.5],
    ["the highest", { reduce: "max" }, 0.5],
    ["sums, the other way around", { metric: "slots", denominator: "used" }, 2],
  ])("of gauges is of %s", (_what, more, expected) => {
    const named = { metric: "used", denominator: "slots", ...more };
    expect(shown(readNamed([gauges], named))).toBe(expected);
  });
  test("reduces each part before it divides", () => {
    const text = 'a{m="x"} 1\na{m="y"} 9\nb{m="x"} 1\nb{m="y"} 3';
    const read = (reduce: "sum" | "max") =>
      shown(readNamed([text], { metric: "a", denominator: "b", reduce }));
    expect([read("sum"), read("max")]).toEqual([2.5, 3]);
  });
  test("of counters is of what they gained", () => {
    const texts = [counted(100, 100), counted(101, 104), counted(101, 110)];
    const named = { metric: "failed_total", denominator: "all_total" };
    expect(shown(readNamed(texts.slice(0, 1), named))).toBe("[pending]");
    expect(shown(readNamed(texts, named))).toBe(0.1);
  });
  test("of a counter and a gauge takes each as it is alone", () => {
    const texts = ["tokens_total 0\nrunning 1", "tokens_total 1000\nrunning 4"];
    const named = { metric: "tokens_total", denominator: "running" };
    expect(shown(readNamed(texts, named))).toBe(50);
  });
  test("takes both for what the trigger says", () => {
    const texts = ["jobs 5\ntries 10", "jobs 10\ntries 30"];
    const named = { metric: "jobs", denominator: "tries" };
    expect(shown(readNamed(texts, named))).toBe(0.333333333);
    expect(shown(readNamed(texts, { ...named, kind: "counter" }))).toBe(0.25);
    const totals = [counted(1, 2), counted(3, 4)];
    const forced = { metric: "failed_total", denominator: "all_total", kind: "gauge" } as const;
    expect(shown(readNamed(totals, forced))).toBe(0.75);
  });
  test("is of the series that have the labels, of both parts", () => {
    const match = [{ label: "m", op: "=~", value: "b|c" }] as const;
    const text = `${gauges}\nslots{m="c"} 8`;
    const named = { metric: "used", denominator: "slots" };
    expect(shown(readNamed([text], named, "prometheus", { match }))).toBe(0.25);
  });
  test("is over the window", () => {
    const texts = ["used 2\nslots 4", "used 4\nslots 4", "used 6\nslots 8"];
    const named = { metric: "used", denominator: "slots" };
    expect(shown(readNamed(texts, named, "prometheus", { windowMs: 10_000 }))).toBe(0.75);
  });
  test("of a part that is not there is none, and says which", () => {
    const named = { metric: "used", denominator: "places" };
    expect(readNamed([gauges], named)).toEqual({
      reason: "lacking",
      why: "its page has no places",
    });
    const match = [{ label: "m", op: "=", value: "c" }] as const;
    const text = `${gauges}\nused{m="c"} 1`;
    const ofC = readNamed([text], { ...named, denominator: "slots" }, "prometheus", { match });
    expect(ofC).toEqual({
      reason: "lacking",
      why: 'its slots has no series with m="c", there is a, b',
    });
  });
  test("of something by 0 is none, and says by what", () => {
    const result = readNamed(["used 3\nslots 0"], { metric: "used", denominator: "slots" });
    expect(result).toEqual({
      reason: "no-samples",
      why: "its slots is 0",
      observations: { kind: "mean", sum: 3, count: 0, scale: 1 },
    });
  });
  test("by NaN is none", () => {
    const result = readNamed(["used 3\nslots NaN"], { metric: "used", denominator: "slots" });
    expect(whyOf(result)).toBe("its slots is NaN");
  });
  test("is over the last five minutes when nothing was counted in the last one", () => {
    const texts = [
      counted(0, 0),
      counted(1, 4),
      ...Array.from({ length: 55 }, () => counted(1, 4)),
    ];
    const named = { metric: "failed_total", denominator: "all_total" };
    expect(shown(readNamed(texts, named))).toBe(0.25);
  });
  test("of several targets is of their sums", () => {
    const read = (used: number, slots: number) =>
      readNamed([`used ${used}\nslots ${slots}`], { metric: "used", denominator: "slots" });
    const [small, large, empty] = [read(1, 1), read(1, 99), read(10, 0)];
    expect([small, large, empty].map(shown)).toEqual([1, 0.0101010101, "[no-samples]"]);
    expect(shown(mergedResult([small, large]) ?? empty)).toBe(0.02);
    expect(shown(mergedResult([small, large, empty]) ?? empty)).toBe(0.12);
    expect(shown(mergedResult([empty, empty]) ?? small)).toBe("[no-samples]");
  });
});

test("an engine's own share of two gauges is over the window too", () => {
  const page = (used: number) =>
    `tgi_batch_max_total_tokens 100\ntgi_batch_current_max_tokens ${used}`;
  const { result } = readPages(
    every5s([page(20), page(40)]),
    queryFor("kv_cache_usage", { windowMs: 5_000 }),
  );
  expect(shown(result)).toBe(30);
});

test("an engine's own share of nothing is unknown, also when nothing runs", () => {
  const text = ["max_total_tokens", "current_max_tokens", "current_size"]
    .map((name) => `tgi_batch_${name} 0\n`)
    .join("");
  const page = [{ atMs: 0, text: `tgi_queue_size 0\n${text}` }];
  const { result } = readPages(page, queryFor("kv_cache_usage"));
  expect("why" in result && result.why).toBe("its tgi_batch_max_total_tokens is 0");
});

test("scrapes are kept for as long as a series may have to stand still", () => {
  const kept = (named: NamedMetric) => retentionMs(queryFor(named), 5_000);
  expect(kept({ metric: "a" })).toBe(counterWindowMs + 10_000);
  expect(kept({ metric: "a", denominator: "b" })).toBe(widestWindowMs + 10_000);
  expect(kept({ metric: "a", reduce: "p50" })).toBe(widestWindowMs + 10_000);
});

describe("where nothing happens", () => {
  const wait = (count: number) =>
    `wait_bucket{le="1"} ${count}\nwait_bucket{le="+Inf"} ${count}\nwait_sum ${count}\nwait_count ${count}`;
  const vllm = (waiting: number | undefined, running: number | undefined) =>
    [
      "vllm:cache_config_info 1",
      ...(waiting === undefined ? [] : [`vllm:num_requests_waiting ${waiting}`]),
      ...(running === undefined ? [] : [`vllm:num_requests_running ${running}`]),
      wait(7),
      "",
    ].join("\n");
  const idle: SignalResult = { value: 0, queueState: "idle" };
  const named: readonly [string, NamedMetric][] = [
    ["a quantile", { metric: "wait", reduce: "p95" }],
    ["a ratio of counters", { metric: "wait_sum", denominator: "wait_count" }],
  ];

  test.each(named)("%s is 0 at an engine that says it is idle", (_what, metric) => {
    const text = vllm(0, 0);
    expect(readNamed([text, text], metric, "vllm")).toEqual(idle);
  });
  test.each(named)("%s is unknown while something waits or runs, however long", (_what, metric) => {
    for (const load of [vllm(1, 0), vllm(0, 1), vllm(2, 2)])
      expect(shown(readNamed(Array(80).fill(load), metric, "vllm"))).toBe("[no-samples]");
  });
  test.each(named)("%s is 0 after five minutes of a page that does not say", (_what, metric) => {
    const scrapes = widestWindowMs / 5_000;
    const still = (count: number) => readNamed(Array(count).fill(wait(7)), metric);
    expect(shown(still(scrapes))).toBe("[no-samples]");
    expect(still(scrapes + 1)).toEqual(idle);
    expect(readNamed(Array(scrapes + 1).fill(vllm(0, undefined)), metric, "vllm")).toEqual(idle);
  });
  test.each(named)("%s of a page on which something happened is not idle", (_what, metric) => {
    const texts = [wait(6), ...Array(widestWindowMs / 5_000).fill(wait(7))];
    expect(readNamed(texts, metric)).not.toEqual(idle);
  });
  test("a quantile of too few observations is 0 at an idle engine, and unknown elsewhere", () => {
    const few = (load: number) => [vllm(0, load), vllm(0, load).replaceAll(" 7", " 9")];
    const metric: NamedMetric = { metric: "wait", reduce: "p95" };
    expect(readNamed(few(0), metric, "vllm")).toEqual(idle);
    expect(shown(readNamed(few(1), metric, "vllm"))).toBe("[no-samples]");
    expect(shown(readNamed([wait(7), wait(9)], metric))).toBe("[no-samples]");
  });
  test("what failed for none that was tried is unknown at an idle engine too", () => {
    const texts = [0, 3].map((failed) => `${vllm(0, 0)}failed_total ${failed}\nall_total 5`);
    const metric = { metric: "failed_total", denominator: "all_total" };
    expect(shown(readNamed(texts, metric, "vllm"))).toBe("[no-samples]");
  });
  test("a quantile of a histogram that observed nothing yet is 0 in the same way", () => {
    const declared = "# TYPE wait histogram\n";
    const load = (running: number) =>
      `${declared}vllm:num_requests_waiting 0\nvllm:num_requests_running ${running}`;
    const read = (running: number) =>
      readNamed([load(running), load(running)], { metric: "wait", reduce: "p95" }, "vllm");
    expect(read(0)).toEqual(idle);
    expect(shown(read(1))).toBe("[no-samples]");
  });
  test("a ratio of gauges is 0 in the same way, and not while there is something by 0", () => {
    const metric = { metric: "jobs", denominator: "workers" };
    const still = (text: string) => readNamed(Array(62).fill(text), metric);
    expect(still("jobs 0\nworkers 0")).toEqual(idle);
    expect(shown(still("jobs 1\nworkers 0"))).toBe("[no-samples]");
  });
  test("a plain series is what it is", () => {
    const text = "jobs 0";
    expect(readNamed([text, text], { metric: "jobs" })).toEqual({ value: 0 });
  });
});

describe("a quantile", () => {
  const histogram = (name: string, count: number) =>
    `# TYPE ${name} histogram\n${name}_bucket{le="1"} 0\n${name}_bucket{le="2"} ${count}\n${name}_bucket{le="+Inf"} ${count}\n${name}_sum 9\n${name}_count ${count}`;

  test.each(["wait", "wait_bucket"])("is of a histogram that is named %s", (metric) => {
    const texts = [histogram("wait", 0), histogram("wait", 10)];
    expect(shown(readNamed(texts, { metric, reduce: "p50" }))).toBe(1.5);
  });
  test("is of a histogram whose own name ends in _bucket", () => {
    const texts = [histogram("size_bucket", 0), histogram("size_bucket", 10)];
    expect(shown(readNamed(texts, { metric: "size_bucket", reduce: "p50" }))).toBe(1.5);
  });

  const files = readdirSync(new URL("../fixtures/engines", import.meta.url));
  const histograms = files.flatMap((file) =>
    [
      ...new Set(pagesOf(file).flatMap(({ text }) => text.match(/^[\w:]+(?=_bucket\{)/gm) ?? [])),
    ].map((name) => [file, name] as const),
  );
  test("is tried of the histograms of many engines", () => {
    expect(new Set(histograms.map(([file]) => file)).size).toBeGreaterThan(10);
  });
  test.each(histograms)("is of any histogram of a page: in %s of %s", (file, name) => {
    const read = (metric: string) =>
      shown(readPages(pagesOf(file), queryFor({ metric, reduce: "p50" }), "prometheus").result);
    expect(read(`${name}_bucket`)).toBe(read(name));
    expect(read(name)).not.toBe("[lacking]");
    expect(read(name)).not.toBe("[refused]");
  });
});

describe("what makes no sense is refused with what to do:", () => {
  const summary = [
    "# TYPE wait summary",
    'wait{quantile="0.5"} 1',
    'wait{quantile="0.9"} 3',
    "wait_sum 40",
    "wait_count 20",
  ].join("\n");
  const histogram =
    '# TYPE wait histogram\nwait_bucket{le="1"} 1\nwait_bucket{le="+Inf"} 2\nwait_count 2';
  const ofQuantile = [{ label: "quantile", op: "=", value: "0.9" }] as const;

  test.each<[string, string, NamedMetric, string]>([
    [
      "another quantile of a summary",
      summary,
      { metric: "wait", reduce: "p95" },
      'its wait is a summary, of which no other quantiles can be made: choose one with engineLabels quantile="…", of 0.5, 0.9, and engineReduce max',
    ],
    [
      "all quantiles of a summary",
      summary,
      { metric: "wait" },
      'its wait is a summary: choose one of its quantiles with engineLabels quantile="…", of 0.5, 0.9',
    ],
    [
      "a summary without a TYPE",
      summary.slice(summary.indexOf("\n") + 1),
      { metric: "wait", denominator: "wait_count" },
      'its wait is a summary: choose one of its quantiles with engineLabels quantile="…", of 0.5, 0.9',
    ],
    [
      "a histogram without a quantile",
      histogram,
      { metric: "wait" },
      "its wait is a histogram: choose engineReduce p50, p90, p95, p99, or name its wait_count or wait_sum",
    ],
    [
      "a histogram in a ratio",
      `${histogram}\njobs 1`,
      { metric: "jobs", denominator: "wait" },
      "its wait is a histogram: choose engineReduce p50, p90, p95, p99, or name its wait_count or wait_sum",
    ],
    [
      "all buckets added up",
      histogram,
      { metric: "wait_bucket" },
      'its wait_bucket counts an observation in every bucket above it: choose one with engineLabels le="…", or engineReduce p50, p90, p95, p99',
    ],
    [
      "a quantile of a gauge",
      "# TYPE jobs gauge\njobs 3",
      { metric: "jobs", reduce: "p90" },
      "its jobs is a gauge, and engineReduce p90 is of a histogram",
    ],
    [
      "a quantile of a counter",
      "# TYPE jobs counter\njobs 3",
      { metric: "jobs", reduce: "p90" },
      "its jobs is a counter, and engineReduce p90 is of a histogram",
    ],
    [
      "the highest of counters",
      "# TYPE jobs counter\njobs 3",
      { metric: "jobs", reduce: "max" },
      "its jobs is a counter, whose series add up: engineReduce must be sum, got max",
    ],
    [
      "the mean of counters in a ratio",
      "used 3\njobs_total 3",
      { metric: "used", denominator: "jobs_total", reduce: "mean" },
      "its jobs_total is a counter, whose series add up: engineReduce must be sum, got mean",
    ],
  ])("%s", (_what, text, metric, why) => {
    expect(readNamed([text, text], metric)).toEqual({ reason: "refused", why });
  });

  test("a summary's quantile is read where it is chosen, and not added to others", () => {
    const read = (text: string, reduce?: "max" | "mean") =>
      readNamed([text], { metric: "wait", reduce }, "prometheus", { match: ofQuantile });
    expect(shown(read(summary))).toBe(3);
    const two = 'wait{m="a",quantile="0.9"} 3\nwait{m="b",quantile="0.9"} 5';
    expect(whyOf(read(two))).toBe(
      "its wait has 2 series, whose quantiles do not add up: engineReduce must be max or mean",
    );
    expect([read(two, "max"), read(two, "mean")].map(shown)).toEqual([5, 4]);
  });
  test("what the page lacks is not said to be a counter", () => {
    const named = { metric: "jobs_total", reduce: "max" } as const;
    expect(whyOf(readNamed(["jobs 3"], named))).toBe("its page has no jobs_total");
  });
  test("one bucket is read where it is chosen", () => {
    const match = [{ label: "le", op: "=", value: "1" }] as const;
    const text = histogram.replace("} 1", "} 6");
    const result = readNamed([histogram, text], { metric: "wait_bucket" }, "prometheus", { match });
    expect(shown(result)).toBe(1);
  });
  test("a counter's parts of a summary are read", () => {
    const later = summary
      .replace("wait_sum 40", "wait_sum 50")
      .replace("wait_count 20", "wait_count 24");
    const named = { metric: "wait_sum", denominator: "wait_count" };
    expect(shown(readNamed([summary, later], named))).toBe(2.5);
  });
});

test("several targets of which some are made of other observations are not put together", () => {
  const buckets: SignalResult = {
    value: 1,
    observations: { kind: "buckets", q: 0.5, scale: 1, buckets: [{ le: Infinity, count: 9 }] },
  };
  const mean: SignalResult = {
    value: 1,
    observations: { kind: "mean", sum: 3, count: 3, scale: 1 },
  };
  const refused = {
    reason: "refused",
    why: "some engines give no observations, or others than the rest",
  } as const;
  expect(mergedResult([buckets, mean])).toEqual(refused);
  expect(mergedResult([mean, { value: 3 }])).toEqual(refused);
  expect(mergedResult([{ value: 3 }, { value: 0, queueState: "idle" }])).toEqual(refused);
  expect(mergedResult([{ value: 3 }, { value: 4 }])).toBeUndefined();
});
