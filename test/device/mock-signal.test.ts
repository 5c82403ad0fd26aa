import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { boundsOf, type MockSignal, valueAt, type Wave, waveShapes } from "#device/mock/signal.ts";

const finite = fc.double({ min: -1e9, max: 1e9, noNaN: true });
const seconds = fc.double({ min: 0, max: 1e6, noNaN: true });
const duration = fc.double({ min: 0.001, max: 1e5, noNaN: true });
const anyWave: fc.Arbitrary<Wave> = fc
  .tuple(fc.constantFrom(...waveShapes), finite, finite, duration, finite)
  .map(([wave, one, other, periodSeconds, phaseSeconds]) => ({
    wave,
    low: Math.min(one, other),
    high: Math.max(one, other),
    periodSeconds,
    phaseSeconds,
  }));
const anySteps = fc.record({
  steps: fc.array(fc.record({ forSeconds: duration, value: finite }), { minLength: 1 }),
  repeat: fc.boolean(),
});
const anySignal: fc.Arbitrary<MockSignal> = fc.oneof(finite, anyWave, anySteps);
const wave = (shape: Wave["wave"], more: Partial<Wave> = {}): Wave => ({
  wave: shape,
  low: 10,
  high: 90,
  periodSeconds: 60,
  phaseSeconds: 0,
  ...more,
});

test("a signal never leaves its bounds", () => {
  fc.assert(
    fc.property(anySignal, seconds, (signal, at) => {
      const { least, most } = boundsOf(signal);
      const value = valueAt(signal, at);
      expect(value).toBeGreaterThanOrEqual(least);
      expect(value).toBeLessThanOrEqual(most);
    }),
  );
});

test("a wave is the same a whole number of periods later", () => {
  const period = fc.integer({ min: 1, max: 600 });
  const turns = fc.integer({ min: 0, max: 1000 });
  const at = fc.integer({ min: 0, max: 10_000 });
  fc.assert(
    fc.property(fc.constantFrom(...waveShapes), period, turns, at, (shape, periodSeconds, n, t) => {
      const signal = wave(shape, { periodSeconds });
      expect(valueAt(signal, t + n * periodSeconds)).toBe(valueAt(signal, t));
    }),
  );
});

test("steps follow each other; the last one holds, or all repeat", () => {
  const steps = [1, 2, 3].map((value) => ({ forSeconds: 10, value }));
  const at = [0, 9, 10, 19, 20, 29, 30, 45];
  const values = (repeat: boolean) => at.map((seconds) => valueAt({ steps, repeat }, seconds));
  expect(values(false)).toEqual([1, 1, 2, 2, 3, 3, 3, 3]);
  expect(values(true)).toEqual([1, 1, 2, 2, 3, 3, 1, 2]);
});

test("a phase is time already passed", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...waveShapes),
      fc.integer({ min: 0, max: 600 }),
      (shape, ahead) => {
        const shifted = wave(shape, { phaseSeconds: ahead });
        expect(valueAt(shifted, 0)).toBe(valueAt(wave(shape), ahead));
      },
    ),
  );
});

test("repeated steps are the same one round later", () => {
  const whole = fc.integer({ min: 1, max: 100 });
  const steps = fc.array(fc.record({ forSeconds: whole, value: finite }), { minLength: 1 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 1000 }), (list, at) => {
      const round = list.reduce((total, { forSeconds }) => total + forSeconds, 0);
      const signal = { steps: list, repeat: true };
      expect(valueAt(signal, at + round)).toBe(valueAt(signal, at));
    }),
  );
});

describe("the shape of", () => {
  test.each([
    ["sine", [10, 50, 90, 50]],
    ["triangle", [10, 50, 90, 50]],
    ["square", [10, 10, 90, 90]],
    ["saw", [10, 30, 50, 70]],
  ] as const)("a %s at each quarter of its period", (shape, quarters) => {
    quarters.forEach((value, quarter) => {
      expect(valueAt(wave(shape), quarter * 15)).toBeCloseTo(value, 9);
    });
  });

  test.each([
    [0, 5],
    [29.9, 5],
    [30, 60],
    [39.9, 60],
    [40, 60],
    [1e6, 60],
  ])("steps at %d s", (at, value) => {
    const steps = [
      { forSeconds: 30, value: 5 },
      { forSeconds: 10, value: 60 },
    ];
    expect(valueAt({ steps, repeat: false }, at)).toBe(value);
    expect(valueAt({ steps, repeat: true }, at)).toBe(at % 40 < 30 ? 5 : 60);
  });
});
