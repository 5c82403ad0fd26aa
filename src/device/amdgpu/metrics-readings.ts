/**
 * The readings that the driver's binary tables have.
 *
 * @module
 */
import type { ReadingName } from "#metric/reading.ts";
import type { MetricsTable, Quantities } from "./metrics-table.ts";

type TableReadings = { readonly [Name in ReadingName]?: number };

/** 2^-16 J in millijoules: what the header calls 15.259 uJ. */
const millijoulesPerUnit = 1000 / 65_536;

/** Every reading that some table of a card has. */
export const cardTableReadings: readonly ReadingName[] = [
  "utilizationPercent",
  "memoryUtilizationPercent",
  "temperatureCelsius",
  "memoryTemperatureCelsius",
  "powerInstantMilliwatts",
  "powerAverageMilliwatts",
  "energyMillijoules",
  "smClockMegahertz",
  "memoryClockMegahertz",
  "decoderPercent",
  "jpegPercent",
];

/** And of a partition: all else is the card's. */
export const partitionTableReadings: readonly ReadingName[] = [
  "utilizationPercent",
  "smClockMegahertz",
  "decoderPercent",
  "jpegPercent",
];

export function cardReadings({ quantities, partitions }: MetricsTable): TableReadings {
  const { averageWatts = [], energyUnits: [energyUnits] = [] } = quantities;
  // A die that is not the first of its board has 0 here: that it draws nothing cannot be.
  const averageMilliwatts = averageWatts.filter((watts) => watts > 0).map(toMilli);
  const ofPartitions = (name: keyof Quantities) => partitions.flatMap((one) => one[name] ?? []);
  return present({
    utilizationPercent: rounded(quantities.gfxPercent?.[0]),
    memoryUtilizationPercent: rounded(quantities.memoryPercent?.[0]),
    temperatureCelsius: rounded(quantities.edgeCelsius?.[0] ?? quantities.hotspotCelsius?.[0]),
    memoryTemperatureCelsius: rounded(quantities.memoryCelsius?.[0]),
    powerInstantMilliwatts: rounded(quantities.instantWatts?.map(toMilli)[0]),
    powerAverageMilliwatts: rounded(averageMilliwatts[0]),
    energyMillijoules:
      energyUnits === undefined ? undefined : rounded(energyUnits * millijoulesPerUnit),
    smClockMegahertz: highest(quantities.gfxMegahertz),
    memoryClockMegahertz: highest(quantities.memoryMegahertz),
    decoderPercent: mean(quantities.videoPercent ?? ofPartitions("videoPercent")),
    jpegPercent: mean(quantities.jpegPercent ?? ofPartitions("jpegPercent")),
  });
}

export function partitionReadings(quantities: Quantities): TableReadings {
  return present({
    utilizationPercent: mean(quantities.gfxEnginePercent),
    smClockMegahertz: highest(quantities.gfxMegahertz),
    decoderPercent: mean(quantities.videoPercent),
    jpegPercent: mean(quantities.jpegPercent),
  });
}

function toMilli(watts: number): number {
  return watts * 1000;
}

function rounded(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value);
}

/** Engines that are not there have no value, and so no part in the mean. */
function mean(values: readonly number[] = []): number | undefined {
  if (values.length === 0) return undefined;
  return rounded(values.reduce((sum, value) => sum + value, 0) / values.length);
}

function highest(values: readonly number[] = []): number | undefined {
  return values.length === 0 ? undefined : rounded(Math.max(...values));
}

function present(readings: { readonly [Name in ReadingName]?: number | undefined }): TableReadings {
  return Object.fromEntries(Object.entries(readings).filter(([, value]) => value !== undefined));
}
