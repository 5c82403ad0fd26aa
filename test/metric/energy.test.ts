import { describe, expect, test } from "bun:test";
import { energyMeter, joulesBetween } from "#metric/energy.ts";
import type { Readings } from "#metric/reading.ts";

const gapMs = 5_000;
const between = (before: Readings, after: Readings, lengthMs = 1_000) =>
  joulesBetween(
    { atMs: 7_000, readings: before },
    { atMs: 7_000 + lengthMs, readings: after },
    gapMs,
  );

describe("what a device used between two samples is", () => {
  const counter = (energyMillijoules: number) => ({ energyMillijoules });
  test("the difference of its counter, in joules, and its power says nothing", () => {
    const after = { ...counter(950_000), powerAverageMilliwatts: 999_000 };
    expect(between(counter(600_000), after)).toBe(350);
  });

  test("the difference of its counter over any gap", () => {
    expect(between(counter(0), counter(36_000_000), 3_600_000)).toBe(36_000);
  });

  test("what a counter says that began again meanwhile", () => {
    expect(between(counter(9_000_000_000), counter(40_000))).toBe(40);
  });

  test("by its power where the counter jumps by more than any board draws", () => {
    const power = { powerAverageMilliwatts: 300_000 };
    expect(between(counter(0), { ...counter(9_000_000_000), ...power })).toBe(300);
    expect(between(counter(0), counter(9_000_000_000))).toBeUndefined();
  });

  test.each([
    ["before", {}, counter(5_000)],
    ["now", counter(5_000), {}],
  ])("by its power where the counter is absent %s", (_when, before, after) => {
    expect(between(before, { ...after, powerAverageMilliwatts: 200_000 }, 500)).toBe(100);
    expect(between(before, after)).toBeUndefined();
  });

  test("by the power of the second sample: averaged where there is an average", () => {
    const first = { powerAverageMilliwatts: 1 };
    expect(between(first, { powerInstantMilliwatts: 70_000 })).toBe(70);
    const both = { powerInstantMilliwatts: 70_000, powerAverageMilliwatts: 60_000 };
    expect(between(first, both)).toBe(60);
  });

  test("not known where one power would stand for a gap", () => {
    const power = { powerAverageMilliwatts: 60_000 };
    expect(between(power, power, gapMs)).toBe(300);
    expect(between(power, power, gapMs + 1)).toBeUndefined();
  });

  test("not known without time between them", () => {
    expect(between(counter(1_000), counter(2_000), 0)).toBeUndefined();
    expect(between(counter(1_000), counter(2_000), -1)).toBeUndefined();
  });
});

test("a meter adds up by device, and begins with what it saw itself", () => {
  const meter = energyMeter(gapMs);
  const put = (atMs: number, a: number, b: Readings) =>
    meter.put(
      [
        { uuid: "a", readings: { energyMillijoules: a } },
        { uuid: "b", readings: b },
      ],
      atMs,
    );
  put(0, 5_000_000, { powerAverageMilliwatts: 80_000 });
  expect([meter.joules("a"), meter.joules("b"), meter.joules("c")]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  put(1_000, 5_100_000, {});
  expect([meter.joules("a"), meter.joules("b")]).toEqual([100, undefined]);
  put(2_000, 5_150_000, { powerAverageMilliwatts: 80_000 });
  put(3_000, 30_000, {});
  expect([meter.joules("a"), meter.joules("b")]).toEqual([180, 80]);
  meter.put([{ uuid: "b", readings: {} }], 4_000);
  expect([meter.joules("a"), meter.joules("b")]).toEqual([undefined, 80]);
});
