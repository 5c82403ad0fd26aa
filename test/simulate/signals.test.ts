import { describe, expect, test } from "bun:test";
import { column, type EngineHistory, engineHistory, firstTokenEdges } from "#simulate/history.ts";
import { engineSignals, frontEndSignals, isIdle, waitingMs } from "#simulate/signals.ts";

const intervalMs = 5_000;

/** A history with a scrape each 5 s; `change` runs before each, numbered from 1. */
function scraped(count: number, change: (scrape: number, history: EngineHistory) => void) {
  const history = engineHistory();
  for (let scrape = 1; scrape <= count; scrape += 1) {
    change(scrape, history);
    history.keep(scrape * intervalMs);
  }
  return { history, count: history.count() };
}
const counted = (at: keyof typeof column, by: number) => (_scrape: number, one: EngineHistory) => {
  one.now[column[at]] = (one.now[column[at]] ?? 0) + by;
};

describe("a gauge", () => {
  const scrapes = scraped(10, (scrape, { now }) => {
    now[column.running] = scrape;
    now[column.waiting] = 100;
    now[column.kvShare] = 0.25;
  });
  test("is the newest", () => {
    expect(engineSignals.running_requests?.(scrapes, 0)).toEqual({ kind: "number", value: 10 });
    expect(engineSignals.concurrency?.(scrapes, 0)).toEqual({ kind: "number", value: 110 });
    expect(engineSignals.kv_cache_usage?.(scrapes, 0)).toEqual({ kind: "number", value: 25 });
  });
  test("over a window is the mean of what was scraped in it", () => {
    const mean = engineSignals.running_requests?.(scrapes, 2 * intervalMs);
    expect(mean).toEqual({ kind: "number", value: 9 });
    const all = engineSignals.running_requests?.(scrapes, 600_000);
    expect(all).toEqual({ kind: "number", value: 5.5 });
  });
});

describe("a rate", () => {
  test("takes two scrapes", () => {
    expect(engineSignals.request_rate?.(scraped(1, counted("finished", 5)), 0)).toEqual({
      kind: "pending",
    });
  });
  test("is over a minute unless its window is another", () => {
    const scrapes = scraped(30, (scrape, one) => counted("finished", scrape > 28 ? 65 : 5)(1, one));
    expect(engineSignals.request_rate?.(scrapes, 0)).toEqual({ kind: "number", value: 3 });
    expect(engineSignals.request_rate?.(scrapes, 10_000)).toEqual({ kind: "number", value: 13 });
    // A window of one scrape has none before it.
    expect(engineSignals.request_rate?.(scrapes, 1_000)).toEqual({ kind: "number", value: 13 });
  });
  test("of a front end is of what came, of an engine of what ended", () => {
    const scrapes = scraped(20, counted("arrived", 10));
    expect(frontEndSignals.request_rate?.(scrapes, 0)).toEqual({ kind: "number", value: 2 });
    expect(engineSignals.request_rate?.(scrapes, 0)).toEqual({ kind: "number", value: 0 });
  });
});

describe("a latency", () => {
  test("as a mean has what was counted in the window", () => {
    const scrapes = scraped(20, (_scrape, one) => {
      counted("queueWait", 300)(1, one);
      counted("admitted", 2)(1, one);
    });
    const found = engineSignals.queue_wait_ms?.(scrapes, 0);
    expect(found).toEqual({ kind: "mean", sumMs: 3_600, count: 24 });
  });
  const observing = (perScrape: number) =>
    scraped(100, (_scrape, { observe }) => {
      for (let count = 0; count < perScrape; count += 1)
        observe(column.firstToken, firstTokenEdges, 700);
    });
  const samples = (perScrape: number, signal: "ttft_p50_ms" | "ttft_p95_ms" | "ttft_p99_ms") => {
    const found = engineSignals[signal]?.(observing(perScrape), 0);
    return found?.kind === "quantile" ? found.buckets.at(-1)?.count : undefined;
  };
  test("as a quantile widens its window until there are enough", () => {
    expect(samples(2, "ttft_p95_ms")).toBe(24);
    expect(samples(1, "ttft_p95_ms")).toBe(24);
    expect(samples(1, "ttft_p50_ms")).toBe(12);
    expect(samples(1, "ttft_p99_ms")).toBe(60);
  });
  test("as a quantile has cumulative buckets", () => {
    const found = engineSignals.ttft_p95_ms?.(observing(2), 0);
    const buckets = found?.kind === "quantile" ? found.buckets : [];
    expect(buckets.find(({ le }) => le === 0.5)?.count).toBe(0);
    expect(buckets.find(({ le }) => le === 0.75)?.count).toBe(24);
    expect(buckets.find(({ le }) => le === 640)?.count).toBe(24);
    expect(buckets.at(-1)?.le).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("a queue", () => {
  const lengths = (...all: readonly number[]) =>
    scraped(all.length, (scrape, { now }) => {
      now[column.waiting] = all[scrape - 1] ?? 0;
    });
  test.each([
    ["without a pause", [1, 2, 3], 10_000],
    ["since its last pause", [1, 0, 2, 3], 5_000],
    ["since just now", [0, 1], 0],
    ["not at all", [1, 0], 0],
  ])("has waited %s", (_what, all, expected) => {
    expect(waitingMs(lengths(...all))).toBe(expected);
  });
  test("is idle when nothing is there", () => {
    expect(isIdle(lengths(1, 0))).toBe(true);
    expect(isIdle(lengths(0, 1))).toBe(false);
    expect(isIdle(scraped(1, counted("running", 1)))).toBe(false);
  });
});
