import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { energyPowerMs } from "#core/limits.ts";
import type { Collection } from "#device/collector.ts";
import { withPowerFromEnergy } from "#device/energy-power.ts";
import type { DeviceSample } from "#metric/sample.ts";
import { manualClock } from "../support/manual-clock.ts";

const device: Omit<DeviceSample, "readings"> = {
  uuid: "GPU-a",
  index: 0,
  vendor: "nvidia",
  model: "H100",
  health: { state: "ok" },
  conditions: [],
  absences: {},
};

/** Passes over one device, each a while after the one before; a counter that is absent is `undefined`. */
function passes(begin: { readonly session?: number } = {}) {
  const clock = manualClock();
  let { session = 1 } = begin;
  let energyMillijoules: number | undefined;
  const { collect } = withPowerFromEnergy(
    {
      name: "mock",
      collect: (): Collection => ({
        session,
        devices: [
          {
            ...device,
            readings: energyMillijoules === undefined ? {} : { energyMillijoules },
            absences: energyMillijoules === undefined ? { energyMillijoules: "unsupported" } : {},
          },
        ],
      }),
      close: () => {},
    },
    clock,
  );
  return {
    newSession: () => {
      session += 1;
    },
    powerAfter: async (ms: number, millijoules: number | undefined) => {
      clock.advance(ms);
      energyMillijoules = millijoules;
      const [taken] = (await collect({ pcieThroughput: false })).devices;
      return taken?.readings.powerFromEnergyMilliwatts ?? taken?.absences.powerFromEnergyMilliwatts;
    },
  };
}

interface Step {
  readonly ms: number;
  readonly milliwatts: number;
  readonly isReset: boolean;
}

async function expectPowerOfSteps(steps: readonly Step[]) {
  const { powerAfter } = passes();
  let millijoules = 7_000_000;
  await powerAfter(0, millijoules);
  let drawn: number[] = [];
  for (const { ms, milliwatts, isReset } of steps) {
    // A counter at 0 cannot go back.
    const goesBack = isReset && millijoules > 0;
    drawn = goesBack ? [] : [...drawn, milliwatts];
    millijoules = goesBack ? 0 : millijoules + (milliwatts * ms) / 1_000;
    const power = await powerAfter(ms, millijoules);
    if (goesBack) expect(power).toBe("pending");
    else
      expect(Number(power)).toBeWithin(
        Math.min(...drawn) * (1 - 1e-6),
        Math.max(...drawn) * (1 + 1e-6),
      );
  }
}

describe("power from energy", () => {
  test("is the mean of the last seconds", async () => {
    const { powerAfter } = passes();
    expect(await powerAfter(0, 1_000)).toBe("pending");
    expect(await powerAfter(1_000, 301_000)).toBe(300_000);
    expect(await powerAfter(1_000, 401_000)).toBe(200_000);
    // The counter of 10 s ago is too old, and that of one second ago alone says nothing of the time before.
    expect(await powerAfter(10_000, 1_401_000)).toBe(100_000);
    expect(await powerAfter(1_000, 2_501_000)).toBe((2_100 / 11) * 1_000);
  });

  test("is not known across a reset of the counter, nor across sessions", async () => {
    const { powerAfter, newSession } = passes();
    await powerAfter(0, 5_000_000);
    expect(await powerAfter(1_000, 10)).toBe("pending");
    expect(await powerAfter(1_000, 200_010)).toBe(200_000);
    newSession();
    // The driver was loaded anew, and counted past the old value.
    expect(await powerAfter(1_000, 9_000_000)).toBe("pending");
  });

  test("is absent as the counter is, and where the counter stands still", async () => {
    const { powerAfter } = passes();
    expect(await powerAfter(0, undefined)).toBe("unsupported");
    await powerAfter(1_000, 5_000);
    expect(await powerAfter(1_000, 5_000)).toBe("implausible");
    expect(await powerAfter(1_000, 1e15)).toBe("implausible");
  });

  test("never spans a reset, and is never more than was drawn, whatever comes", async () => {
    const step = fc.record({
      ms: fc.integer({ min: 1, max: 3 * energyPowerMs }),
      milliwatts: fc.integer({ min: 1, max: 1_000_000 }),
      isReset: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), expectPowerOfSteps),
    );
  });
});
