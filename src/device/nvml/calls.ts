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
import type { ReadingName } from "#metric/reading.ts";
import { admit, type Draft, refuse } from "./draft.ts";
import { layouts, readI32, readU32, readU64, structVersion } from "./layout.ts";
import { unwrittenU32 } from "./memory.ts";

/** A fixed number, or an address in the memory that the call fills: bytes from its start. */
type Arg = { readonly fixed: number } | { readonly outAt: number };

export interface CallSymbol {
  readonly symbol: string;
  /** What follows the device. */
  readonly args: readonly Arg[];
  readonly sizeBytes: number;
  /** Members to set before the call: offset and u32. */
  readonly preset?: readonly (readonly [at: number, value: number])[];
  readonly read: (memory: DataView, draft: Draft) => void;
}

export interface Call {
  readonly makes: readonly ReadingName[];
  readonly symbols: readonly [CallSymbol, ...CallSymbol[]];
}

const out: readonly Arg[] = [{ outAt: 0 }];
const twoOuts: readonly Arg[] = [{ outAt: 0 }, { outAt: 4 }];
const { utilization, memoryV1, memoryV2, temperature } = layouts;

function u32Call(makes: ReadingName, symbol: string, args: readonly Arg[] = out): Call {
  const read = (memory: DataView, draft: Draft) => {
    const value = readU32(memory, 0);
    if (value === unwrittenU32) refuse(draft, [makes], "implausible");
    else admit(draft, makes, value);
  };
  return { makes: [makes], symbols: [{ symbol, args, sizeBytes: 8, read }] };
}

function u64Call(
  makes: ReadingName,
  symbols: readonly [string, ...string[]],
  args: readonly Arg[] = out,
): Call {
  const read = (memory: DataView, draft: Draft) => admit(draft, makes, readU64(memory, 0));
  const row = (symbol: string): CallSymbol => ({ symbol, args, sizeBytes: 8, read });
  const [first, ...rest] = symbols;
  return { makes: [makes], symbols: [row(first), ...rest.map(row)] };
}

/** A device without memory of its own reports 0 bytes; then 0 bytes used would be made up too. */
function admitMemory(draft: Draft, totalBytes: number, usedBytes: number): void {
  admit(draft, "memoryTotalBytes", totalBytes);
  if (draft.readings.memoryTotalBytes !== undefined && usedBytes <= totalBytes)
    admit(draft, "memoryUsedBytes", usedBytes);
  else refuse(draft, ["memoryUsedBytes"], "implausible");
}

/** `nvmlPstates_t`: the driver does not know. */
const performanceStateUnknown = 32;

/** Taken on every sample. */
export const fastCalls: readonly Call[] = [
  {
    makes: ["utilizationPercent", "memoryUtilizationPercent"],
    symbols: [
      {
        symbol: "nvmlDeviceGetUtilizationRates",
        args: out,
        sizeBytes: utilization.sizeBytes,
        read: (memory, draft) => {
          admit(draft, "utilizationPercent", readU32(memory, utilization.at.gpu));
          admit(draft, "memoryUtilizationPercent", readU32(memory, utilization.at.memory));
        },
      },
    ],
  },
  {
    makes: ["memoryTotalBytes", "memoryUsedBytes"],
    symbols: [
      {
        symbol: "nvmlDeviceGetMemoryInfo_v2",
        args: out,
        sizeBytes: memoryV2.sizeBytes,
        preset: [[memoryV2.at.version, structVersion(memoryV2, 2)]],
        // Its own `used` counts what the driver reserves on some branches and not on others.
        read: (memory, draft) => {
          const totalBytes = readU64(memory, memoryV2.at.total);
          const reservedBytes = readU64(memory, memoryV2.at.reserved);
          admitMemory(
            draft,
            totalBytes,
            totalBytes - reservedBytes - readU64(memory, memoryV2.at.free),
          );
        },
      },
      {
        symbol: "nvmlDeviceGetMemoryInfo",
        args: out,
        sizeBytes: memoryV1.sizeBytes,
        read: (memory, draft) =>
          admitMemory(draft, readU64(memory, memoryV1.at.total), readU64(memory, memoryV1.at.used)),
      },
    ],
  },
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
        read: (memory, draft) =>
          admit(draft, "temperatureCelsius", readI32(memory, temperature.at.temperature)),
      },
      {
        symbol: "nvmlDeviceGetTemperature",
        args: [{ fixed: 0 }, { outAt: 0 }],
        sizeBytes: 4,
        read: (memory, draft) => admit(draft, "temperatureCelsius", readU32(memory, 0)),
      },
    ],
  },
  u32Call("smClockMegahertz", "nvmlDeviceGetClockInfo", [{ fixed: 1 }, { outAt: 0 }]),
  u32Call("encoderPercent", "nvmlDeviceGetEncoderUtilization", twoOuts),
  u32Call("decoderPercent", "nvmlDeviceGetDecoderUtilization", twoOuts),
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
        read: (memory, draft) => {
          const state = readI32(memory, 0);
          if (state === performanceStateUnknown) refuse(draft, ["performanceState"], "failed");
          else admit(draft, "performanceState", state);
        },
      },
    ],
  },
];

/** What changes seldom; taken every `slowMs`. */
export const slowCalls: readonly Call[] = [
  u32Call("memoryClockMegahertz", "nvmlDeviceGetClockInfo", [{ fixed: 2 }, { outAt: 0 }]),
  u32Call("powerLimitMilliwatts", "nvmlDeviceGetEnforcedPowerLimit"),
];

/** Only where ECC is on. Volatile: since the driver was loaded. */
export const eccCalls: readonly Call[] = [
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
export const pcieCalls: readonly Call[] = [
  u32Call("pcieTxKilobytesPerSecond", "nvmlDeviceGetPcieThroughput", [{ fixed: 0 }, { outAt: 0 }]),
  u32Call("pcieRxKilobytesPerSecond", "nvmlDeviceGetPcieThroughput", [{ fixed: 1 }, { outAt: 0 }]),
];
