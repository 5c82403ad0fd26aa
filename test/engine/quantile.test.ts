import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Bucket, bucketQuantile } from "#engine/signal/quantile.ts";

const of = (bounds: readonly number[], counts: readonly number[]): readonly Bucket[] =>
  [...bounds, Infinity].map((le, at) => ({ le, count: counts[at] ?? 0 }));

/** Bounds and counts as in Prometheus' own tests of its algorithm, promql/quantile_test.go. */
const even = [10, 15, 20, 30];
const real = [1, 5, 10, 25, 50, 64, 80, 100, 250, 1000];
const small = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100];
const evenQuantiles = [
  [1, 15],
  [0.99, 14.85],
  [0.9, 13.5],
  [0.5, 7.5],
] as const;
const realQuantiles = [
  [1, 64],
  [0.99, 49.64475715376406],
  [0.9, 46.39671690938454],
  [0.5, 31.96098248992002],
] as const;
const smallQuantiles = [
  [1, 0.1],
  [0.99, 0.03468750000281261],
  [0.9, 0.00463541666671875],
  [0.5, 0.0025752314815104174],
] as const;
const realStart = [6454661.30141662, 8339611.200191294, 14118319.244476216, 14130031.527285652];
const top = 46008473.85855636;
const smallStart = [9.6, 9.688888889, 9.755555556, 9.844444444];
const smallTop = 9.888888889;

describe("bucketQuantile() agrees with Prometheus", () => {
  test.each([
    ["rising counts", of(even, [10, 15, 15, 15, 15]), evenQuantiles],
    ["a count off by rounding", of(even, [10, 15, 15.00000000001, 15, 15]), evenQuantiles],
    [
      "large counts",
      of(real, [...realStart, 46001270.303000815, ...Array(6).fill(top)]),
      realQuantiles,
    ],
    [
      "large counts off by rounding",
      of(
        real,
        [
          6454661.3014166225, 8339611.200191296, 14118319.244476216, 14130031.52728565,
          46001270.30300082, 46008473.85855638, 46008473.85855639, 46008473.85855638,
          46008473.85855638, 46008473.85855639, 46008473.85855638,
        ],
      ),
      realQuantiles,
    ],
    ["small counts", of(small, [...smallStart, ...Array(11).fill(smallTop)]), smallQuantiles],
    [
      "small counts off by rounding",
      of(small, [
        ...smallStart,
        ...Array(6).fill(smallTop),
        9.888888889001,
        smallTop,
        9.888888888999,
        smallTop,
        smallTop,
      ]),
      smallQuantiles,
    ],
  ])("on %s", (_what, buckets, quantiles) => {
    for (const [q, value] of quantiles) {
      const got = bucketQuantile(q, buckets) ?? Number.NaN;
      expect(Math.abs(got / value - 1)).toBeLessThan(1e-12);
    }
  });

  test.each([
    ["no observations", 0.5, of([1, 2], [0, 0, 0]), undefined],
    ["one bucket", 0.5, of([], [5]), undefined],
    ["no buckets", 0.5, [], undefined],
    [
      "no bucket for +Inf",
      0.5,
      [
        { le: 1, count: 2 },
        { le: 2, count: 3 },
      ],
      undefined,
    ],
    ["q below 0", -0.1, of([1], [1, 1]), -Infinity],
    ["q above 1", 1.1, of([1], [1, 1]), Infinity],
    ["q that is none", Number.NaN, of([1], [1, 1]), undefined],
    ["a rank in the last bucket: its lower bound", 0.9, of([1, 2], [1, 2, 10]), 2],
    ["a first bucket at or below 0: its bound", 0.1, of([-1, 2], [5, 9, 10]), -1],
    ["a first bucket above 0: from 0", 0.5, of([4], [10, 10]), 2],
    ["any order and equal bounds", 0.5, [...of([4], [5, 5]), ...of([4], [5, 5])].reverse(), 2],
  ])("on %s", (_what, q, buckets, value) => {
    expect(bucketQuantile(q, buckets)).toBe(value as number);
  });
});

test("bucketQuantile() grows with q and stays inside the bounds", () => {
  const gains = fc.array(fc.nat(1000), { minLength: 2, maxLength: 12 });
  // At exactly 0 with an empty first bucket it is 0 of 0, as in Prometheus.
  const share = fc.double({ min: Number.EPSILON, max: 1, noNaN: true });
  fc.assert(
    fc.property(gains, share, share, (each, one, other) => {
      fc.pre(each.some((gain) => gain > 0));
      let count = 0;
      const buckets = each.map((gain, at) => {
        count += gain;
        return { le: at === each.length - 1 ? Infinity : at + 1, count };
      });
      const low = bucketQuantile(Math.min(one, other), buckets) ?? Number.NaN;
      const high = bucketQuantile(Math.max(one, other), buckets) ?? Number.NaN;
      expect(low).toBeLessThanOrEqual(high);
      expect(low).toBeGreaterThanOrEqual(0);
      expect(high).toBeLessThanOrEqual(each.length - 1);
    }),
  );
});
