import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { bucketLayoutsMax } from "#core/limits.ts";
import type { SignalQuery } from "#engine/signal/query.ts";
import { mergedResult, type SignalResult } from "#engine/signal/result.ts";
import { pagesOf, queryFor, readPages, shown, type TimedPage } from "./pages.ts";

const idle = "vllm:num_requests_waiting 0\nvllm:num_requests_running 0\n";
/** One page every 5 s. */
const every5s = (texts: readonly string[], base = idle): readonly TimedPage[] =>
  texts.map((text, at) => ({ atMs: at * 5_000, text: `${base}${text}\n` }));
const requests = (value: number, label = "a") =>
  `vllm:request_success_total{finished_reason="${label}"} ${value}`;
const rateOf = (texts: readonly string[], more = {}) =>
  shown(readPages(every5s(texts), queryFor("request_rate", more)).result);

describe("a rate", () => {
  test("needs two scrapes", () => {
    expect(rateOf([requests(10)])).toBe("[pending]");
  });
  test("is over the window: what was gained across its start counts by the part inside", () => {
    // Scrapes at 0, 5, 10 and 15 s: a window of 12 s starts at 3 s, after three fifths of the 30.
    const texts = [requests(0), requests(30), requests(30), requests(30)];
    expect(rateOf(texts, { windowMs: 12_000 })).toBe(1);
    expect(rateOf(texts, { windowMs: 10_000 })).toBe(0);
    expect(rateOf(texts, { windowMs: 15_000 })).toBe(2);
  });
  test("of a burst does not depend on whether a scrape came early or late", () => {
    const burst = (jitterMs: number) => {
      const times = [0, 5_000, 10_000 - jitterMs, 15_000 + jitterMs, 20_000 - jitterMs];
      const pages = times.map((atMs) => ({
        atMs,
        // One hundred requests in the sixth to the eighth second, then none.
        text: `${idle}${requests(Math.round(Math.min(Math.max(atMs - 5_000, 0) / 30, 100)))}\n`,
      }));
      return Number(shown(readPages(pages, queryFor("request_rate", { windowMs: 15_000 })).result));
    };
    const steady = burst(0);
    for (const jitterMs of [-300, -50, 50, 300])
      expect(Math.abs(burst(jitterMs) - steady) / steady).toBeLessThan(0.1);
  });
  test("is what was gained over the time between, not extrapolated", () => {
    expect(rateOf([requests(10), requests(10), requests(25)])).toBe(1.5);
  });
  test("counts a reset from 0", () => {
    expect(rateOf([requests(100), requests(110), requests(5)])).toBe(1.5);
  });
  test("sees a reset of one series that their sum would hide", () => {
    const first = `${requests(1000, "a")}\n${requests(0, "b")}`;
    const second = `${requests(10, "a")}\n${requests(2000, "b")}`;
    expect(rateOf([first, second])).toBe(2010 / 5);
  });
  test("counts a series from 0 that the page before did not have", () => {
    const second = `${requests(12, "a")}\n${requests(5, "b")}`;
    expect(rateOf([requests(2, "a"), second])).toBe(3);
  });
  test("knows nothing of what a series counted before the first page", () => {
    expect(rateOf([requests(5000, "b"), requests(5010, "b")])).toBe(2);
  });
  test("counts a new series whole when the engine started inside the window", () => {
    const pages = every5s([requests(2, "a"), `${requests(12, "a")}\n${requests(5, "b")}`]);
    const young = readPages(pages, queryFor("request_rate"), "vllm", -1_000);
    // 2 of a before the first scrape, 10 of a after it and 5 of b, in six seconds.
    expect(shown(young.result)).toBeCloseTo(17 / 6, 6);
    // A restart between the scrapes: a fell and counts anew, b is new.
    const restarted = readPages(
      every5s([requests(20, "a"), `${requests(12, "a")}\n${requests(5, "b")}`]),
      queryFor("request_rate"),
      "vllm",
      1_000,
    );
    expect(shown(restarted.result)).toBe(17 / 5);
  });
  test("keeps what a series gained before it went", () => {
    const both = (a: number, b: number) => `${requests(a, "a")}\n${requests(b, "b")}`;
    expect(rateOf([both(0, 0), both(5, 10), requests(10, "a")])).toBe(2);
  });
  test("leaves out scrapes before the window", () => {
    const texts = [requests(0), ...Array.from({ length: 20 }, () => requests(1000))];
    expect(rateOf(texts, { windowMs: 30_000 })).toBe(0);
  });
  test("is 0 from the first event on where the exporter is lazy", () => {
    const fresh = "tgi_batch_max_total_tokens 32000";
    const failures = (value: number) => `${fresh}\ntgi_request_failure{err="overloaded"} ${value}`;
    const pages = [fresh, fresh, failures(3)].map((text, at) => ({
      atMs: at * 5_000,
      text: `${text}\n`,
    }));
    const { results } = readPages(pages, queryFor("error_rate"));
    expect(results.map(shown)).toEqual(["[pending]", 0, 0.3]);
  });

  test("equals all that was ever added, wherever the counter resets", () => {
    const gains = fc.array(fc.nat(50), { minLength: 2, maxLength: 10 });
    fc.assert(
      fc.property(gains, fc.nat(9), (each, resetAt) => {
        let value = 100;
        const texts = each.map((gain, at) => {
          // A restart starts from 0 and counts what came since.
          value = at === resetAt && at > 0 ? gain : value + gain;
          return requests(value);
        });
        const hidden = resetAt > 0 && resetAt < each.length && (each[resetAt] ?? 0) > 100;
        fc.pre(!hidden);
        const gained = each.slice(1).reduce((sum, gain) => sum + gain, 0);
        const perSecond = gained / ((each.length - 1) * 5);
        expect(rateOf(texts)).toBeCloseTo(perSecond, 6);
      }),
    );
  });
});

const bounds = [0.1, 0.5, 1] as const;
function ttft(
  counts: readonly number[],
  le: readonly (number | string)[] = [...bounds, "+Inf"],
  engine = "0",
) {
  return le
    .map(
      (bound, at) =>
        `vllm:time_to_first_token_seconds_bucket{engine="${engine}",le="${bound}"} ${counts[at]}`,
    )
    .join("\n");
}
const p50 = (texts: readonly string[], base?: string) =>
  readPages(every5s(texts, base), queryFor("ttft_p50_ms"));

describe("a quantile", () => {
  test("is of the window, not of the engine's life", () => {
    const { result } = p50([ttft([1000, 1000, 1000, 1000]), ttft([1000, 1000, 1010, 1010])]);
    expect(shown(result)).toBe(750);
  });
  test("takes a reset of one bucket for a reset of all", () => {
    const { result } = p50([ttft([5, 100, 100, 100]), ttft([6, 6, 16, 16])]);
    expect(shown(result)).toBe(600);
  });
  test("is over the bounds of all layouts, those that lack one spread over their own", () => {
    const old = ttft([0, 0, 0, 0]);
    const now = [
      `${old}\n${ttft([0, 0], [0.5, "+Inf"], "1")}`,
      `${ttft([4, 10, 10, 10])}\n${ttft([10, 10], [0.5, "+Inf"], "1")}`,
    ];
    // Of twenty, six are below 0.1 s: four that were seen there, and a fifth of the other ten.
    expect(shown(p50(now).result)).toBeCloseTo(100 + (400 * 4) / 14, 4);
  });
  test("of buckets with more sets of bounds than can be added up is refused", () => {
    const texts = (sets: number) =>
      [0, 10].map((count) =>
        Array.from({ length: sets }, (_, at) =>
          ttft([count, count], [at + 1, "+Inf"], `${at}`),
        ).join("\n"),
      );
    expect(shown(p50(texts(bucketLayoutsMax)).result)).toBeNumber();
    const { result } = p50(texts(bucketLayoutsMax + 1));
    expect("why" in result && result.why).toBe(
      "its buckets have 65 different sets of bounds, and at most 64 are put together; choose among them with engineLabels",
    );
  });
  test("of a thousand histograms with the same bounds is of all of them", () => {
    const texts = [0, 10].map((count) =>
      Array.from({ length: 1_000 }, (_, at) =>
        ttft([0, count, count], [0.2, 0.4, "+Inf"], `${at}`),
      ).join("\n"),
    );
    expect(shown(p50(texts).result)).toBe(300);
  });
  test("after a restart with other bounds is of what came since", () => {
    const before = ttft([500, 700, 900, 1000]);
    const restarted = (count: number) => ttft([0, count, count], [0.2, 0.4, "+Inf"]);
    expect(shown(p50([before, restarted(10)]).result)).toBe(300);
    // The old bounds stay in the window, and change nothing.
    expect(shown(p50([before, before, restarted(10), restarted(20)]).result)).toBe(300);
  });
  test("of too few observations is none while something runs", () => {
    const busy = "vllm:num_requests_waiting 0\nvllm:num_requests_running 3\n";
    expect(shown(p50([ttft([0, 0, 0, 0]), ttft([4, 4, 4, 4])], busy).result)).toBe("[no-samples]");
  });
  test("widens its window up to five minutes", () => {
    const texts = [
      ttft([0, 0, 0, 0]),
      ttft([0, 5, 5, 5]),
      ...Array.from({ length: 40 }, () => ttft([0, 5, 5, 5])),
    ];
    expect(shown(p50(texts).result)).toBe(300);
  });
  test("of an idle engine is 0", () => {
    const { result } = p50([ttft([9, 9, 9, 9]), ttft([9, 9, 9, 9])]);
    expect(result).toEqual({ value: 0, queueState: "idle" });
  });
  test("of an engine that is stuck grows with the wait", () => {
    const stuck = "vllm:num_requests_waiting 4\nvllm:num_requests_running 8\n";
    const texts = Array.from({ length: 5 }, () => ttft([9, 9, 9, 9]));
    const { results } = p50(texts, stuck);
    expect(results.map(shown)).toEqual(["[pending]", 5000, 10000, 15000, 20000]);
  });
  test("of an engine that gets stuck again counts from when its queue was last empty", () => {
    const load = (waiting: number) =>
      `vllm:num_requests_waiting ${waiting}\nvllm:num_requests_running 8\n`;
    const pages = [4, 4, 0, 4, 4].map((waiting, at) => ({
      atMs: at * 5_000,
      text: `${load(waiting)}${ttft([9, 9, 9, 9])}\n`,
    }));
    const { results } = readPages(pages, queryFor("ttft_p50_ms"));
    expect(results.map(shown)).toEqual(["[pending]", 5_000, "[no-samples]", "[no-samples]", 5_000]);
  });
  test("counts no wait from before it knew of the queue", () => {
    const observed = `${ttft([9, 9, 9, 9])}\nvllm:num_requests_running 8\n`;
    const pages = ["", ...["4", "4"].map((waiting) => `vllm:num_requests_waiting ${waiting}\n`)];
    const { results } = readPages(
      pages.map((queue, at) => ({ atMs: at * 5_000, text: `${queue}${observed}` })),
      queryFor("ttft_p50_ms"),
    );
    expect(results.map(shown)).toEqual(["[pending]", "[no-samples]", 5_000]);
  });
  test("is not 0 when it does not know whether anything waits", () => {
    const pages = every5s(
      [ttft([9, 9, 9, 9]), ttft([9, 9, 9, 9])],
      "vllm:num_requests_running 0\n",
    );
    expect(shown(readPages(pages, queryFor("ttft_p50_ms")).result)).toBe("[no-samples]");
  });
});

/** 10, 20 and 10 observations below three bounds. */
const buckets = (...edges: readonly number[]) =>
  [...edges, Infinity].map((le, at) => ({ le, count: [10, 30, 40, 40][at] ?? 0 }));

describe("several targets", () => {
  const target = (late: readonly number[], base?: string) =>
    p50([ttft([0, 0, 0, 0]), ttft(late)], base).result;

  test("have one quantile of all their observations, not a mean of theirs", () => {
    const fast = target([90, 90, 90, 90]);
    const slow = target([0, 0, 10, 10]);
    expect(shown(mergedResult([fast, slow]) ?? fast)).toBeCloseTo(55.6, 1);
  });
  test("have enough observations together though each has too few", () => {
    const busy = "vllm:num_requests_waiting 0\nvllm:num_requests_running 3\n";
    const few = target([0, 3, 3, 3], busy);
    expect(shown(few)).toBe("[no-samples]");
    expect(shown(mergedResult([few, few]) ?? few)).toBe(300);
  });
  test("of which some are idle have the others' latency, or none", () => {
    const rest = target([0, 0, 0, 0]);
    expect(shown(rest)).toBe(0);
    const busy = "vllm:num_requests_waiting 0\nvllm:num_requests_running 3\n";
    const few = target([0, 3, 3, 3], busy);
    expect(shown(mergedResult([rest, target([0, 10, 10, 10])]) ?? rest)).toBe(300);
    expect(shown(mergedResult([rest, few]) ?? rest)).toBe("[no-samples]");
    expect(shown(mergedResult([rest, rest]) ?? few)).toBe(0);
    expect(mergedResult([{ value: 0, queueState: "idle" }])).toEqual({
      value: 0,
      queueState: "idle",
    });
  });
  test("of which one is stuck are at least as slow as its wait", () => {
    const stuck = target(
      [0, 0, 0, 0],
      "vllm:num_requests_waiting 4\nvllm:num_requests_running 8\n",
    );
    expect(mergedResult([stuck, target([90, 90, 90, 90])])).toEqual({
      value: 5000,
      queueState: "stalled",
    });
  });
  test("of which one is idle and one is stuck are as slow as that one's wait", () => {
    const stuck: SignalResult = { value: 5_000, queueState: "stalled" };
    const idle: SignalResult = { value: 0, queueState: "idle" };
    for (const results of [
      [stuck, idle],
      [idle, stuck],
    ])
      expect(mergedResult(results)).toEqual(stuck);
  });
  test("have one quantile though one counts in seconds and one in milliseconds", () => {
    const inSeconds: SignalResult = {
      value: 500,
      observations: { kind: "buckets", q: 0.5, scale: 1_000, buckets: buckets(0.5, 1, 2) },
    };
    const inMs: SignalResult = {
      value: 500,
      observations: { kind: "buckets", q: 0.5, scale: 1, buckets: buckets(500, 1_000, 2_000) },
    };
    for (const results of [
      [inSeconds, inMs],
      [inMs, inSeconds],
    ]) {
      const merged = mergedResult(results);
      expect(merged && shown(merged)).toBe(750);
      expect(merged?.observations).toMatchObject({
        kind: "buckets",
        buckets: [{ count: 20 }, { count: 60 }, { count: 80 }, { count: 80 }],
      });
    }
  });
  test("of which one has no bounds for what is slow are not as slow as another's last bound", () => {
    const observed = (
      q: number,
      ...counts: readonly (readonly [number, number])[]
    ): SignalResult => {
      const buckets = counts.map(([le, count]) => ({ le, count }));
      return { value: 1, observations: { kind: "buckets", q, scale: 1, buckets } };
    };
    const merged = (q: number) => {
      const older = observed(q, [1, 90], [2, 90], [Infinity, 100]);
      const newer = observed(q, [1, 100], [2, 100], [5, 100], [60, 100], [Infinity, 100]);
      const unbounded = observed(q, [Infinity, 100]);
      return [mergedResult([older, newer]), mergedResult([newer, unbounded])].map(
        (result) => result && shown(result),
      );
    };
    // The 198th of 200 is the eighth of the ten that took longer than 2, and than nobody knows what.
    expect(merged(0.99)[0]).toBe(4.4);
    expect(merged(0.99)[1]).toBe(60);
    expect(merged(0.95)[0]).toBe(1);
    const [fine, coarse] = [
      observed(0.75, [1, 10], [2, 20], [Infinity, 20]),
      observed(0.75, [1.5, 10], [Infinity, 10]),
    ];
    // Below 1 are 10 and two thirds of the other 10; below 1.5 are 15 of the one and all of the other.
    expect(shown(mergedResult([fine, coarse]) ?? fine)).toBe(1.35);
  });
  test("with gauges are left to the caller", () => {
    expect(mergedResult([{ value: 3 }, { value: 4 }])).toBeUndefined();
  });
});

test("a gauge over a window is its mean", () => {
  const pages = [2, 4, 9].map((value, at) => ({
    atMs: at * 5_000,
    text: `vllm:num_requests_waiting ${value}\n`,
  }));
  expect(shown(readPages(pages, queryFor("queue_depth", { windowMs: 10_000 })).result)).toBe(5);
  expect(shown(readPages(pages, queryFor("queue_depth", { windowMs: 5_000 })).result)).toBe(6.5);
  expect(shown(readPages(pages, queryFor("queue_depth")).result)).toBe(9);
});

test("a mean is of the first counter that has its counter of events", () => {
  const page = (atMs: number, sum: number, count: number) => ({
    atMs,
    text: `vllm:num_requests_waiting 0\nvllm:request_queue_time_seconds_sum 1\nvllm:time_in_queue_requests_sum ${sum}\nvllm:time_in_queue_requests_count ${count}\n`,
  });
  const { result } = readPages([page(0, 0, 0), page(5_000, 3, 10)], queryFor("queue_wait_ms"));
  expect(shown(result)).toBe(300);
});

test("a matcher takes a label that a series lacks for the empty text", () => {
  const text = 'vllm:num_requests_waiting 7\nvllm:num_requests_waiting{tenant="a"} 2\n';
  const read = (op: "=" | "!=", value: string) => {
    const query = queryFor("queue_depth", { match: [{ label: "tenant", op, value }] });
    return shown(readPages([{ atMs: 0, text }], query).result);
  };
  expect(read("=", "")).toBe(7);
  expect(read("!=", "")).toBe(2);
  expect(read("!=", "a")).toBe(7);
  expect(read("=", "a")).toBe(2);
});

test("a gauge that left the page is not its last value", () => {
  const pages = [
    { atMs: 0, text: "vllm:num_requests_waiting 3\n" },
    { atMs: 5_000, text: "vllm:num_requests_running 3\n" },
  ];
  expect(shown(readPages(pages, queryFor("queue_depth")).result)).toBe("[lacking]");
});

test("the mean wait of several targets is over all their requests", () => {
  const wait = (us: number, requests: number) =>
    readPages(
      [0, 1].map((at) => ({
        atMs: at * 5_000,
        text: `nv_inference_queue_duration_us{model="m"} ${us * at}\nnv_inference_request_success{model="m"} ${requests * at}\n`,
      })),
      queryFor("queue_wait_ms"),
    ).result;
  const [few, many] = [wait(100_000, 1), wait(900_000, 99)];
  expect([shown(few), shown(many)]).toEqual([100, 9.09090909]);
  expect(shown(mergedResult([few, many]) ?? few)).toBe(10);
  expect(shown(mergedResult([wait(0, 0), wait(0, 0)]) ?? few)).toBe("[no-samples]");
});

describe("a number that is none", () => {
  const read = (text: string, signal: "queue_depth" | "kv_cache_usage" | "request_rate") =>
    readPages(
      [0, 1].map((at) => ({ atMs: at * 5_000, text })),
      queryFor(signal),
    ).result;
  const unusable = (name: string, value: string): SignalResult => ({
    reason: "no-samples",
    why: `its ${name} is ${value}`,
  });

  test.each(["NaN", "+Inf", "-Inf"])("%s is told, and is not 0 where absence is", (value) => {
    const shownAs = String(Number(value.replace("Inf", "Infinity")));
    const tgi = `tgi_batch_max_total_tokens 32000\ntgi_queue_size ${value}\n`;
    expect(read(tgi, "queue_depth")).toEqual(unusable("tgi_queue_size", shownAs));
    const tei = `te_queue_size ${value}\nte_request_count 1\n`;
    expect(read(tei, "queue_depth")).toEqual(unusable("te_queue_size", shownAs));
    const vllm = `vllm:request_success_total ${value}\nvllm:num_requests_running 0\n`;
    expect(read(vllm, "request_rate")).toEqual(unusable("vllm:request_success_total", shownAs));
  });
  test("of one rank is not left out of the others' mean", () => {
    const text =
      'vllm:kv_cache_usage_perc{engine="0"} 0.5\nvllm:kv_cache_usage_perc{engine="1"} NaN\n';
    expect(read(text, "kv_cache_usage")).toEqual(unusable("vllm:kv_cache_usage_perc", "NaN"));
  });
  test("is not the 0 that a counter began with", () => {
    const pages = ["NaN", "900", "910"].map((value, at) => ({
      atMs: at * 5_000,
      text: `${idle}${`vllm:request_success_total ${value}`}\n`,
    }));
    expect(shown(readPages(pages, queryFor("request_rate")).result)).toBe(1);
  });
});

test("a gauge that an engine declares and has not set is to come, and is not 0", () => {
  for (const name of ["vllm:num_requests_waiting", "sglang:num_queue_reqs"]) {
    const other = name.startsWith("vllm") ? "vllm:num_requests_running" : "sglang:num_running_reqs";
    const text = `# TYPE ${name} gauge\n${other} 1\n`;
    const { result } = readPages([{ atMs: 0, text }], queryFor("queue_depth"));
    expect(result).toEqual({
      reason: "pending",
      why: `its page declares ${name} and has not set it yet`,
    });
  }
});

test("a name that another version has is not 0 for ever", () => {
  const pages = [
    "tgi_request_count 5\ntgi_request_queue_duration_count 5\ntgi_queue_length 9\n",
    "te_request_count 5\nte_queue_length 9\n",
    "llm_d_epp_ready_endpoints 3\nllm_d_epp_request_total 3\nllm_d_epp_queue_length 9\n",
    "interceptor_concurrency 9\n",
    "nv_inference_count 5\nnv_inference_queue_length 9\n",
    "vllm:current_qps 1\nvllm:inflight 9\n",
    "trtllm_request_success_total 3\ntrtllm_queue_length 9\n",
    "dynamo_frontend_inflight 9\n",
  ];
  const match = ["route_name", "route_namespace"].map(
    (label) => ({ label, op: "=", value: "a" }) as const,
  );
  for (const text of pages)
    for (const signal of ["queue_depth", "concurrency"] as const) {
      const { result } = readPages(
        [{ atMs: 0, text }],
        queryFor(signal, { match: text.startsWith("inter") ? match : [] }),
      );
      expect([text, shown(result)]).toEqual([text, expect.stringMatching(/lacking|not-exported/)]);
    }
});

test("the first request to a front end is a rate, and not a start without a past", () => {
  const { results } = readPages(
    [
      ...pagesOf("vllm-router-fresh.prom"),
      {
        atMs: 61_000,
        text: 'vllm:num_incoming_requests_total{model="llama"} 1\nvllm:current_qps{server="a"} 0\n',
      },
    ].map(({ text }, at) => ({ atMs: at * 1_000, text })),
    queryFor("request_rate"),
    "vllm-router",
  );
  expect(results.map(shown)).toEqual(["[pending]", 0, 0.5]);
});

test("a new label set of a counter that the trigger names begins at 0", () => {
  const page = (...models: readonly string[]) =>
    models.map((model) => `jobs_total{model="${model}"} 4\n`).join("");
  const read = (match: SignalQuery["match"]) =>
    readPages(
      [page("a"), page("a", "b")].map((text, at) => ({ atMs: at * 5_000, text })),
      queryFor({ metric: "jobs_total" }, { match }),
      "prometheus",
    ).results.map(shown);
  expect(read([])).toEqual(["[pending]", 0.8]);
  expect(read([{ label: "model", op: "=", value: "b" }])).toEqual(["[pending]", 0.8]);
});
