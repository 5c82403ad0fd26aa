import { expect, test } from "bun:test";
import {
  startingPodsMax,
  startsMax,
  triggerRoundMs,
  usageBytesMax,
  usageIdleMinutesMax,
  usageMinutesMax,
  usageObjectsMax,
  usageObjectsShare,
} from "#core/limits.ts";
import {
  type UsageHistory,
  type UsageSample,
  usageBytes,
  usageStore,
} from "#observe/advice/usage-store.ts";
import { manualClock } from "../support/manual-clock.ts";
import { minuteMs, spread, usageSample } from "../support/usage.ts";

const llm = { namespace: "ml", name: "llm" };

function setup() {
  const clock = manualClock(7 * minuteMs);
  const store = usageStore(clock);
  const record = (changes: Partial<UsageSample> = {}) => store.record(llm, usageSample(changes));
  const replicas = () => {
    const history = store.of(llm);
    return Array.from({ length: history?.minutes ?? 0 }, (_, at) => history?.at("replicas", at));
  };
  return { clock, store, record, replicas };
}

test("a minute has what was known, and NaN for what was not", () => {
  const { store, record } = setup();
  record({
    desiredReplicas: 3,
    utilizationPercent: spread(50, 40, 60),
    memoryUsedPercent: spread(90, 89, 91),
    powerWatts: spread(400, 300, 500),
    engine: { name: "vllm", waiting: 0, running: 70_000, runningMost: 20, cachePercentMost: 30 },
  });
  const history = store.of(llm) as UsageHistory;
  const at = (column: Parameters<typeof history.at>[0]) => history.at(column, 0);
  expect([at("replicas"), at("readyReplicas"), at("maxReplicas")]).toEqual([2, 2, 9]);
  expect([at("utilizationLeast"), at("utilizationMean"), at("utilizationMost")]).toEqual([
    40, 50, 60,
  ]);
  expect([at("memoryMean"), at("powerMean"), at("desiredReplicas")]).toEqual([90, 400, 3]);
  // A queue of any length is long: it must not become unknown.
  expect([at("waiting"), at("running"), at("runningMost")]).toEqual([0, 65_504, 20]);
  expect([at("cacheMost"), at("unqueuedMost")]).toEqual([30, Number.NaN]);
  expect(history).toMatchObject({ minReplicas: 1, maxReplicas: 9, engine: "vllm" });
});

test("one sample a minute is kept, and minutes in which none came are empty", () => {
  const { clock, store, record, replicas } = setup();
  expect(store.isDue(llm)).toBe(true);
  record({ replicas: 1 });
  clock.advance(triggerRoundMs);
  expect(store.isDue(llm)).toBe(false);
  record({ replicas: 5 });
  clock.advance(3 * minuteMs);
  expect(store.isDue(llm)).toBe(true);
  record({ replicas: 2 });
  expect(replicas()).toEqual([1, Number.NaN, Number.NaN, 2]);
});

test("the triggers of one object add up: what one does not know, and the most that one asks for", () => {
  const { clock, store, record } = setup();
  record({ desiredReplicas: 3, memoryUsedPercent: spread(90) });
  clock.advance(triggerRoundMs / 20);
  expect(store.isDue(llm)).toBe(true);
  record({ desiredReplicas: 5, engine: { name: "vllm", running: 4 } });
  record({ desiredReplicas: 2 });
  record({});
  const history = store.of(llm);
  expect(history?.at("desiredReplicas", 0)).toBe(5);
  expect(history?.at("running", 0)).toBe(4);
  expect(history?.at("memoryMean", 0)).toBe(90);
  expect(history?.engine).toBe("vllm");
});

test("six hours are kept, and the time is that since the first minute", () => {
  const { clock, store, record, replicas } = setup();
  for (let minute = 0; minute < usageMinutesMax + 10; minute += 1) {
    record({ replicas: minute });
    if (minute === 46) expect(store.of(llm)?.observedMs).toBe(46 * minuteMs);
    clock.advance(minuteMs);
  }
  expect(replicas()).toEqual(Array.from({ length: usageMinutesMax }, (_, at) => at + 10));
  expect(store.of(llm)?.observedMs).toBe(usageMinutesMax * minuteMs);
  clock.advance(2 * usageMinutesMax * minuteMs);
  record({ replicas: 1 });
  expect(replicas().slice(0, -1).every(Number.isNaN)).toBe(true);
});

test("starts count of pods that were observed to start, and the last ones only", () => {
  const { clock, store, record } = setup();
  const readyAfterMs = new Map([
    ["old", 400_000],
    ["new", 90_000],
  ]);
  record({ startingPods: ["new", "gone"], readyAfterMs: new Map([["old", 400_000]]) });
  clock.advance(minuteMs);
  record({ readyAfterMs });
  clock.advance(minuteMs);
  record({ readyAfterMs });
  expect(store.of(llm)?.startsMs).toEqual([90_000]);
  const many = Array.from({ length: startingPodsMax + 1 }, (_, at) => `pod-${at}`);
  clock.advance(minuteMs);
  record({ startingPods: many });
  clock.advance(minuteMs);
  record({ readyAfterMs: new Map(many.map((uid, at) => [uid, at])) });
  const starts = store.of(llm)?.startsMs ?? [];
  expect(starts).toHaveLength(startsMax);
  expect(starts.at(-1)).toBe(startingPodsMax - 1);
});

test("no more objects are kept than fit, a namespace has its share, and what is gone makes room", () => {
  expect(usageObjectsMax * usageBytes).toBeLessThanOrEqual(usageBytesMax);
  const { clock, store } = setup();
  const record = (namespace: string, name: string) =>
    store.record({ namespace, name }, usageSample());
  const isKept = (namespace: string, name: string) => store.of({ namespace, name }) !== undefined;
  for (let at = 0; at <= usageObjectsShare; at += 1) record("one", `llm-${at}`);
  expect(isKept("one", `llm-${usageObjectsShare - 1}`)).toBe(true);
  expect(isKept("one", `llm-${usageObjectsShare}`)).toBe(false);
  for (let at = 0; at < usageObjectsMax - usageObjectsShare; at += 1) record("two", `llm-${at}`);
  record("three", "llm");
  expect(isKept("three", "llm")).toBe(false);
  clock.advance(usageIdleMinutesMax * minuteMs);
  record("two", "llm-0");
  clock.advance(1);
  record("three", "llm");
  expect([isKept("three", "llm"), isKept("two", "llm-0"), isKept("one", "llm-0")]).toEqual([
    true,
    true,
    false,
  ]);
  record("one", "again");
  expect(isKept("one", "again")).toBe(true);
});
