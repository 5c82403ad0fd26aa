import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { windowSlicesMax } from "#core/limits.ts";
import { type ValueWindow, valueWindow } from "#metric/window.ts";

const gapMs = 5_000;

function historyOf(...samples: readonly (readonly [atMs: number, value?: number])[]): ValueWindow {
  const past = valueWindow();
  for (const [atMs, value] of samples) past.push(atMs, value, gapMs);
  return past;
}

describe("mean()", () => {
  test("knows nothing before the first sample", () => {
    expect(valueWindow().mean(60_000)).toBeUndefined();
  });

  test.each<[string, ValueWindow, number, number | undefined]>([
    ["the only sample", historyOf([0, 40]), 60_000, 40],
    ["an absent first sample", historyOf([0]), 60_000, undefined],
    ["two: the second stands for the time between", historyOf([0, 40], [1000, 60]), 60_000, 60],
    [
      "values weighted by their time",
      historyOf([0, 0], [1000, 10], [4000, 50]),
      60_000,
      (10 * 1 + 50 * 3) / 4,
    ],
    ["only the window", historyOf([0, 0], [1000, 100], [2000, 20], [3000, 40]), 2_000, 30],
    ["part of a sample's time", historyOf([0, 0], [4000, 10], [6000, 40]), 4_000, 25],
    ["no time that nobody saw", historyOf([0, 0], [1000, 10], [2000], [3000, 30]), 60_000, 20],
    ["no gap", historyOf([0, 0], [1000, 10], [9000, 90], [10_000, 30]), 60_000, 20],
    ["what is there before an absence", historyOf([0, 0], [1000, 10], [2000]), 60_000, 10],
    ["nothing of a window of absences", historyOf([0, 0], [1000, 10], [3000]), 1_000, undefined],
    ["the newest after a gap as long as the window", historyOf([0, 9], [9000, 90]), 1_000, 90],
    ["no first sample twice", historyOf([0, 40], [0, 90]), 60_000, 40],
    ["no sample twice", historyOf([0, 0], [1000, 10], [1000, 90], [500, 90]), 60_000, 10],
  ])("takes %s", (_what, past, windowMs, expected) => {
    expect(past.mean(windowMs)).toBe(expected);
  });
});

const samples = fc.array(
  fc.tuple(
    fc.integer({ min: 1, max: 8_000 }),
    fc.option(fc.double({ min: 0, max: 1e11, noNaN: true }), { nil: undefined }),
  ),
  { minLength: 1, maxLength: 1_500, size: "max" },
);
const windows = fc.integer({ min: 1, max: 600_000 });

function stepped(steps: readonly (readonly [stepMs: number, value: number | undefined])[]) {
  const past = valueWindow();
  let atMs = 0;
  for (const [stepMs, value] of steps) {
    atMs += stepMs;
    past.push(atMs, value, gapMs);
  }
  return past;
}

/** The same mean over every sample ever seen: slow, without bounds, and plain to see. */
function exactMean(seen: readonly [stepMs: number, value: number | undefined][], windowMs: number) {
  const endMs = seen.reduce((atMs, [stepMs]) => atMs + stepMs, 0);
  let atMs = 0;
  const inside: { weight: number; value: number; startMs: number }[] = [];
  for (const [position, [stepMs, value]] of seen.entries()) {
    const startMs = atMs;
    atMs += stepMs;
    const weight = atMs - Math.max(startMs, endMs - windowMs);
    if (position === 0 || value === undefined || stepMs > gapMs || weight <= 0) continue;
    inside.push({ weight, value, startMs });
  }
  return { endMs, inside };
}

describe("any past", () => {
  test("is exact while it is short", () => {
    fc.assert(
      fc.property(samples, windows, (all, windowMs) => {
        const seen = all.slice(0, 61);
        const past = stepped(seen);
        const { inside } = exactMean(seen, windowMs);
        const totalMs = inside.reduce((sum, { weight }) => sum + weight, 0);
        const mean = inside.reduce((sum, { weight, value }) => sum + weight * value, 0) / totalMs;
        if (totalMs === 0) expect(past.mean(windowMs)).toBe(seen.at(-1)?.[1]);
        else expect(Math.abs((past.mean(windowMs) ?? -1) - mean)).toBeLessThanOrEqual(mean * 1e-9);
      }),
    );
  });

  test("has its mean within the values of a window at most a quarter longer", () => {
    fc.assert(
      fc.property(samples, windows, (seen, windowMs) => {
        const past = stepped(seen);
        const mean = past.mean(windowMs);
        const { inside } = exactMean(seen, windowMs * 1.25 + 2 * gapMs);
        const values = [...inside.map(({ value }) => value), seen.at(-1)?.[1] ?? Number.NaN].filter(
          (value) => !Number.isNaN(value),
        );
        if (mean === undefined) return;
        expect(mean).toBeGreaterThanOrEqual(Math.min(...values) * (1 - 1e-9));
        expect(mean).toBeLessThanOrEqual(Math.max(...values) * (1 + 1e-9));
      }),
    );
  });

  test("that is constant has that constant as its mean", () => {
    fc.assert(
      fc.property(
        samples,
        windows,
        fc.double({ min: 0, max: 1e11, noNaN: true }),
        (seen, windowMs, value) => {
          const past = stepped(seen.map(([stepMs]) => [stepMs, value]));
          const mean = past.mean(windowMs) ?? Number.NaN;
          expect(Math.abs(mean - value)).toBeLessThanOrEqual(value * 1e-9);
        },
      ),
    );
  });
});

test("a step up an hour later is seen in full, however long the past", () => {
  const past = valueWindow();
  for (let second = 0; second < 3_600; second += 1) past.push(second * 1000, 10, gapMs);
  for (let second = 3_600; second < 4_200; second += 1) past.push(second * 1000, 90, gapMs);
  expect(past.mean(10_000)).toBe(90);
  expect(past.mean(500_000)).toBeCloseTo(90, 9);
});

test("what is kept has a bound, and nothing outlives the longest window", () => {
  const past = valueWindow();
  for (let second = 0; second < 600; second += 1) {
    past.push(second * 1000, 10, gapMs);
    expect(past.sliceCount()).toBe(Math.min(second, windowSlicesMax));
  }
  past.push(1_300_000, 10, gapMs);
  past.push(1_301_000, 10, gapMs);
  expect(past.sliceCount()).toBe(1);
});

test("the newest seconds stay exact after an hour, whatever the clock says", () => {
  for (const startMs of [0, 1e9]) {
    const past = valueWindow();
    for (let second = 0; second < 3_600; second += 1)
      past.push(startMs + second * 1000, second % 2 === 0 ? 0 : 100, gapMs);
    expect(past.mean(1_000)).toBe(100);
    expect(past.mean(2_000)).toBe(50);
    expect(past.mean(5_000)).toBe(60);
  }
});
