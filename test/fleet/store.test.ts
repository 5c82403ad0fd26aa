import { describe, expect, test } from "bun:test";
import type { Clock } from "#core/clock.ts";
import { fleetStore } from "#fleet/store.ts";
import type { FleetDevice } from "#fleet/view.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { NodeReport } from "#telemetry/report.ts";

type ReportedDevice = NodeReport["devices"][number];

/** A clock that stands still until it is told to go on; the store sets no timers. */
function standingClock() {
  let nowMs = 100_000;
  const unused = () => {
    throw new Error("The store sets no timers");
  };
  const clock: Clock = {
    wallMs: unused,
    monotonicMs: () => nowMs,
    after: unused,
    every: unused,
  };
  return { clock, pass: (ms: number) => (nowMs += ms), nowMs: () => nowMs };
}

const gpu = (changes: Partial<ReportedDevice> = {}): ReportedDevice => ({
  uuid: "GPU-1",
  index: 0,
  vendor: "nvidia",
  model: "H200",
  health: { state: "ok" },
  conditions: [],
  readings: { utilizationPercent: 50 },
  absences: {},
  holders: [],
  ...changes,
});

const report = (devices: readonly ReportedDevice[], changes: Partial<NodeReport> = {}) => ({
  name: "a",
  sampleIntervalMs: 1_000,
  ageMs: 0,
  session: 1,
  devices,
  ...changes,
});

function setUp() {
  const time = standingClock();
  const store = fleetStore({ clock: time.clock });
  const device = (uuid = "GPU-1"): FleetDevice => {
    const found = store
      .view()
      .nodes.get("a")
      ?.devices.find((known) => known.uuid === uuid);
    if (found === undefined) throw new Error(`The view has no ${uuid}`);
    return found;
  };
  return { ...time, store, device };
}

describe("put()", () => {
  test("takes the report's age off the time of its arrival", () => {
    const { store, device, nowMs } = setUp();
    store.put(report([gpu()], { ageMs: 300 }));
    expect(device().sampledAtMs).toBe(nowMs() - 300);
    expect(store.view().nodes.get("a")).toMatchObject({ name: "a", sampleIntervalMs: 1_000 });
  });

  test("reads an age below zero as now: no sample comes from the future", () => {
    const { store, device, nowMs } = setUp();
    store.put(report([gpu()], { ageMs: -5_000 }));
    expect(device().sampledAtMs).toBe(nowMs());
  });

  test("lets go of devices that the report no longer names", () => {
    const { store, pass } = setUp();
    store.put(report([gpu(), gpu({ uuid: "GPU-2", index: 1 })]));
    pass(1_000);
    store.put(report([gpu({ uuid: "GPU-2" })]));
    expect(
      store
        .view()
        .nodes.get("a")
        ?.devices.map(({ uuid }) => uuid),
    ).toEqual(["GPU-2"]);
  });

  test("refuses a report that is older than what is known, and tells nobody", () => {
    const { store, pass, device } = setUp();
    store.put(report([gpu()]));
    let told = 0;
    store.subscribe(() => (told += 1));
    pass(100);
    store.put(report([gpu({ readings: { utilizationPercent: 1 } })], { ageMs: 1_100 }));
    expect(device().readings).toEqual({ utilizationPercent: 50 });
    expect(told).toBe(0);
  });

  test("takes the same sample again with other holders, though the network was slower", () => {
    const { store, pass, device } = setUp();
    store.put(report([gpu()]));
    const { sampledAtMs } = device();
    pass(400);
    const holders = [{ namespace: "llm", pod: "p", container: "c" }];
    store.put(report([gpu({ holders })], { ageMs: 420 }));
    expect(device()).toMatchObject({ holders, sampledAtMs });
  });

  test("remembers since when a device is unwell, until it is well", () => {
    const { store, pass, device, nowMs } = setUp();
    const lost = gpu({ health: { state: "lost", reason: "fell off the bus" } });
    store.put(report([gpu()]));
    expect(device()?.unwellSinceMs).toBeUndefined();
    pass(1_000);
    const sinceMs = nowMs();
    for (const health of [lost.health, lost.health, { state: "failing", reason: "x" }] as const) {
      store.put(report([{ ...lost, health }]));
      expect(device().unwellSinceMs).toBe(sinceMs);
      pass(1_000);
    }
    store.put(report([gpu()]));
    expect(device()?.unwellSinceMs).toBeUndefined();
    pass(1_000);
    store.put(report([lost]));
    expect(device().unwellSinceMs).toBe(nowMs());
  });

  test("remembers since when each reading is absent, whatever the reason, until it is there", () => {
    const { store, pass, device, nowMs } = setUp();
    const firstMs = nowMs();
    store.put(report([gpu({ absences: { encoderPercent: "unsupported" } })]));
    pass(1_000);
    store.put(
      report([
        gpu({
          readings: {},
          absences: { encoderPercent: "unsupported", utilizationPercent: "pending" },
        }),
      ]),
    );
    const secondMs = nowMs();
    expect(device().absentSinceMs).toEqual({
      encoderPercent: firstMs,
      utilizationPercent: secondMs,
    });
    pass(1_000);
    store.put(report([gpu({ readings: {}, absences: { utilizationPercent: "failed" } })]));
    expect(device().absentSinceMs).toEqual({ utilizationPercent: secondMs });
    pass(1_000);
    store.put(report([gpu()]));
    expect(device().absentSinceMs).toEqual({});
  });

  test("keeps nodes apart, and remove() forgets one", () => {
    const { store } = setUp();
    store.put(report([gpu()]));
    store.put(report([gpu()], { name: "b" }));
    store.remove("a");
    expect([...store.view().nodes.keys()]).toEqual(["b"]);
  });
});

test("subscribe() tells of every change until it is stopped", () => {
  const { store } = setUp();
  let told = 0;
  const listener = () => (told += 1);
  const stop = store.subscribe(listener);
  const stopTwin = store.subscribe(listener);
  store.put(report([gpu()]));
  expect(told).toBe(2);
  stopTwin();
  stop();
  store.remove("a");
  expect(told).toBe(2);
  store.subscribe(listener);
  store.remove("a");
  expect(told).toBe(2);
});

describe("average()", () => {
  const load = (utilizationPercent: number, changes: Partial<ReportedDevice> = {}) =>
    report([gpu({ readings: { utilizationPercent }, ...changes })]);

  test("begins with the newest value, and means over what was seen since it was asked", () => {
    const { store, pass, device } = setUp();
    const mean = () => store.view().average(device(), "gpu_utilization", 60_000);
    store.put(load(10));
    pass(1_000);
    store.put(load(20));
    expect(mean()).toBe(20);
    pass(1_000);
    store.put(load(30));
    pass(1_000);
    store.put(load(90));
    expect(mean()).toBe(60);
  });

  test("forgets a past that nobody asked for in ten minutes", () => {
    const { store, pass, device } = setUp();
    const mean = () => store.view().average(device(), "gpu_utilization", 600_000);
    store.put(load(10));
    mean();
    for (let second = 0; second < 601; second += 1) {
      pass(1_000);
      store.put(load(50));
    }
    store.put(load(90));
    expect(mean()).toBe(90);
  });

  test("keeps a past that somebody asks for now and then", () => {
    const { store, pass, device } = setUp();
    const mean = () => store.view().average(device(), "gpu_utilization", 600_000);
    store.put(load(10));
    for (let second = 0; second < 1_200; second += 1) {
      if (second % 300 === 0) mean();
      pass(1_000);
      store.put(load(second < 900 ? 20 : 60));
    }
    expect(mean()).toBeCloseTo(40, 0);
  });

  test("goes on when the kubelet lists the same holders in another order", () => {
    const { store, pass, device } = setUp();
    const mean = () => store.view().average(device(), "gpu_utilization", 60_000);
    const holders = ["a", "b"].map((pod) => ({ namespace: "team", pod, container: "main" }));
    store.put(load(100, { holders }));
    mean();
    pass(1_000);
    store.put(load(100, { holders }));
    pass(1_000);
    store.put(load(0, { holders: holders.toReversed() }));
    expect(mean()).toBe(50);
  });

  test("starts again when the device changes hands", () => {
    const { store, pass, device } = setUp();
    const mean = () => store.view().average(device(), "gpu_utilization", 60_000);
    store.put(load(100));
    mean();
    pass(1_000);
    store.put(load(100));
    pass(1_000);
    store.put(load(0, { holders: [{ namespace: "b", pod: "b", container: "b" }] }));
    expect(mean()).toBe(0);
  });

  test("goes on after that without being read: two processes begin with the same sample", () => {
    const { store, pass, device } = setUp();
    const holders = [{ namespace: "b", pod: "b", container: "b" }];
    store.put(load(100));
    store.view().average(device(), "gpu_utilization", 60_000);
    for (const percent of [0, 20, 40]) {
      pass(1_000);
      store.put(load(percent, { holders }));
    }
    expect(store.view().average(device(), "gpu_utilization", 60_000)).toBe(30);
  });

  test("does not fill a gap longer than the stale limit", () => {
    const { store, pass, device } = setUp();
    const mean = () => store.view().average(device(), "gpu_utilization", 60_000);
    store.put(load(0));
    mean();
    for (const [ms, value] of [
      [1_000, 20],
      [6_000, 100],
      [1_000, 40],
    ] as const) {
      pass(ms);
      store.put(load(value));
    }
    expect(mean()).toBe(30);
  });

  test("knows nothing of a metric without readings, an engine's metric, or a node that left", () => {
    const { store, device } = setUp();
    store.put(load(10));
    const held = device();
    expect(store.view().average(held, "power_draw", 60_000)).toBeUndefined();
    expect(store.view().average(held, "vllm_queue_depth", 60_000)).toBeUndefined();
    store.remove("a");
    expect(store.view().average(held, "gpu_utilization", 60_000)).toBeUndefined();
  });
});

test("a costly reading that is pending is waited for since it was demanded", () => {
  const time = standingClock();
  let demanded: readonly ReadingName[] = [];
  const store = fleetStore({ clock: time.clock, demanded: () => demanded });
  const absences = { pcieTxKilobytesPerSecond: "pending", energyMillijoules: "pending" } as const;
  const since = () => store.view().nodes.get("a")?.devices[0]?.absentSinceMs;
  const firstMs = time.nowMs();
  const put = () => {
    time.pass(1_000);
    store.put(report([gpu({ absences })]));
  };
  store.put(report([gpu({ absences })]));
  put();
  put();
  const demandedMs = time.nowMs();
  expect(since()).toEqual({ pcieTxKilobytesPerSecond: demandedMs, energyMillijoules: firstMs });
  demanded = ["pcieTxKilobytesPerSecond"];
  put();
  put();
  expect(since()).toEqual({ pcieTxKilobytesPerSecond: demandedMs, energyMillijoules: firstMs });
});

describe("of a device that is new to it, the store believes the agent", () => {
  const lost = { state: "lost", reason: "off the bus" } as const;
  const absences = { utilizationPercent: "failed", energyMillijoules: "pending" } as const;
  const device = gpu({ health: lost, readings: {}, absences });
  const ages = (ms: number) =>
    new Map([["GPU-1", { unwell: ms, absent: { utilizationPercent: ms, energyMillijoules: ms } }]]);

  test("since when it lacks what it lacks, unless that may come with the next sample", () => {
    const { store, nowMs } = setUp();
    store.put(report([device], { ageMs: 100, lackingAges: ages(70_000) }));
    expect(store.view().nodes.get("a")?.devices[0]).toMatchObject({
      unwellSinceMs: nowMs() - 70_000,
      absentSinceMs: {
        utilizationPercent: nowMs() - 70_000,
        energyMillijoules: nowMs() - 100,
      },
    });
  });

  test("and itself of one that it saw: an agent that began again saw less", () => {
    const { store, nowMs, pass } = setUp();
    store.put(report([device]));
    const firstMs = nowMs();
    pass(60_000);
    store.put(report([device], { lackingAges: ages(1_000) }));
    expect(store.view().nodes.get("a")?.devices[0]).toMatchObject({
      unwellSinceMs: firstMs,
      absentSinceMs: { utilizationPercent: firstMs, energyMillijoules: firstMs },
    });
  });
});
