/**
 * What a collector may read of one device, and which values are believable.
 *
 * Drivers do return 300 % and NaN with a success code (NVIDIA's, on several branches), and a number
 * that cannot be true must not reach the HPA: outside its range a reading is an absence.
 *
 * @module
 */
export interface Range {
  readonly least: number;
  readonly most: number;
}
const percent = { least: 0, most: 100 };
const count = { least: 0, most: Number.MAX_SAFE_INTEGER };
const celsius = { least: -50, most: 200 };
/** Far above any board, far below a counter read as a gauge. */
const milliwatts = { least: 0, most: 100_000_000 };
const megahertz = { least: 0, most: 100_000 };
/** 100 TB/s in the unit of the reading, above any link of the decade. */
const perSecond = { least: 0, most: 1e11 };

/** Every reading, with its unit in its name; a reading that could not be taken is absent. */
export const readingRanges = {
  utilizationPercent: percent,
  memoryUtilizationPercent: percent,
  memoryUsedBytes: count,
  memoryTotalBytes: { least: 1, most: Number.MAX_SAFE_INTEGER },
  temperatureCelsius: celsius,
  memoryTemperatureCelsius: celsius,
  powerInstantMilliwatts: milliwatts,
  powerAverageMilliwatts: milliwatts,
  powerLimitMilliwatts: { least: 1, most: milliwatts.most },
  energyMillijoules: count,
  smClockMegahertz: megahertz,
  memoryClockMegahertz: megahertz,
  encoderPercent: percent,
  decoderPercent: percent,
  throttleReasonsMask: count,
  performanceState: { least: 0, most: 15 },
  eccCorrectedErrors: count,
  eccUncorrectedErrors: count,
  pcieTxKilobytesPerSecond: perSecond,
  pcieRxKilobytesPerSecond: perSecond,
  nvlinkTxMegabytesPerSecond: perSecond,
  nvlinkRxMegabytesPerSecond: perSecond,
  smUtilizationPercent: percent,
  smOccupancyPercent: percent,
  tensorUtilizationPercent: percent,
  dramBandwidthPercent: percent,
  fp16UtilizationPercent: percent,
  fp32UtilizationPercent: percent,
  fp64UtilizationPercent: percent,
  jpegPercent: percent,
  ofaPercent: percent,
  powerFromEnergyMilliwatts: milliwatts,
} as const satisfies Record<string, Range>;

export type ReadingName = keyof typeof readingRanges;
export const readingNames = Object.keys(readingRanges) as ReadingName[];
export type Readings = { readonly [Name in ReadingName]?: number };

/** What costs too much to be read while nobody needs it. */
export const costlyReadings: ReadonlySet<ReadingName> = new Set([
  "pcieTxKilobytesPerSecond",
  "pcieRxKilobytesPerSecond",
]);

/**
 * Why a reading is not there:
 * - `unsupported`: this device, in this mode or with this driver, never has it
 * - `not-permitted`: the driver wants a right that the process lacks
 * - `failed`: the driver refused this time
 * - `implausible`: the driver gave a value outside the reading's range
 * - `pending`: it takes two samples, or was not asked for before, and comes with the next one
 */
export type Absence = "unsupported" | "not-permitted" | "failed" | "implausible" | "pending";
export type Absences = { readonly [Name in ReadingName]?: Absence };

/** Whether a value can be true. NaN and the infinities are outside every range. */
export function isPlausible(name: ReadingName, value: number): boolean {
  return isWithin(readingRanges[name], value);
}

/** The same for whoever has the range at hand, and checks thousands of values a second. */
export function isWithin({ least, most }: Range, value: number): boolean {
  return value >= least && value <= most;
}
