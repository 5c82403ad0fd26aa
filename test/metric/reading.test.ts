import { describe, expect, test } from "bun:test";
import { isPlausible, type ReadingName, readingNames } from "#metric/reading.ts";

const tiny = 1e-6;

describe("isPlausible()", () => {
  test.each<[what: string, names: RegExp, least: number, most: number]>([
    ["a share from 0 to 100 %", /Percent$/, 0, 100],
    ["a temperature from -50 to 200 °C", /Celsius$/, -50, 200],
    ["a power up to 100 kW", /^power(Instant|Average)/, 0, 100_000_000],
    ["a power limit, which is not 0", /^powerLimit/, 1, 100_000_000],
    ["a clock up to 100 GHz", /Megahertz$/, 0, 100_000],
    ["a P-state", /^performanceState$/, 0, 15],
    ["traffic up to 100 TB/s", /PerSecond$/, 0, 1e11],
    ["a count that a double holds", /^(ecc|energy|throttle|memoryUsed)/, 0, 2 ** 53 - 1],
    ["a memory that is not empty", /^memoryTotal/, 1, 2 ** 53 - 1],
  ])("believes %s", (_what, names, least, most) => {
    const matching = readingNames.filter((name) => names.test(name));
    expect(matching).not.toBeEmpty();
    for (const name of matching) {
      expect([least, most].map((value) => isPlausible(name, value))).toEqual([true, true]);
      const beyond = [least - tiny, most + Math.max(tiny, most * 2 ** -50)];
      expect(beyond.map((value) => isPlausible(name, value))).toEqual([false, false]);
    }
  });

  test.each(readingNames.map((name): [ReadingName] => [name]))(
    "believes no %s of no number",
    (name) => {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
        expect(isPlausible(name, value)).toBe(false);
    },
  );
});
