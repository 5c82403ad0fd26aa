import { expect, test } from "bun:test";
import fc from "fast-check";
import { answerer } from "#answer/answerer.ts";
import { unlessFault } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import { fleetStore } from "#fleet/store.ts";
import type { FleetDevice } from "#fleet/view.ts";
import { type MetricName, metricNames, metricOf } from "#metric/catalogue.ts";
import { type Absence, type ReadingName, readingNames, readingRanges } from "#metric/reading.ts";
import { reducerNames } from "#metric/reduce.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { clock, gpu, node, nowMs, storeOf } from "./fleet.ts";

const ref = { namespace: "", name: "", scalerMetadata: {} };
const deviceMetrics = metricNames.filter((name) => metricOf(name).source === "device");
/** A series must be named besides. */
const plainMetrics = metricNames.filter((name) => name !== "engine_metric");
const absences: Absence[] = ["unsupported", "not-permitted", "failed", "implausible", "pending"];
const times = fc.integer({ min: nowMs - 2 * missingGraceMs, max: nowMs });

type Reading = { value: number } | { absence: Absence; sinceMs: number } | undefined;
const readingOf = (name: ReadingName): fc.Arbitrary<Reading> =>
  fc.oneof(
    {
      weight: 20,
      arbitrary: fc
        .double({ min: readingRanges[name].least, max: readingRanges[name].most, noNaN: true })
        .map((value) => ({ value })),
    },
    { weight: 1, arbitrary: fc.record({ absence: fc.constantFrom(...absences), sinceMs: times }) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
const readingsOf = fc.record(
  Object.fromEntries(readingNames.map((name) => [name, readingOf(name)])) as Record<
    ReadingName,
    fc.Arbitrary<Reading>
  >,
);

function deviceOf(index: number, all: Record<ReadingName, Reading>): FleetDevice {
  const made = { readings: {}, absences: {}, absentSinceMs: {} } as {
    readings: Record<string, number>;
    absences: Record<string, Absence>;
    absentSinceMs: Record<string, number>;
  };
  for (const [name, reading] of Object.entries(all)) {
    if (reading === undefined) continue;
    if ("value" in reading) made.readings[name] = reading.value;
    else {
      made.absences[name] = reading.absence;
      made.absentSinceMs[name] = reading.sinceMs;
    }
  }
  return gpu({ index, ...made });
}

const health = fc.oneof(
  { weight: 9, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: times.map((unwellSinceMs) => ({
      health: { state: "lost", reason: "gone" } as const,
      conditions: [],
      unwellSinceMs,
    })),
  },
);
const devices = fc
  .array(fc.tuple(readingsOf, health), { maxLength: 8 })
  .map((all) =>
    all.map(([readings, state], index) => ({ ...deviceOf(index, readings), ...state })),
  );
const triggers = fc
  .record({
    metricType: fc.constantFrom<MetricName>(...plainMetrics),
    activationMetricType: fc.constantFrom<MetricName>(...plainMetrics),
    aggregation: fc.constantFrom(...reducerNames),
    activationThreshold: fc.constantFrom("0", "50", "1000"),
    gpuIndex: fc.constantFrom("-1", "-1", "0", "3"),
  })
  .map((metadata) => parseTrigger({ ...metadata, targetValue: "80" }));

test("whatever the fleet, a value is finite and not negative, and all else is a fault", () => {
  let values = 0;
  fc.assert(
    fc.property(devices, triggers, (fleet, trigger) => {
      const answers = answerer({ store: storeOf([node(fleet)]), clock, localNode: "a" });
      const answer = unlessFault(() => answers.value(ref, trigger));
      const activity = unlessFault(() => answers.activity(ref, trigger));
      if (activity !== undefined) expect(activity.active).toBeBoolean();
      if (answer === undefined) return;
      values += 1;
      expect(answer.value).toBeFinite();
      expect(answer.value).toBeGreaterThanOrEqual(0);
      const counted = answer.explanation.devices.filter(({ value }) => value !== undefined);
      expect(counted.length).toBeGreaterThan(0);
      for (const { reason, value } of answer.explanation.devices)
        expect(reason === undefined).toBe(value !== undefined);
    }),
    { numRuns: 1000 },
  );
  expect(values).toBeGreaterThan(50);
});

test("within the grace, data that goes missing neither lowers a value nor ends activity", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1, maxLength: 8 }),
      fc.array(fc.option(times, { nil: undefined }), { minLength: 8, maxLength: 8 }),
      fc.constantFrom(...reducerNames),
      fc.constantFrom("0", "20", "80"),
      (percents, lostSinceMs, aggregation, activationThreshold) => {
        const whole = percents.map((utilizationPercent, index) =>
          gpu({ index, readings: { utilizationPercent } }),
        );
        const partial = whole.map((device) => {
          const unwellSinceMs = lostSinceMs[device.index];
          if (unwellSinceMs === undefined) return device;
          const state = { state: "lost", reason: "gone" } as const;
          return { ...device, readings: {}, health: state, unwellSinceMs };
        });
        const trigger = parseTrigger({ aggregation, activationThreshold });
        const ask = (fleet: FleetDevice[]) =>
          answerer({ store: storeOf([node(fleet)]), clock, localNode: "a" });
        const anyMissing = partial.some(({ health }) => health.state !== "ok");
        const inGrace = partial.some(
          ({ unwellSinceMs = Number.NEGATIVE_INFINITY }) => nowMs - unwellSinceMs <= missingGraceMs,
        );
        const full = ask(whole).value(ref, trigger).value;
        const left = unlessFault(() => ask(partial).value(ref, trigger).value);
        if (inGrace && left !== undefined) expect(left).toBeGreaterThanOrEqual(full);
        const activity = unlessFault(() => ask(partial).activity(ref, trigger));
        if (inGrace && activity !== undefined) expect(activity.active).toBe(true);
        if (!anyMissing) expect(activity?.active).toBe(full > Number(activationThreshold));
      },
    ),
    { numRuns: 500 },
  );
});

test("every device metric can be asked of a device that has every reading", () => {
  const readings = Object.fromEntries(readingNames.map((name) => [name, 10]));
  const answers = answerer({ store: storeOf([node([gpu({ readings })])]), clock, localNode: "a" });
  for (const metricType of deviceMetrics)
    expect(
      answers.value(ref, parseTrigger({ metricType, targetValue: "80" })).value,
    ).toBeGreaterThan(0);
});

test("over the real store: a window, a device that is lost, and the end of its grace", () => {
  let passedMs = 0;
  const moving = { ...clock, monotonicMs: () => nowMs + passedMs };
  const store = fleetStore({ clock: moving });
  const answers = answerer({ store, clock: moving, localNode: "a" });
  const trigger = parseTrigger({ windowSeconds: "60", aggregation: "sum" });
  const put = (first: number, second: number | undefined) =>
    store.put({
      name: "a",
      sampleIntervalMs: 1_000,
      ageMs: 0,
      session: 1,
      devices: [first, second].map((utilizationPercent, index) => ({
        uuid: `GPU-${index}`,
        index,
        vendor: "nvidia",
        model: "H200",
        holders: [],
        conditions: [],
        ...(utilizationPercent === undefined
          ? {
              health: { state: "lost" as const, reason: "gone" },
              readings: {},
              absences: { utilizationPercent: "failed" as const },
            }
          : { health: { state: "ok" as const }, readings: { utilizationPercent }, absences: {} }),
      })),
    });
  const value = () => answers.value(ref, trigger).value;

  put(10, 50);
  expect(value()).toBe(60);
  passedMs = 1_000;
  put(20, 60);
  passedMs = 2_000;
  put(40, 80);
  expect(value()).toBe(100);
  passedMs = 3_000;
  const lostMs = passedMs;
  for (; passedMs <= lostMs + missingGraceMs; passedMs += 1_000) {
    put(30, undefined);
    expect(value).toThrow("waited for 300 s");
  }
  put(30, undefined);
  expect(value()).toBe(30);
  passedMs += 1_000;
  put(30, 70);
  expect(value()).toBe(100);
});
