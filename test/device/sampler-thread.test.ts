/** The sampler with its real thread: what blocks there must not block here. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "#core/clock.ts";
import { demandHoldMs, samplerStopMs, staleLeastMs } from "#core/limits.ts";
import { startSampler } from "#device/sampler.ts";
import type { TimedCollection } from "#device/thread.ts";
import { spawnThread } from "#device/thread.ts";
import type { SamplerDeath } from "#device/watchdog.ts";
import { type ManualClock, manualClock } from "../support/manual-clock.ts";

const folder = mkdtempSync(join(tmpdir(), "sampler-thread-"));
const hangs = "warn mock collector hangs, as its file says";
/** Ends a sampler; a manual clock must be moved while it waits. */
const endings: (() => Promise<unknown>)[] = [];
let files = 0;

function mockFile(text: string): string {
  const path = join(folder, `${files++}.yaml`);
  writeFileSync(path, text);
  return path;
}

/** A sampler of a mock file, and a way to wait for what it does. */
function sample(
  mockFile: string | undefined,
  clock: Clock | ManualClock = systemClock(),
  sampleIntervalMs = 10,
) {
  const taken: TimedCollection[] = [];
  const deaths: SamplerDeath[] = [];
  const logged: string[] = [];
  const waiting: { readonly holds: () => boolean; readonly done: () => void }[] = [];
  const happened = () => {
    for (const { holds, done } of waiting) if (holds()) done();
  };
  const until = (holds: () => boolean) =>
    new Promise<void>((done) => {
      waiting.push({ holds, done });
      happened();
    });
  const sampler = startSampler({
    options: { collector: "mock", ...(mockFile === undefined ? {} : { mockFile }) },
    sampleIntervalMs,
    watchdogMs: 60_000,
    clock,
    log: (level, event) => {
      logged.push(`${level} ${event}`);
    },
    spawn: ({ onReport, onEnd }) => {
      return spawnThread({
        onReport: (report) => {
          onReport(report);
          happened();
        },
        onEnd: (why) => {
          onEnd(why);
          happened();
        },
      });
    },
    onCollection: (each) => taken.push(each),
    onDead: (death) => deaths.push(death),
  });
  endings.push(() => {
    const stopped = sampler.stop();
    if ("advance" in clock) clock.advance(samplerStopMs);
    return stopped;
  });
  return { ...sampler, taken, deaths, logged, until };
}

afterEach(async () => {
  await Promise.all(endings.splice(0).map((end) => end()));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the sampling thread", () => {
  test("sends collections, timed by the clock of the main thread", async () => {
    const clock = systemClock();
    const beforeMs = clock.monotonicMs();
    const { taken, until, state } = sample(undefined, clock);
    await until(() => taken.length >= 3);
    const afterMs = clock.monotonicMs();
    const times = taken.map(({ takenAtMs }) => takenAtMs);
    expect(times).toEqual(times.toSorted((one, other) => one - other));
    expect(times[0]).toBeGreaterThanOrEqual(beforeMs);
    expect(times.at(-1)).toBeLessThanOrEqual(afterMs);
    expect(taken[0]?.collection.devices).toHaveLength(4);
    expect(state().phase).toBe("sampling");
  });

  test("leaves samples out when a pass is slow", async () => {
    const slow = mockFile("devices: []\nfaults: { slow: { milliseconds: 35 } }");
    const { taken, until, stats } = sample(slow);
    await until(() => taken.length >= 4);
    for (const [index, { takenAtMs, tookMs, skipped }] of taken.entries()) {
      expect(tookMs).toBeGreaterThanOrEqual(34);
      if (index > 0) expect(skipped).toBeGreaterThanOrEqual(3);
      expect(takenAtMs).toBeGreaterThanOrEqual((taken[index - 1]?.takenAtMs ?? 0) + 34);
    }
    expect(stats().skipped).toBeGreaterThanOrEqual(9);
  });

  test("takes costly readings while somebody asks", async () => {
    const clock = manualClock();
    const file = mockFile("devices: [{ readings: { pcieTxKilobytesPerSecond: 7 } }]");
    const { demand, taken, until } = sample(file, clock);
    const reading = () => taken.at(-1)?.collection.devices[0]?.readings.pcieTxKilobytesPerSecond;
    await until(() => taken.length > 0);
    expect(reading()).toBeUndefined();
    demand({ pcieThroughput: true });
    await until(() => reading() === 7);
    for (let passedMs = 0; passedMs < demandHoldMs; passedMs += 30_000) {
      const seen = taken.length;
      clock.advance(30_000);
      await until(() => taken.length > seen);
    }
    await until(() => reading() === undefined);
  });

  test("survives a bad file, and plays it when it is good", async () => {
    const path = mockFile("devices: 3");
    const { state, taken, until, stats } = sample(path);
    await until(() => stats().faults >= 2);
    expect(state()).toMatchObject({ phase: "starting", fault: { code: "file-invalid" } });
    writeFileSync(path, "devices: [{ readings: { encoderPercent: 3 } }]");
    await until(() => taken.length > 0);
    expect(state().phase).toBe("sampling");
    expect(taken[0]?.collection.devices[0]?.readings).toEqual({ encoderPercent: 3 });
  });

  test("that hangs leaves the data stale, and then the sampler dead", async () => {
    const clock = manualClock();
    const path = mockFile("devices: [{}]");
    const { state, taken, deaths, logged, until } = sample(path, clock);
    await until(() => taken.length > 0);
    writeFileSync(path, "devices: [{}]\nfaults: { hang: true }");
    await until(() => logged.includes(hangs));
    expect(deaths).toEqual([]);
    // The thread's time went on by itself, so the newest sample may be a little ahead of the clock.
    clock.advance(staleLeastMs + 10_000);
    expect(state().phase).toBe("stalled");
    clock.advance(60_000);
    expect(deaths).toMatchObject([{ cause: "no-report" }]);
  });

  test("that hangs does not keep a stop from returning", async () => {
    const { logged, stop, until } = sample(mockFile("devices: []\nfaults: { hang: true }"));
    await until(() => logged.includes(hangs));
    expect(await stop()).toBe(false);
  });

  test("ends within a stop, and lets the process go on", async () => {
    const { stop, taken, until, deaths } = sample(undefined);
    await until(() => taken.length > 0);
    expect(await stop()).toBe(true);
    expect(deaths).toEqual([]);
  });

  test("that ends by an error is a death with that error", async () => {
    // An interval of 0 breaks an invariant of the loop, which is a bug and no fault.
    const { deaths, until } = sample(undefined, systemClock(), 0);
    await until(() => deaths.length > 0);
    expect(deaths).toMatchObject([
      { cause: "thread-ended", message: expect.stringContaining("sampleIntervalMs is above 0") },
    ]);
  });
});
