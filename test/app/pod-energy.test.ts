import { expect, test } from "bun:test";
import { podEnergyMeter } from "#app/pod-energy.ts";
import { podEnergyKeptMs } from "#core/limits.ts";
import type { NodeReport, ReportedDevice } from "#telemetry/report.ts";
import { manualClock } from "../support/manual-clock.ts";

/** A device that draws 100 W. */
const device = (index: number, ...pods: readonly string[]): ReportedDevice => ({
  uuid: `GPU-${index}`,
  index,
  vendor: "nvidia",
  model: "H200",
  health: { state: "ok" },
  conditions: [],
  readings: { powerAverageMilliwatts: 100_000 },
  absences: {},
  holders: pods.map((pod) => ({
    namespace: "ml",
    pod,
    container: "main",
    sharedBy: pods.length > 1 ? pods.length : undefined,
  })),
});
const report = (...devices: readonly ReportedDevice[]): NodeReport => ({
  name: "a",
  sampleIntervalMs: 1_000,
  ageMs: 20,
  holdersAgeMs: 3_000,
  session: 1,
  devices,
});

test("a pod's energy is that of the devices which it holds, of a shared one its part", () => {
  const clock = manualClock();
  const { put, totals } = podEnergyMeter(clock);
  const devices = [device(0, "x"), device(1, "x", "y"), device(2)];
  put(report(...devices));
  expect(totals()).toEqual([]);
  clock.advance(1_000);
  put(report(...devices));
  clock.advance(1_000);
  put(report(...devices));
  expect(totals()).toMatchObject([
    { namespace: "ml", pod: "x", joules: 300 },
    { namespace: "ml", pod: "y", joules: 100 },
  ]);
});

test("a pod that holds nothing any more is shown for a while, and then forgotten", () => {
  const clock = manualClock();
  const { put, totals } = podEnergyMeter(clock);
  put(report(device(0, "x")));
  clock.advance(1_000);
  put(report(device(0, "x")));
  clock.advance(podEnergyKeptMs);
  put(report(device(0)));
  expect(totals()).toMatchObject([{ pod: "x", joules: 100 }]);
  clock.advance(1);
  put(report(device(0)));
  expect(totals()).toEqual([]);
});
