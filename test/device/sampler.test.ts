import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { demandHoldMs, samplerStopMs, staleLeastMs } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import { startSampler } from "#device/sampler.ts";
import type { ThreadCommand, ThreadEvents, ThreadReport } from "#device/thread.ts";
import type { SamplerDeath, SamplerState } from "#device/watchdog.ts";
import { manualClock } from "../support/manual-clock.ts";

const watchdogMs = 60_000;
const collection = { session: 1, devices: [] };
const missing = new Fault("library-missing", "Cannot load it", { paths: ["x"] });
const failed = (fatal: boolean) =>
  new Fault("library-failed", `It failed (fatal: ${fatal})`, { symbol: "s", returnCode: 9, fatal });
const badFile = new Fault("file-invalid", "Cannot play it", { path: "x", problems: ["y"] });

/** A sampler whose thread is played by the test. */
function sampler(
  settings: { readonly sampleIntervalMs?: number; readonly watchdogMs?: number } = {},
) {
  const clock = manualClock(1_000_000);
  const orders: ThreadCommand[] = [];
  const deaths: SamplerDeath[] = [];
  const changes: SamplerState[] = [];
  const logged: string[] = [];
  const taken: number[] = [];
  let abandoned = 0;
  let events: ThreadEvents | undefined;
  const log: Log = (level, event) => logged.push(`${level} ${event}`);
  const made = startSampler({
    options: { collector: "mock" },
    sampleIntervalMs: 1_000,
    watchdogMs,
    clock,
    log,
    spawn: (given) => {
      events = given;
      return { post: (order) => orders.push(order), abandon: () => (abandoned += 1) };
    },
    onCollection: ({ takenAtMs }) => taken.push(takenAtMs),
    onChange: (state) => changes.push(state),
    onDead: (death) => deaths.push(death),
    ...settings,
  });
  const report = (each: ThreadReport) => events?.onReport(each);
  const pass = { tookMs: 2, skipped: 0 };
  return {
    ...made,
    clock,
    orders,
    deaths,
    changes,
    logged,
    taken,
    abandoned: () => abandoned,
    ready: () => report({ kind: "ready" }),
    report,
    took: (ageMs = 0) =>
      report({ kind: "collection", collection, takenAtMs: clock.monotonicMs() - ageMs, ...pass }),
    fault: ({ code, message, facts }: Fault) =>
      report({ kind: "fault", fault: { code, message, facts }, takenAtMs: 0, ...pass }),
    end: (why: string) => events?.onEnd(why),
  };
}

describe("the sampler", () => {
  test("starts the thread when it is ready, with the time of that moment", () => {
    const { clock, orders, ready } = sampler();
    clock.advance(250);
    expect(orders).toEqual([]);
    ready();
    const options = { collector: "mock" } as const;
    const demand = { pcieThroughput: false };
    expect(orders).toEqual([
      { kind: "start", options, sampleIntervalMs: 1_000, demand, nowMs: 1_000_250 },
    ]);
  });

  test("hands on each collection and counts the passes", () => {
    const { clock, took, fault, taken, stats, report } = sampler();
    took();
    clock.advance(1_000);
    fault(missing);
    report({ kind: "collection", collection, takenAtMs: 1_000_900, tookMs: 5, skipped: 3 });
    expect(taken).toEqual([1_000_000, 1_000_900]);
    expect(stats()).toEqual({ collections: 2, faults: 1, skipped: 3, passMsTotal: 9 });
  });

  test("writes the lines of its thread", () => {
    const { logged, report } = sampler();
    report({ kind: "log", level: "warn", event: "driver is slow", facts: undefined });
    expect(logged).toEqual(["warn driver is slow"]);
  });

  test("is stalled when the newest collection is too old, and says so once", () => {
    const { clock, took, state, logged, changes } = sampler();
    took();
    clock.advance(staleLeastMs - 1);
    expect(state()).toEqual({ phase: "sampling", takenAtMs: 1_000_000 });
    clock.advance(1);
    expect(state()).toEqual({ phase: "stalled", takenAtMs: 1_000_000 });
    clock.advance(20_000);
    took();
    took();
    expect(state().phase).toBe("sampling");
    expect(changes.map(({ phase }) => phase)).toEqual(["sampling", "stalled", "sampling"]);
    expect(logged).toEqual(["info sampling", "warn sampling stalled", "info sampling"]);
  });

  test("is stalled by a collection that is old when it comes", () => {
    const { took, state } = sampler();
    took(staleLeastMs);
    expect(state().phase).toBe("stalled");
  });

  test("is stalled when no collection came in time", () => {
    const { clock, fault, state } = sampler();
    fault(missing);
    expect(state()).toMatchObject({ phase: "starting", fault: { code: "library-missing" } });
    clock.advance(staleLeastMs);
    expect(state()).toMatchObject({ phase: "stalled", fault: { message: "Cannot load it" } });
  });

  test("tells of a fault when it comes and when it goes, not at each pass", () => {
    const { took, fault, state, logged, changes } = sampler();
    took();
    for (let pass = 0; pass < 3; pass++) fault(failed(false));
    expect(state().fault).toBeInstanceOf(Fault);
    took();
    took();
    expect(state()).not.toHaveProperty("fault");
    expect(changes).toHaveLength(3);
    expect(logged).toEqual([
      "info sampling",
      "warn no device session",
      "info device session is back",
    ]);
  });
});

describe("the watchdog bites", () => {
  test("when no pass ends", () => {
    const { clock, took, deaths, state, logged } = sampler();
    took();
    clock.advance(watchdogMs - 1);
    expect(deaths).toEqual([]);
    clock.advance(1);
    const message =
      "Cannot sample devices: no pass ended for 60000 ms; end this process, so that it is started again";
    expect(deaths).toEqual([{ cause: "no-report", message }]);
    expect(state().phase).toBe("dead");
    expect(logged.at(-1)).toBe("error sampling is dead");
  });

  test("when the thread never starts", () => {
    const { clock, deaths } = sampler();
    clock.advance(watchdogMs);
    expect(deaths).toMatchObject([{ cause: "no-report" }]);
  });

  test("when there never was a session, however often that is reported", () => {
    const { clock, fault, deaths } = sampler();
    for (let passed = 0; passed < watchdogMs; passed += 1_000) {
      expect(deaths).toEqual([]);
      fault(missing);
      clock.advance(1_000);
    }
    expect(deaths).toMatchObject([{ cause: "no-session", fault: { code: "library-missing" } }]);
  });

  test("when there is no session for too long, however often that is reported", () => {
    const { clock, took, fault, deaths } = sampler();
    took();
    for (let passed = 0; passed < watchdogMs; passed += 1_000) {
      expect(deaths).toEqual([]);
      fault(missing);
      clock.advance(1_000);
    }
    expect(deaths).toMatchObject([{ cause: "no-session", fault: { code: "library-missing" } }]);
    expect(deaths[0]?.message).toContain("(Cannot load it)");
  });

  test("at once when no retry can help", () => {
    const { fault, deaths } = sampler();
    fault(failed(false));
    expect(deaths).toEqual([]);
    fault(failed(true));
    expect(deaths).toMatchObject([{ cause: "fatal-fault", fault: { code: "library-failed" } }]);
  });

  test("when the thread ends by itself", () => {
    const { end, deaths } = sampler();
    end("boom");
    expect(deaths).toMatchObject([
      { cause: "thread-ended", message: expect.stringContaining("boom") },
    ]);
  });

  test("once", () => {
    const { clock, end, fault, took, deaths, taken } = sampler();
    clock.advance(watchdogMs);
    fault(failed(true));
    took();
    end("boom");
    clock.advance(watchdogMs);
    expect(deaths).toHaveLength(1);
    expect(taken).toEqual([]);
  });

  test("never because of a mock file, which a new process would find as it is", () => {
    const { clock, fault, deaths, state } = sampler();
    for (let passed = 0; passed < 3 * watchdogMs; passed += 1_000) {
      fault(badFile);
      clock.advance(1_000);
    }
    expect(deaths).toEqual([]);
    expect(state()).toMatchObject({ phase: "stalled", fault: { code: "file-invalid" } });
  });

  test("not before the data is stale, when the interval is longer than the watchdog", () => {
    const { clock, took, deaths } = sampler({ sampleIntervalMs: 30_000, watchdogMs: 10_000 });
    took();
    clock.advance(89_999);
    expect(deaths).toEqual([]);
    clock.advance(1);
    expect(deaths).toHaveLength(1);
  });
});

describe("demand", () => {
  const ask = { pcieThroughput: true };
  const demands = (orders: readonly ThreadCommand[]) =>
    orders.flatMap((order) => (order.kind === "demand" ? [order.demand.pcieThroughput] : []));

  test("crosses to the thread when it begins, and when nobody renewed it", () => {
    const { clock, demand, orders } = sampler({ watchdogMs: 10 * demandHoldMs });
    demand(ask);
    clock.advance(demandHoldMs - 1);
    demand(ask);
    clock.advance(demandHoldMs - 1);
    expect(demands(orders)).toEqual([true]);
    clock.advance(1);
    expect(demands(orders)).toEqual([true, false]);
    demand(ask);
    expect(demands(orders)).toEqual([true, false, true]);
  });

  test("of nothing is no demand", () => {
    const { demand, orders } = sampler();
    demand({ pcieThroughput: false });
    expect(orders).toEqual([]);
  });

  test("from before the thread was ready is in its start", () => {
    const { demand, orders, ready } = sampler();
    demand(ask);
    ready();
    expect(orders.at(-1)).toMatchObject({ kind: "start", demand: ask });
  });

  test("for processes crosses when the devices change, beside what else is demanded", () => {
    const { clock, demand, tellProcesses, orders } = sampler({ watchdogMs: 10 * demandHoldMs });
    const both = (pcieThroughput: boolean, ...processesOf: readonly string[]) => ({
      kind: "demand" as const,
      demand: { pcieThroughput, processesOf },
    });
    tellProcesses([]);
    tellProcesses(["GPU-1"]);
    tellProcesses(["GPU-1"]);
    demand(ask);
    clock.advance(demandHoldMs);
    tellProcesses([]);
    expect(orders).toEqual([
      both(false, "GPU-1"),
      both(true, "GPU-1"),
      both(false, "GPU-1"),
      both(false),
    ]);
  });
});

describe("stop()", () => {
  test("asks the thread to let go of the driver and waits for its end", async () => {
    const { stop, end, orders, state, deaths } = sampler();
    const stopped = stop();
    expect(orders).toEqual([{ kind: "close" }]);
    end("it ended with code 0");
    expect(await stopped).toBe(true);
    expect(state().phase).toBe("stopped");
    expect(deaths).toEqual([]);
  });

  test("leaves a thread behind that does not end", async () => {
    const { stop, clock, abandoned } = sampler();
    const stopped = stop();
    expect(stop()).toBe(stopped);
    clock.advance(samplerStopMs);
    expect(await stopped).toBe(false);
    expect(abandoned()).toBe(1);
  });

  test("has nothing to wait for when the thread is gone", async () => {
    const { stop, end, orders } = sampler();
    end("boom");
    expect(await stop()).toBe(true);
    expect(orders).toEqual([]);
  });

  test("ends the watchdog and every report", async () => {
    const { stop, clock, took, fault, taken, deaths, changes } = sampler();
    void stop();
    took();
    fault(failed(true));
    clock.advance(10 * watchdogMs);
    expect([taken, deaths]).toEqual([[], []]);
    expect(changes.map(({ phase }) => phase)).toEqual(["stopped"]);
  });
});
