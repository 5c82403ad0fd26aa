import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type ReducerName, reducerNames, reducers, type Values } from "#metric/reduce.ts";

/** The range of every reading. */
const some = fc
  .array(fc.double({ min: -50, max: 1e11, noNaN: true }), { minLength: 1, maxLength: 100 })
  .map((values) => values as unknown as Values);
const percentiles = ["p50", "p90", "p95", "p99"] as const;

/** Sums of the same values in another order differ in their last digits. */
function expectClose(one: number, other: number, values: Values): void {
  const size = values.reduce((total, value) => total + Math.abs(value), 0);
  expect(Math.abs(one - other)).toBeLessThanOrEqual(size * 1e-12);
}

describe.each(reducerNames)("%s", (name) => {
  test("is finite, and does not care for the order of the values", () => {
    fc.assert(
      fc.property(
        some.chain((values) =>
          fc.tuple(
            fc.constant(values),
            fc.shuffledSubarray([...values], { minLength: values.length }),
          ),
        ),
        ([values, shuffled]) => {
          const reduced = reducers[name](values);
          expect(Number.isFinite(reduced)).toBe(true);
          expectClose(reducers[name](shuffled as unknown as Values), reduced, values);
        },
      ),
    );
  });

  test("of one value is that value", () => {
    expect(reducers[name]([42.5])).toBe(42.5);
  });
});

test.each(reducerNames.filter((name) => name !== "sum"))("%s lies among the values", (name) => {
  fc.assert(
    fc.property(some, (values) => {
      const reduced = reducers[name](values);
      const slack = 1e-12 * Math.max(...values.map(Math.abs));
      expect(reduced).toBeGreaterThanOrEqual(Math.min(...values) - slack);
      expect(reduced).toBeLessThanOrEqual(Math.max(...values) + slack);
    }),
  );
});

test.each(["max", "min", ...percentiles] as const)("%s is one of the values", (name) => {
  fc.assert(fc.property(some, (values) => expect(values).toContain(reducers[name](values))));
});

test("percentiles rise with their rank", () => {
  fc.assert(
    fc.property(some, (values) => {
      const ranked = percentiles.map((name) => reducers[name](values));
      expect(ranked).toEqual(ranked.toSorted((low, high) => low - high));
    }),
  );
});

test.each<[ReducerName, number]>([
  ["max", 10],
  ["min", 1],
  ["avg", 5.5],
  ["sum", 55],
  ["p50", 5],
  ["p90", 9],
  ["p95", 10],
  ["p99", 10],
])("%s of 1 to 10 is %d", (name, expected) => {
  expect(reducers[name]([10, 2, 8, 4, 6, 5, 7, 3, 9, 1])).toBe(expected);
});

test("a percentile is the value of its rank", () => {
  const hundred = Array.from({ length: 100 }, (_, nth) => 100 - nth) as unknown as Values;
  const ranks = [reducers.p50, reducers.p90, reducers.p95, reducers.p99].map((of) => of(hundred));
  expect(ranks).toEqual([50, 90, 95, 99]);
});
