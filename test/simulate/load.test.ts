import { describe, expect, test } from "bun:test";
import { arrivals, rateAt } from "#simulate/load.ts";
import { randomStream } from "#simulate/random.ts";
import type { Load, LoadRate } from "#simulate/scenario.ts";

/** Arrival times in seconds up to a second. */
function timesOf(load: Load, seconds: number, seed = 1): number[] {
  const next = arrivals(load, seed, seconds * 1000);
  const times: number[] = [];
  for (; next.atMs <= seconds * 1000; next.advance()) times.push(next.atMs / 1000);
  return times;
}

const burst: LoadRate = {
  kind: "bursts",
  perSecond: 1,
  burstPerSecond: 9,
  everySeconds: 100,
  burstSeconds: 10,
};
const sine: LoadRate = {
  kind: "sine",
  meanPerSecond: 2,
  amplitudePerSecond: 3,
  periodSeconds: 40,
};
const ramps: LoadRate = {
  kind: "ramps",
  points: [
    { atSecond: 10, perSecond: 2 },
    { atSecond: 20, perSecond: 4 },
  ],
};
const steps: LoadRate = {
  kind: "steps",
  steps: [
    { atSecond: 5, perSecond: 3 },
    { atSecond: 8, perSecond: 0 },
  ],
};

describe("a rate", () => {
  test.each([
    ["a constant", { kind: "constant", perSecond: 7 } as const, 3, 7],
    ["a burst", burst, 205, 9],
    ["what is between bursts", burst, 211, 1],
    ["a sine at its top", sine, 10, 5],
    ["a sine below nothing", sine, 30, 0],
    ["a ramp before its first point", ramps, 0, 2],
    ["a ramp in the middle", ramps, 15, 3],
    ["a ramp after its last point", ramps, 99, 4],
    ["a ramp without points", { kind: "ramps", points: [] } as const, 1, 0],
    ["a step before the first", steps, 4.9, 0],
    ["a step", steps, 5, 3],
    ["a step after another", steps, 8, 0],
  ])("is that of %s", (_what, rate, second, expected) => {
    expect(rateAt(rate, second)).toBeCloseTo(expected, 9);
  });
});

describe("arrivals", () => {
  test("come evenly where the load says so", () => {
    const load = { rate: { kind: "constant", perSecond: 4 }, arrivals: "even" } as const;
    expect(timesOf(load, 1)).toEqual([0.25, 0.5, 0.75, 1]);
  });
  test("come evenly again after a time of nothing", () => {
    const times = timesOf({ rate: steps, arrivals: "even" }, 8);
    expect(times.length).toBe(9);
    expect(times[0]).toBeCloseTo(5.33, 1);
  });
  test("come at random as often as the rate says, and as its seed decides", () => {
    const load = { rate: { kind: "constant", perSecond: 5 } } as const;
    const times = timesOf(load, 2_000);
    expect(times.length).toBeGreaterThan(9_700);
    expect(times.length).toBeLessThan(10_300);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    // Of a Poisson process the deviation is the mean.
    expect(Math.sqrt(variance) / mean).toBeCloseTo(1, 1);
    expect(timesOf(load, 100)).toEqual(timesOf(load, 100));
    expect(timesOf(load, 100)).not.toEqual(timesOf(load, 100, 2));
  });
  test.each([
    ["bursts", burst, 0, 10, 90],
    ["sine", sine, 0, 40, 87.05],
    ["ramps", ramps, 10, 20, 30],
    ["steps", steps, 5, 8, 9],
  ])("follow %s", (_kind, rate, from, to, expected) => {
    let count = 0;
    for (let seed = 0; seed < 200; seed += 1)
      count += timesOf({ rate }, to, seed).filter((time) => time >= from).length;
    expect(count / 200 / expected).toBeCloseTo(1, 1);
  });
  test("never come at a rate of nothing", () => {
    const rate = { kind: "constant", perSecond: 0 } as const;
    expect(arrivals({ rate }, 1, 60_000).atMs).toBe(Number.POSITIVE_INFINITY);
    expect(arrivals({ rate, arrivals: "even" }, 1, 60_000).atMs).toBe(Number.POSITIVE_INFINITY);
  });
  test("are those of a trace, and none after its last", () => {
    const trace = { atMs: [10, 20], promptTokens: [5, 6], outputTokens: [7, 8] };
    const next = arrivals({ trace }, 1, 60_000);
    expect(next).toMatchObject({ atMs: 10, promptTokens: 5, outputTokens: 7 });
    next.advance();
    expect(next).toMatchObject({ atMs: 20, promptTokens: 6, outputTokens: 8 });
    next.advance();
    expect(next.atMs).toBe(Number.POSITIVE_INFINITY);
  });
  test("have tokens spread as their percentiles say", () => {
    const rate = { kind: "constant", perSecond: 1 } as const;
    const next = arrivals({ rate, outputTokens: { p50: 100, p95: 400 } }, 3, 1e9);
    const tokens = Array.from({ length: 4_000 }, () => {
      next.advance();
      return next.outputTokens;
    }).toSorted((one, other) => one - other);
    expect((tokens[2_000] ?? 0) / 100).toBeCloseTo(1, 1);
    expect((tokens[3_800] ?? 0) / 400).toBeCloseTo(1, 0);
    expect(tokens.every((count) => Number.isInteger(count) && count >= 1)).toBe(true);
    expect(next.promptTokens).toBe(500);
  });
});

test("a random stream gives what it always gave, so that runs stay comparable", () => {
  const { next } = randomStream(1, "one");
  const words = Array.from({ length: 4 }, () => next() * 2 ** 32);
  expect(words).toEqual([2_541_718_287, 2_766_893_576, 3_986_313_746, 241_803_012]);
});

test("a random stream is even, and another for another name", () => {
  const one = randomStream(1, "one");
  const numbers = Array.from({ length: 10_000 }, one.next);
  expect(numbers.reduce((sum, number) => sum + number, 0) / 10_000).toBeCloseTo(0.5, 1);
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
  expect(randomStream(1, "one").next()).toBe(numbers[0] ?? -1);
  expect(randomStream(1, "other").next()).not.toBe(numbers[0] ?? -1);
  const normal = Array.from({ length: 10_000 }, one.normal);
  expect(normal.reduce((sum, number) => sum + number, 0) / 10_000).toBeCloseTo(0, 1);
  expect(normal.reduce((sum, number) => sum + number ** 2, 0) / 10_000).toBeCloseTo(1, 1);
});
