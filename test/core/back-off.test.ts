import { expect, test } from "bun:test";
import fc from "fast-check";
import { backOff } from "#core/back-off.ts";

const pauses = (random: () => number, count: number) => {
  const { next } = backOff({ leastMs: 500, mostMs: 30_000, random });
  return Array.from({ length: count }, next);
};

test("pauses double from the least to the most", () => {
  expect(pauses(() => 1, 8)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  expect(pauses(() => 0, 3)).toEqual([250, 500, 1_000]);
});

test("a pause lies in the upper half of its span, wherever chance puts it", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat({ max: 40 }), (chance, nth) => {
      const spanMs = pauses(() => 1, nth + 1)[nth] ?? 0;
      expect(pauses(() => chance, nth + 1)[nth]).toBeCloseTo((spanMs / 2) * (1 + chance), 6);
    }),
  );
});

test("after a success the next pause is the shortest again", () => {
  const { next, reset } = backOff({ leastMs: 10, mostMs: 100, random: () => 1 });
  next();
  next();
  reset();
  expect([next(), next()]).toEqual([10, 20]);
});
