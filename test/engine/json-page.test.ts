/** Numbers of pages in JSON, through a real socket. */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "#core/clock.ts";
import { engineJsonBytesMax } from "#core/limits.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import { engineScraper } from "#engine/scrape/scraper.ts";
import type { ScrapeTarget } from "#engine/scrape/target.ts";
import type { JsonReducer } from "#metric/engines.ts";
import { until } from "../support/until.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Page {
  body: string;
  type?: string;
}

/** Reads a page that may change while it is read. */
function reader(page: Page, path: string, reduce: JsonReducer = "sum", windowMs = 0) {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () =>
      new Response(page.body, { headers: { "content-type": page.type ?? "application/json" } }),
  });
  let ends = 0;
  const scraper = engineScraper({
    clock: systemClock(),
    log: () => {},
    random: () => 0,
    rules: { allow: ["127.0.0.1"], clusterDomain: "cluster.local", resolve: async () => [] },
    readFile: () => Promise.reject(new Error("no file")),
    intervalMs: 5,
    gatewayMs: 5,
    scraped: () => {
      ends += 1;
    },
  });
  cleanups.push(() => {
    scraper.stop();
    void server.stop(true);
  });
  const target: ScrapeTarget = {
    at: { url: `http://127.0.0.1:${server.port}/status`, namespace: "shop" },
    engine: "json",
    json: { path, reduce },
  };
  const query = { signal: { metric: path, kind: "gauge" }, windowMs, match: [] } as const;
  return {
    /** After a scrape that began now. */
    now: async (): Promise<EngineReading> => {
      scraper.read(target, query);
      const from = ends;
      await until(() => ends >= from + 2);
      return scraper.read(target, query);
    },
    scraper,
    port: server.port,
  };
}

const read = async (body: unknown, path: string, reduce?: JsonReducer) =>
  outcome(await reader({ body: JSON.stringify(body) }, path, reduce).now());

function outcome(reading: EngineReading): number | string {
  return reading.state === "known"
    ? reading.value
    : `${reading.fault.code}: ${reading.fault.message}`;
}

const models = { models: [{ size_vram: 5 }, { size_vram: 7 }] };

test.each<[path: string, page: unknown, reduce: JsonReducer | undefined, value: number]>([
  ["$.queue", { queue: 3 }, undefined, 3],
  ["$", 4, undefined, 4],
  ["$.models[*].size_vram", models, undefined, 12],
  ["$.models[*].size_vram", models, "mean", 6],
  ["$.models[*].size_vram", models, "max", 7],
  ["$.models[*]", models, "count", 2],
  ["$.models[*]", { models: [] }, "count", 0],
  ["$.models[*].size_vram", { models: [] }, "sum", 0],
  ["$.models[?@.size_vram>6]", models, "count", 1],
  ["$[?@.is_processing==true]", [{ is_processing: false }], "count", 0],
])("%s of %j by %s is %d", async (path, page, reduce, value) => {
  expect(await read(page, path, reduce)).toBe(value);
});

describe("is unknown and never 0:", () => {
  test.each<[path: string, page: unknown, reduce: JsonReducer | undefined, problem: string]>([
    [
      "$.queue",
      {},
      "sum",
      "signal-unavailable: Cannot read $.queue of URL: its page has no $.queue; correct engineJsonPath or enginePath",
    ],
    [
      "$.models[*]",
      { error: "busy" },
      "count",
      "signal-unavailable: Cannot read $.models[*] of URL: its page has no $.models; correct engineJsonPath or enginePath",
    ],
    [
      "$.models[*].size",
      models,
      "count",
      "signal-unavailable: Cannot read $.models[*].size of URL: its page has no $.models[*].size; correct engineJsonPath or enginePath",
    ],
    [
      "$.queue",
      { queue: "3" },
      "sum",
      "signal-unavailable: Cannot read $.queue of URL: $.queue must lead to numbers from 0, got a string; correct it, or count with engineReduce count",
    ],
    [
      "$.queue",
      { queue: null },
      "max",
      "signal-unavailable: Cannot read $.queue of URL: $.queue must lead to numbers from 0, got null; correct it, or count with engineReduce count",
    ],
    [
      "$.queue",
      { queue: [1] },
      "sum",
      "signal-unavailable: Cannot read $.queue of URL: $.queue must lead to numbers from 0, got an array; correct it, or count with engineReduce count",
    ],
    [
      "$.*",
      { a: 1, b: {} },
      "sum",
      "signal-unavailable: Cannot read $.* of URL: $.* must lead to numbers from 0, got an object; correct it, or count with engineReduce count",
    ],
    [
      "$.models[*].size_vram",
      { models: [] },
      "max",
      "data-missing: Cannot read $.models[*].size_vram of URL: $.models[*].size_vram leads to nothing, of which there is no max; try again later",
    ],
    [
      "$[*]",
      { a: -1 },
      "sum",
      "signal-unavailable: Cannot read $[*] of URL: $[*] must lead to numbers from 0, got -1; correct it, or count with engineReduce count",
    ],
    [
      "$[*]",
      new Array(4_001).fill(1),
      "sum",
      "signal-unavailable: Cannot read $[*] of URL: $[*] goes through at most 4000 values, got 4001; choose fewer",
    ],
  ])("%s of %j by %s", async (path, page, reduce, problem) => {
    expect(String(await read(page, path, reduce)).replace(/http:\S+status/, "URL")).toBe(problem);
  });

  test.each([
    [
      "what is no JSON",
      "<html>",
      'Cannot read the number: its page is JSON, got text/html: "<html>"; check',
    ],
    ["an infinite number", '{"queue":1e999}', "$.queue must lead to numbers from 0, got Infinity"],
    ["an empty page", "", "Cannot read the number: its page is JSON, got"],
    ["half a page", '{"queue":', "Cannot read the number: its page is JSON, got"],
    [
      "a page nested too deep",
      "[".repeat(500_000),
      "Cannot read the number: its page is JSON, got",
    ],
    [
      "more than there may be",
      `{"queue":"${"x".repeat(engineJsonBytesMax)}"}`,
      "Cannot read metrics: a page in JSON has at most",
    ],
  ])("%s", async (_what, body, problem) => {
    expect(outcome(await reader({ body, type: "text/html" }, "$.queue").now())).toContain(problem);
  });
});

test("a page that loses its number loses its value at once, and has it again", async () => {
  const page = { body: '{"queue":3}' };
  const { now } = reader(page, "$.queue");
  expect(outcome(await now())).toBe(3);
  page.body = "{}";
  expect(outcome(await now())).toContain("its page has no $.queue");
  page.body = '{"queue":0}';
  expect(outcome(await now())).toBe(0);
});

test("a window is the mean of the pages that had the number", async () => {
  const page = { body: '{"queue":4}' };
  const { now } = reader(page, "$.queue", "sum", 600_000);
  await now();
  page.body = "{}";
  await now();
  page.body = '{"queue":4}';
  expect(outcome(await now())).toBe(4);
});

test("two paths of one page are two numbers", async () => {
  const { scraper, port } = reader({ body: '{"a":1,"b":2}' }, "$.a");
  const valueAt = (path: string) => {
    const target: ScrapeTarget = {
      at: { url: `http://127.0.0.1:${port}/status`, namespace: "shop" },
      engine: "json",
      json: { path, reduce: "sum" },
    };
    const signal = { metric: path, kind: "gauge" } as const;
    return outcome(scraper.read(target, { signal, windowMs: 0, match: [] }));
  };
  await until(() => valueAt("$.a") === 1 && valueAt("$.b") === 2);
});
