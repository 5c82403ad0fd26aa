import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { eccCalls, fastCalls, pcieCalls, powerUsageCalls, slowCalls } from "#device/nvml/calls.ts";
import { metricsResult } from "#device/nvml/gpm.ts";
import { chipMetrics } from "#device/nvml/gpm-api.ts";
import { sysfsBusId } from "#device/nvml/identity.ts";
import {
  type Layout,
  layouts,
  readU64,
  struct,
  structVersion,
  writeU64,
} from "#device/nvml/layout.ts";
import { isPlausible, type ReadingName } from "#metric/reading.ts";

/** As nvml.h has them; nvml.c asserts the same on its side. */
const offsets: Record<keyof typeof layouts, [sizeBytes: number, at: Record<string, number>]> = {
  utilization: [8, { gpu: 0, memory: 4 }],
  memoryV1: [24, { total: 0, free: 8, used: 16 }],
  memoryV2: [40, { version: 0, total: 8, reserved: 16, free: 24, used: 32 }],
  pciInfo: [
    68,
    {
      busIdLegacy: 0,
      domain: 16,
      bus: 20,
      device: 24,
      pciDeviceId: 28,
      pciSubSystemId: 32,
      busId: 36,
    },
  ],
  fieldValue: [
    40,
    {
      fieldId: 0,
      scopeId: 4,
      timestamp: 8,
      latencyUsec: 16,
      valueType: 24,
      nvmlReturn: 28,
      value: 32,
    },
  ],
  temperature: [12, { version: 0, sensorType: 4, temperature: 8 }],
  eventData: [
    32,
    { device: 0, eventType: 8, eventData: 16, gpuInstanceId: 24, computeInstanceId: 28 },
  ],
  gpmMetric: [40, { metricId: 0, nvmlReturn: 4, value: 8, shortName: 16, longName: 24, unit: 32 }],
  gpmMetricsGet: [24, { version: 0, numMetrics: 4, sample1: 8, sample2: 16 }],
  gpmSupport: [8, { version: 0, isSupportedDevice: 4 }],
  deviceAttributes: [
    40,
    {
      multiprocessorCount: 0,
      sharedCopyEngineCount: 4,
      sharedDecoderCount: 8,
      sharedEncoderCount: 12,
      sharedJpegCount: 16,
      sharedOfaCount: 20,
      gpuInstanceSliceCount: 24,
      computeInstanceSliceCount: 28,
      memorySizeMb: 32,
    },
  ],
  processInfo: [16, { pid: 0, usedGpuMemory: 8 }],
  processUtilization: [
    32,
    { pid: 0, timeStamp: 8, smUtil: 16, memUtil: 20, encUtil: 24, decUtil: 28 },
  ],
  gpuInstanceInfo: [24, { device: 0, id: 8, profileId: 12, placementStart: 16, placementSize: 20 }],
};

describe("layouts", () => {
  test.each(Object.keys(layouts) as (keyof typeof layouts)[])("%s is nvml.h's", (name) => {
    const [sizeBytes, at] = offsets[name];
    const layout: Layout<string> = layouts[name];
    expect(layout).toEqual({ sizeBytes, at });
  });

  test("carry nvml.h's versions", () => {
    expect(structVersion(layouts.memoryV2, 2)).toBe(0x0200_0028);
    expect(structVersion(layouts.temperature, 1)).toBe(0x0100_000c);
  });

  test("end where their widest member's next one would begin", () => {
    expect(struct(3, { text: 3 }).sizeBytes).toBe(3);
    expect(struct(16, { wide: "u64", narrow: "u32" }).at).toEqual({ wide: 0, narrow: 8 });
  });

  test("refuse a size that their members do not have", () => {
    expect(() => struct(12, { first: "u32", second: "u64" })).toThrow("nvml.h says 12");
  });

  test("read back any address that was written", () => {
    const memory = new DataView(new ArrayBuffer(8));
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        writeU64(memory, 0, value);
        expect(readU64(memory, 0)).toBe(value);
        expect(memory.getBigUint64(0, true)).toBe(BigInt(value));
      }),
    );
  });
});

const symbols = [
  ...fastCalls,
  ...slowCalls,
  ...eccCalls,
  ...pcieCalls,
  ...Object.values(powerUsageCalls),
].flatMap(({ makes, symbols: rows }) => rows.map((row) => ({ makes, row })));

/** Patterns that drivers leave, beside random ones. */
const bytes = (length: number) =>
  fc.oneof(
    fc.uint8Array({ minLength: length, maxLength: length }),
    fc.constantFrom(0x00, 0x7f, 0x80, 0xff).map((byte) => new Uint8Array(length).fill(byte)),
  );

/** What the decoders of a row make of the memory, by reading. */
function decoded({ makes, row }: (typeof symbols)[number], bytes: Uint8Array) {
  const memory = new DataView(bytes.slice().buffer);
  expect(row.decode).toHaveLength(makes.length);
  return row.decode.map((decode, nth) => [makes[nth] as ReadingName, decode(memory)] as const);
}

describe("whatever bytes the driver leaves", () => {
  const rows = symbols.map((each) => [each.row.symbol, each] as const);

  test.each(rows)("%s makes a number or an absence", (_symbol, each) => {
    fc.assert(
      fc.property(bytes(Math.max(each.row.sizeBytes, 8)), (pattern) => {
        for (const [, outcome] of decoded(each, pattern))
          expect(["number", "string"]).toContain(typeof outcome);
      }),
    );
  });

  test.each(rows)("%s makes nothing believable of memory that was not written", (_symbol, each) => {
    for (const [name, outcome] of decoded(each, new Uint8Array(64).fill(0x7f)))
      expect(typeof outcome === "number" && isPlausible(name, outcome)).toBe(false);
  });

  test("GPM leaves NVLink to its counters when its own value cannot be true", () => {
    const { length } = chipMetrics.makes;
    const drawn = fc.array(fc.double(), { minLength: length, maxLength: length });
    fc.assert(
      fc.property(drawn, (values) => {
        const memory = new DataView(new ArrayBuffer(24 + 40 * values.length));
        for (const [nth, value] of values.entries()) memory.setFloat64(32 + 40 * nth, value, true);
        const { makes, outcomes, answered, refusals } = metricsResult(memory);
        expect([outcomes.length, answered, refusals]).toEqual([makes.length, 1, []]);
        for (const [nth, { name }] of makes.entries()) {
          const outcome = outcomes[nth];
          if (!name.startsWith("nvlink")) expect(outcome).toBeNumber();
          else if (outcome !== undefined)
            expect(typeof outcome === "number" && isPlausible(name, outcome)).toBe(true);
        }
      }),
    );
  });
});

describe("sysfsBusId()", () => {
  test.each([
    ["00000000:3B:00.0", "0000:3b:00.0"],
    ["00010000:01:00.0", "10000:01:00.0"],
    ["0000:3b:00.0", "0000:3b:00.0"],
    ["", undefined],
    ["3B:00.0", undefined],
  ])("%p is %p", (busId, expected) => expect(sysfsBusId(busId)).toBe(expected));
});
