import { describe, expect, test } from "bun:test";
import { systemClock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { prober } from "#engine/scrape/probe.ts";
import type { PageLocation } from "#engine/scrape/target.ts";

const locations: readonly PageLocation[] = [
  { port: 1, path: "/a" },
  { port: 1, path: "/b" },
  { port: 2, path: "/a" },
  { port: 2, path: "/b" },
];
const closed = new Fault("engine-unreachable", "closed", { target: "" });
const status404 = new Fault("engine-unreachable", "404", { target: "", status: 404 });
const otherPage = new Fault("page-invalid", "another page", { came: "" });

/** A prober on a clock that only `costMs` moves: what each try takes. */
function probe(costMs = 0) {
  let nowMs = 0;
  const clock = { ...systemClock(), monotonicMs: () => nowMs };
  const { read } = prober({ locations, clock, timeoutMs: 100 });
  /** Tries a round; `answers` says what a location answers, and a page is its own location. */
  const round = async (answers: (location: PageLocation) => Fault | undefined) => {
    const tried: string[] = [];
    const result = await read((location) => {
      tried.push(`${location.port}${location.path}`);
      nowMs += costMs;
      const failure = answers(location);
      return failure === undefined ? Promise.resolve(location) : Promise.reject(failure);
    }).catch((error: unknown) => error);
    return { tried, result };
  };
  return { round };
}
const only =
  (port: number, path: string, failure: Fault) =>
  (location: PageLocation): Fault | undefined =>
    location.port === port && location.path === path ? undefined : failure;
const nowhere = (failure: Fault) => (): Fault => failure;

describe("prober() tries", () => {
  test("every location in order until one has a page, and then only that one", async () => {
    const { round } = probe();
    const first = await round(only(2, "/a", status404));
    expect(first.tried).toEqual(["1/a", "1/b", "2/a"]);
    expect(first.result).toEqual({ port: 2, path: "/a" });
    expect((await round(only(2, "/a", status404))).tried).toEqual(["2/a"]);
  });

  test("no other location where there is no room for a page, and the same one first again", async () => {
    const { round } = probe();
    const full = new Fault("overloaded", "full", { limit: 1 });
    const answers = (location: PageLocation) => (location.path === "/b" ? full : status404);
    const { tried, result } = await round(answers);
    expect([tried, result]).toEqual([["1/a", "1/b"], full]);
    expect((await round(only(1, "/b", closed))).tried).toEqual(["1/b"]);
  });

  test("no other path of a port where nothing answers", async () => {
    const { round } = probe();
    expect((await round(nowhere(closed))).tried).toEqual(["1/a", "2/a"]);
  });

  test("every location again after three failures in a row, and not before", async () => {
    const { round } = probe();
    await round(only(1, "/a", status404));
    for (let failure = 0; failure < 2; failure += 1)
      expect((await round(nowhere(status404))).tried).toEqual(["1/a"]);
    // A good one in between starts the count anew.
    await round(only(1, "/a", status404));
    for (let failure = 0; failure < 3; failure += 1)
      expect((await round(nowhere(status404))).tried).toEqual(["1/a"]);
    expect((await round(nowhere(status404))).tried).toHaveLength(4);
  });

  test("behind the last one that failed, so that a slow port does not take all the time", async () => {
    const { round } = probe(50);
    expect((await round(nowhere(status404))).tried).toEqual(["1/a", "1/b"]);
    expect((await round(nowhere(status404))).tried).toEqual(["2/a", "2/b"]);
    expect((await round(nowhere(status404))).tried).toEqual(["1/a", "1/b"]);
  });
});

describe("prober() says of several failures", () => {
  const failures =
    (...inOrder: readonly Fault[]) =>
    () => {
      const rest = [...inOrder];
      return () => rest.shift();
    };
  test.each([
    ["a page before a status", failures(status404, otherPage, status404, closed), otherPage],
    [
      "the first page",
      failures(otherPage, new Fault("page-invalid", "b", { came: "" })),
      otherPage,
    ],
    ["a status before a closed port", failures(status404, status404, closed), status404],
    ["a status after a closed port", failures(closed, status404, status404), status404],
  ])("%s", async (_what, answers, expected) => {
    const { round } = probe();
    const next = answers();
    expect((await round(() => next() ?? closed)).result).toBe(expected);
  });
});
