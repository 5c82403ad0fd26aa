import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { eccCalls, fastCalls, pcieCalls, powerUsageCalls, slowCalls } from "#device/nvml/calls.ts";
import { newDraft } from "#device/nvml/draft.ts";
import { takeMetrics } from "#device/nvml/gpm.ts";
import { sysfsBusId } from "#device/nvml/identity.ts";
import {
  type Layout,
  layouts,
  readU64,
  struct,
  structVersion,
  writeU64,
} from "#device/nvml/layout.ts";
import { isPlausible, type ReadingName, readingRanges } from "#metric/reading.ts";

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
  gpmMetric: [40, { metricId: 0, nvmlReturn: 4, value: 8, shortName: 16, longName: 24, unit: 32 }],
  gpmMetricsGet: [24, { version: 0, numMetrics: 4, sample1: 8, sample2: 16 }],
  gpmSupport: [8, { version: 0, isSupportedDevice: 4 }],
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

function expectAdmitted(draft: ReturnType<typeof newDraft>, makes: readonly ReadingName[]): void {
  for (const name of makes) {
    const value = draft.readings[name];
    expect((value === undefined) !== (draft.absences[name] === undefined)).toBe(true);
    if (value === undefined) continue;
    expect(isPlausible(name, value)).toBe(true);
    expect(Number.isFinite(value)).toBe(true);
    expect(value).toBeGreaterThanOrEqual(readingRanges[name].least);
  }
}

describe("whatever bytes the driver leaves", () => {
  test.each(symbols.map(({ makes, row }) => [row.symbol, makes, row] as const))(
    "%s makes each reading or its absence",
    (_symbol, makes, row) => {
      fc.assert(
        fc.property(bytes(Math.max(row.sizeBytes, 8)), (pattern) => {
          const draft = newDraft();
          row.read(new DataView(pattern.slice().buffer), draft);
          expectAdmitted(draft, makes);
        }),
      );
    },
  );

  test.each(symbols.map(({ makes, row }) => [row.symbol, makes, row] as const))(
    "%s makes nothing of memory that was not written",
    (_symbol, makes, row) => {
      const draft = newDraft();
      row.read(new DataView(new Uint8Array(64).fill(0x7f).buffer), draft);
      expect(draft.readings).toEqual({});
      expect(Object.keys(draft.absences).toSorted()).toEqual([...makes].toSorted());
    },
  );

  test("GPM makes readings in their range only", () => {
    fc.assert(
      fc.property(fc.array(fc.double(), { minLength: 8, maxLength: 8 }), (values) => {
        const memory = new DataView(new ArrayBuffer(24 + 40 * values.length));
        for (const [nth, value] of values.entries()) memory.setFloat64(32 + 40 * nth, value, true);
        const draft = newDraft();
        const patient = {
          health: { state: "ok" },
          isFresh: false,
          isStale: false,
          unknown: undefined,
        } as const;
        expect(takeMetrics(memory, draft, { ...patient })).toBe(true);
        for (const [name, value] of Object.entries(draft.readings))
          expect(isPlausible(name as ReadingName, value)).toBe(true);
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
