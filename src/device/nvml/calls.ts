/**
 * Every device call that fills one struct, one row each: its symbols in order of preference, their
 * fixed arguments, the struct they fill and the readings it makes.
 *
 * A row falls to its next symbol when the driver lacks one, or says that this device has not got it.
 *
 * Source: nvml.h of CUDA 11.3 to 13.3
 *
 * @module
 */
import { type Absence, isPlausible, type ReadingName } from "#metric/reading.ts";
import { layouts, readI32, readU32, readU64, structVersion, unwrittenU32 } from "./layout.ts";

/** A fixed number, or an address in the memory that the call fills: bytes from its start. */
type Arg = { readonly fixed: number } | { readonly outAt: number };

/** Reads one reading where the call left it: its value, or why there is none. */
type Decode = (memory: DataView) => number | Absence;

export interface CallSymbol {
  readonly symbol: string;
  /** What follows the device. */
  readonly args: readonly Arg[];
  readonly sizeBytes: number;
  /** Members to set before the call: offset and u32. */
  readonly preset?: readonly (readonly [at: number, value: number])[];
  /** One for each reading that the call makes. */
  readonly decode: readonly Decode[];
}

export interface NvmlCall {
  readonly makes: readonly ReadingName[];
  readonly symbols: readonly [CallSymbol, ...CallSymbol[]];
}

const out: readonly Arg[] = [{ outAt: 0 }];
const twoOuts: readonly Arg[] = [{ outAt: 0 }, { outAt: 4 }];
const { utilization, memoryV1, memoryV2, temperature } = layouts;

const u32At =
  (at: number): Decode =>
  (memory) =>
    readU32(memory, at);
const i32At =
  (at: number): Decode =>
  (memory) =>
    readI32(memory, at);
const u64At =
  (at: number): Decode =>
  (memory) =>
    readU64(memory, at);

/** For a reading in whose range an integer lies that the driver did not write. */
const writtenU32: Decode = (memory) => {
  const value = readU32(memory, 0);
  return value === unwrittenU32 ? "implausible" : value;
};

function u32Call(makes: ReadingName, symbol: string, args: readonly Arg[] = out): NvmlCall {
  return { makes: [makes], symbols: [{ symbol, args, sizeBytes: 8, decode: [writtenU32] }] };
}

function u64Call(
  makes: ReadingName,
  symbols: readonly [string, ...string[]],
  args: readonly Arg[] = out,
): NvmlCall {
  const row = (symbol: string): CallSymbol => ({ symbol, args, sizeBytes: 8, decode: [u64At(0)] });
  const [first, ...rest] = symbols;
  return { makes: [makes], symbols: [row(first), ...rest.map(row)] };
}

/** A device without memory of its own reports 0 bytes; then 0 bytes used would be made up too. */
function usedOf(totalBytes: number, usedBytes: number): number | Absence {
  return isPlausible("memoryTotalBytes", totalBytes) && usedBytes <= totalBytes
    ? usedBytes
    : "implausible";
}

/** `nvmlPstates_t`: the driver does not know. */
const performanceStateUnknown = 32;

/** Of a MIG instance too. */
export const memoryCall: NvmlCall = {
  makes: ["memoryTotalBytes", "memoryUsedBytes"],
  symbols: [
    {
      symbol: "nvmlDeviceGetMemoryInfo_v2",
      args: out,
      sizeBytes: memoryV2.sizeBytes,
      preset: [[memoryV2.at.version, structVersion(memoryV2, 2)]],
      // Its own `used` counts what the driver reserves on some branches and not on others.
      decode: [
        u64At(memoryV2.at.total),
        (memory) => {
          const totalBytes = readU64(memory, memoryV2.at.total);
          const reservedBytes = readU64(memory, memoryV2.at.reserved);
          return usedOf(totalBytes, totalBytes - reservedBytes - readU64(memory, memoryV2.at.free));
        },
      ],
    },
    {
      symbol: "nvmlDeviceGetMemoryInfo",
      args: out,
      sizeBytes: memoryV1.sizeBytes,
      decode: [
        u64At(memoryV1.at.total),
        (memory) => usedOf(readU64(memory, memoryV1.at.total), readU64(memory, memoryV1.at.used)),
      ],
    },
  ],
};

/** Taken on every sample. */
export const fastCalls: readonly NvmlCall[] = [
  {
    makes: ["utilizationPercent", "memoryUtilizationPercent"],
    symbols: [
      {
        symbol: "nvmlDeviceGetUtilizationRates",
        args: out,
        sizeBytes: utilization.sizeBytes,
        decode: [u32At(utilization.at.gpu), u32At(utilization.at.memory)],
      },
    ],
  },
  memoryCall,
  {
    makes: ["temperatureCelsius"],
    symbols: [
      {
        symbol: "nvmlDeviceGetTemperatureV",
        args: out,
        sizeBytes: temperature.sizeBytes,
        preset: [
          [temperature.at.version, structVersion(temperature, 1)],
          [temperature.at.sensorType, 0],
        ],
        decode: [i32At(temperature.at.temperature)],
      },
      {
        symbol: "nvmlDeviceGetTemperature",
        args: [{ fixed: 0 }, { outAt: 0 }],
        sizeBytes: 4,
        decode: [u32At(0)],
      },
    ],
  },
  u32Call("smClockMegahertz", "nvmlDeviceGetClockInfo", [{ fixed: 1 }, { outAt: 0 }]),
  u32Call("encoderPercent", "nvmlDeviceGetEncoderUtilization", twoOuts),
  u32Call("decoderPercent", "nvmlDeviceGetDecoderUtilization", twoOuts),
  u32Call("jpegPercent", "nvmlDeviceGetJpgUtilization", twoOuts),
  u32Call("ofaPercent", "nvmlDeviceGetOfaUtilization", twoOuts),
  u64Call("throttleReasonsMask", [
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
  ]),
  {
    makes: ["performanceState"],
    symbols: [
      {
        symbol: "nvmlDeviceGetPerformanceState",
        args: out,
        sizeBytes: 4,
        decode: [
          (memory) => {
            const state = readI32(memory, 0);
            return state === performanceStateUnknown ? "failed" : state;
          },
        ],
      },
    ],
  },
];

/** What changes seldom; taken every `slowReadingsMs`. */
export const slowCalls: readonly NvmlCall[] = [
  u32Call("memoryClockMegahertz", "nvmlDeviceGetClockInfo", [{ fixed: 2 }, { outAt: 0 }]),
  u32Call("powerLimitMilliwatts", "nvmlDeviceGetEnforcedPowerLimit"),
];

/** Only where ECC is on. Volatile: since the driver was loaded. */
export const eccCalls: readonly NvmlCall[] = [
  u64Call("eccCorrectedErrors", ["nvmlDeviceGetTotalEccErrors"], eccArgs(0)),
  u64Call("eccUncorrectedErrors", ["nvmlDeviceGetTotalEccErrors"], eccArgs(1)),
];

function eccArgs(errorType: 0 | 1): readonly Arg[] {
  return [{ fixed: errorType }, { fixed: 0 }, { outAt: 0 }];
}

/** Where fields 185 and 186 are not: one number, whose meaning depends on the chip. */
export const powerUsageCalls = {
  average: u32Call("powerAverageMilliwatts", "nvmlDeviceGetPowerUsage"),
  instant: u32Call("powerInstantMilliwatts", "nvmlDeviceGetPowerUsage"),
} as const;

/** Each sleeps for 20 ms in the driver. */
export const pcieCalls: readonly NvmlCall[] = [
  u32Call("pcieTxKilobytesPerSecond", "nvmlDeviceGetPcieThroughput", [{ fixed: 0 }, { outAt: 0 }]),
  u32Call("pcieRxKilobytesPerSecond", "nvmlDeviceGetPcieThroughput", [{ fixed: 1 }, { outAt: 0 }]),
];
