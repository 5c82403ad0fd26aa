/** Every reading of every kind of device: a number, or why there is none, in one table. */
import { describe, expect, test } from "bun:test";
import { type ReadingName, readingNames } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";
import type { Variant } from "../nvml-standin/build.ts";
import type { StandinGpu } from "../nvml-standin/control.ts";
import { harness } from "./nvml-harness.ts";

interface DeviceKind {
  readonly variant: Variant;
  readonly gpu: StandinGpu;
  /** In the collection: the GPU is 0, its first instance 1. */
  readonly position?: number;
}

const refused = (...fields: readonly number[]) =>
  Object.fromEntries(fields.map((id) => [id, 3] as const));
const engines = { 30: 10, 40: 10, 50: 10, 166: 10 };
const instances = [{ gpuInstance: 1, engines }];
/** Before Hopper there is no GPM, and of GA100 the power is that of the moment. */
const ampere = { hasGpm: false, computeCapability: [8, 0] } as const;

/** Shapes that the stand-in plays: what each lacks is refused; no GPU was read. */
const kinds = {
  h100: { variant: "r580", gpu: {} },
  h100Cut: { variant: "r580", gpu: { mig: 1, instances } },
  h100Slice: { variant: "r580", gpu: { mig: 1, instances }, position: 1 },
  h100Slice525: { variant: "r525", gpu: { mig: 1, instances }, position: 1 },
  a100: { variant: "r470", gpu: ampere },
  a100Slice: { variant: "r470", gpu: { ...ampere, mig: 1, instances }, position: 1 },
  /** Without a sensor in its memory, NVLink and rows to remap, and with ECC turned off. */
  t4: {
    variant: "r535",
    gpu: {
      hasGpm: false,
      computeCapability: [7, 5],
      eccMode: 0,
      fieldReturnCodes: refused(82, 138, 139, 142, 143, 144, 145),
      returnCodes: { nvmlDeviceGetOfaUtilization: 3 },
    },
  },
  old: { variant: "r418", gpu: { hasGpm: false, computeCapability: [7, 0] } },
} as const satisfies Record<string, DeviceKind>;
type KindName = keyof typeof kinds;
const kindNames = Object.keys(kinds) as KindName[];

/** One character a kind: a value, never (unsupported), or only where somebody asks (pending). */
const legend = { v: "value", "-": "unsupported", p: "pending" } as const;
type Mark = keyof typeof legend;

/** In the order of `kinds`. */
const table: Readonly<Record<ReadingName, string>> = {
  //                              h100  cut  slice  525  a100  its slice  t4  old
  utilizationPercent: "           v     -    v      v    v     -          v   v",
  memoryUtilizationPercent: "     v     -    -      -    v     -          v   v",
  memoryUsedBytes: "              v     v    v      v    v     v          v   v",
  memoryTotalBytes: "             v     v    v      v    v     v          v   v",
  temperatureCelsius: "           v     v    -      -    v     -          v   v",
  memoryTemperatureCelsius: "     v     v    -      -    v     -          -   v",
  powerInstantMilliwatts: "       v     v    -      -    v     -          v   v",
  powerAverageMilliwatts: "       v     v    -      -    -     -          v   -",
  powerLimitMilliwatts: "         v     v    -      -    v     -          v   v",
  energyMillijoules: "            v     v    -      -    v     -          v   v",
  smClockMegahertz: "             v     v    -      -    v     -          v   v",
  memoryClockMegahertz: "         v     v    -      -    v     -          v   v",
  encoderPercent: "               v     -    v      -    v     -          v   v",
  decoderPercent: "               v     -    v      v    v     -          v   v",
  jpegPercent: "                  v     -    v      v    -     -          v   -",
  ofaPercent: "                   v     -    v      v    -     -          -   -",
  throttleReasonsMask: "          v     v    -      -    v     -          v   v",
  performanceState: "             v     v    -      -    v     -          v   v",
  eccCorrectedErrors: "           v     v    -      -    v     -          -   v",
  eccUncorrectedErrors: "         v     v    -      -    v     -          -   v",
  pcieTxKilobytesPerSecond: "     v     v    -      -    p     -          p   p",
  pcieRxKilobytesPerSecond: "     v     v    -      -    p     -          p   p",
  nvlinkTxMegabytesPerSecond: "   v     v    -      -    v     -          -   -",
  nvlinkRxMegabytesPerSecond: "   v     v    -      -    v     -          -   -",
  smUtilizationPercent: "         v     v    v      v    -     -          -   -",
  smOccupancyPercent: "           v     v    v      v    -     -          -   -",
  tensorUtilizationPercent: "     v     v    v      v    -     -          -   -",
  dramBandwidthPercent: "         v     v    v      v    -     -          -   -",
  fp16UtilizationPercent: "       v     v    v      v    -     -          -   -",
  fp32UtilizationPercent: "       v     v    v      v    -     -          -   -",
  fp64UtilizationPercent: "       v     v    v      v    -     -          -   -",
  // Made of the energy by whoever has several samples, not by the driver's collector.
  powerFromEnergyMilliwatts: "",
};

function marks(name: ReadingName): readonly string[] {
  const row = table[name].trim();
  return row === "" ? [] : row.split(/ +/);
}

/** What one reading is of a device. */
function found({ readings, absences }: DeviceSample, name: ReadingName): string {
  return readings[name] === undefined ? `${absences[name]}` : "value";
}

describe.each(kindNames)("%s", (kind) => {
  test("has what the table says, and a reason for each reading that it has not", async () => {
    const { variant, gpu, position = 0 }: DeviceKind = kinds[kind];
    const { nvml, collectAfter } = await harness(variant);
    nvml.set({ gpus: [gpu] });
    for (const ms of [0, 1000, 1000]) collectAfter(ms);
    const device = collectAfter(1000)[position];
    if (device === undefined) throw new Error(`${kind} is not in the collection`);
    const tabled = readingNames.filter((name) => marks(name).length > 0);
    const is = tabled.map((name) => `${name} ${found(device, name)}`);
    const at = kindNames.indexOf(kind);
    const ought = tabled.map((name) => `${name} ${legend[marks(name)[at] as Mark]}`);
    expect(is).toEqual(ought);
    expect([device.health, device.conditions]).toEqual([{ state: "ok" }, []]);
  });
});

test("the table has a mark for each kind", () => {
  const widths = readingNames.map((name) => marks(name).length).filter((width) => width > 0);
  expect(new Set(widths)).toEqual(new Set([kindNames.length]));
  expect(widths).toHaveLength(readingNames.length - 1);
});
