/**
 * The readings of one device, from the samples that its page has of it.
 *
 * @module
 */
import {
  type Absence,
  type Absences,
  isPlausible,
  type ReadingName,
  type Readings,
  readingNames,
} from "#metric/reading.ts";
import { hasLabels } from "./devices.ts";
import type { Rates } from "./rates.ts";
import type { PageSample } from "./read-page.ts";
import type { ExporterTable, ReadingSource } from "./schema.ts";
import { inOwnUnit } from "./units.ts";

export interface ReadingsOptions {
  readonly table: ExporterTable;
  readonly rates: Rates;
  /** When the page was asked for. */
  readonly atMs: number;
  readonly uuid: string;
  /** Readings that this device had once; the new ones are added. */
  readonly known: Set<ReadingName>;
}

export interface DeviceReadings {
  readonly readings: Readings;
  readonly absences: Absences;
}

/** Every reading of the device, or why it is not there. */
export function readingsOf(
  samples: readonly PageSample[],
  options: ReadingsOptions,
): DeviceReadings {
  const readings: Partial<Record<ReadingName, number>> = {};
  const absences: Partial<Record<ReadingName, Absence>> = {};
  for (const name of readingNames) {
    const outcome =
      name === powerName ? powerOf(readings, options) : readingOf(name, samples, options);
    if (typeof outcome === "number") readings[name] = outcome;
    else absences[name] = outcome;
    if (outcome !== "unsupported") options.known.add(name);
  }
  return { readings, absences };
}

const powerName = "powerFromEnergyMilliwatts";

/**
 * Of an exporter that collects by itself, from one change of its energy counter to the next. Of others
 * it is made as for every collector.
 */
function powerOf(
  { energyMillijoules: energy }: Readings,
  { table, rates, atMs, uuid }: ReadingsOptions,
): number | Absence {
  if (table.collectionSeconds === 0 || energy === undefined) return "unsupported";
  const milliwatts = rates.rateOf(`${uuid} ${powerName}`, energy, atMs);
  if (milliwatts === undefined) return "pending";
  // Every chip draws something.
  return milliwatts > 0 && isPlausible(powerName, milliwatts) ? milliwatts : "implausible";
}

/** What a device lacks that is not on the page. */
export function absencesWithout(known: ReadonlySet<ReadingName>): Absences {
  return Object.fromEntries(
    readingNames.map((name) => [name, known.has(name) ? "failed" : "unsupported"]),
  );
}

function readingOf(
  name: ReadingName,
  samples: readonly PageSample[],
  { table, rates, atMs, uuid, known }: ReadingsOptions,
): number | Absence {
  const missing = known.has(name) ? "failed" : "unsupported";
  for (const source of table.readings[name] ?? []) {
    const values = valuesOf(source, samples, table.blanks);
    if (values === undefined) continue;
    const value = reduced(values, source);
    // Which of them is meant, the table does not say.
    if (value === undefined) return "failed";
    const amount =
      source.kind === "gauge"
        ? value
        : rates.rateOf(`${uuid} ${name} ${source.series.join()}`, value, atMs);
    if (amount === undefined) return "pending";
    const own = inOwnUnit(name, amount, source.unit);
    return isPlausible(name, own) ? own : "implausible";
  }
  return missing;
}

/** @returns `undefined` where a series is not there, or is blank. */
function valuesOf(
  { series, labels }: ReadingSource,
  samples: readonly PageSample[],
  blanks: readonly number[],
): readonly number[] | undefined {
  const perSeries = series.map((name) =>
    samples.filter((one) => one.name === name && hasLabels(one.labels, labels)),
  );
  const values = perSeries.flat().map(({ value }) => value);
  const isWhole = perSeries.every((own) => own.length > 0);
  return isWhole && !values.some((value) => blanks.includes(value)) ? values : undefined;
}

function reduced(values: readonly number[], { reduce }: ReadingSource): number | undefined {
  const sum = values.reduce((total, value) => total + value, 0);
  switch (reduce) {
    case "sum":
      return sum;
    case "max":
      return Math.max(...values);
    case "mean":
      return sum / values.length;
    case undefined:
      return values.length === 1 ? values[0] : undefined;
  }
}
