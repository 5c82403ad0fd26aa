/**
 * The units that exporters print, and how many of a reading's own unit one of them is.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { type ReadingName, readingNames } from "#metric/reading.ts";

/** By the unit that a reading's name ends in. */
const factorsByEnding = {
  Percent: { percent: 1, ratio: 100 },
  Bytes: { bytes: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, kB: 1e3, MB: 1e6, GB: 1e9 },
  Celsius: { celsius: 1 },
  Milliwatts: { microwatts: 1e-3, milliwatts: 1, watts: 1e3 },
  Millijoules: { microjoules: 1e-3, millijoules: 1, joules: 1e3 },
  Megahertz: { hertz: 1e-6, megahertz: 1, gigahertz: 1e3 },
  KilobytesPerSecond: { "bytes/s": 1e-3, "kB/s": 1, "MB/s": 1e3, "KiB/s": 1.024 },
  MegabytesPerSecond: { "bytes/s": 1e-6, "kB/s": 1e-3, "MB/s": 1, "MiB/s": 1.048_576 },
  Mask: { count: 1 },
  State: { count: 1 },
  Errors: { count: 1 },
} as const satisfies Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Readings that the report carries in whole numbers: what an exporter divided comes back whole. */
const wholeEndings: readonly string[] = ["Bytes", "Milliwatts", "Millijoules"];

const endings = Object.keys(factorsByEnding) as (keyof typeof factorsByEnding)[];

function endingOf(name: ReadingName): keyof typeof factorsByEnding {
  const ending = endings.find((one) => name.endsWith(one));
  assert(ending !== undefined, `the unit of reading ${name} is known`);
  return ending;
}

/** By the name that a table gives a unit. */
export type UnitFactors = Readonly<Record<string, number>>;

/** Units that a reading may be printed in; of a counter, what it grows by in a second. */
export const unitFactors = Object.fromEntries(
  readingNames.map((name): [ReadingName, UnitFactors] => [name, factorsByEnding[endingOf(name)]]),
) as Readonly<Record<ReadingName, UnitFactors>>;

/** @param value In one of the reading's `unitFactors`. */
export function inOwnUnit(name: ReadingName, value: number, unit: string): number {
  const factor = unitFactors[name][unit];
  assert(factor !== undefined, `${unit} is a unit of ${name}`);
  const own = value * factor;
  return wholeEndings.includes(endingOf(name)) ? Math.round(own) : own;
}
