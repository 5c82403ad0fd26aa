import { expect, test } from "bun:test";
import { meteredStore, workloadDeviceUse } from "#app/workload-device-use.ts";
import { decidedTriggersMax } from "#core/limits.ts";
import { fleetStore } from "#fleet/store.ts";
import type { Readings } from "#metric/reading.ts";
import { holder, pod } from "../answer/cluster.ts";
import { manualClock } from "../support/manual-clock.ts";

/** Node `a` with one device of 100 W for each pod that is named, and rounds as a test runs them. */
function metered() {
  const clock = manualClock();
  const usage = workloadDeviceUse(clock);
  const store = meteredStore(fleetStore({ clock }), usage.put);
  let readings: Readings = { powerAverageMilliwatts: 100_000 };
  const setReadings = (now: Readings) => {
    readings = now;
  };
  const draw = (seconds: number, ...pods: readonly string[]) => {
    for (let second = 0; second < seconds; second += 1) {
      clock.advance(1_000);
      store.put({
        name: "a",
        sampleIntervalMs: 1_000,
        ageMs: 0,
        holdersAgeMs: 0,
        session: 1,
        devices: pods.map((name, index) => ({
          uuid: `GPU-${index}`,
          index,
          vendor: "nvidia",
          model: "H200",
          health: { state: "ok" },
          conditions: [],
          readings,
          absences: {},
          holders: [holder(name)],
        })),
      });
    }
  };
  /** A round in which each object has the pods that are named. */
  const round = (objects: Readonly<Record<string, readonly string[]>>) => {
    for (const [name, pods] of Object.entries(objects))
      usage.claim(
        { namespace: "ml", name },
        pods.map((each) => pod(each)),
      );
    usage.endRound();
  };
  /** Joules by object; each has held 100 W for as long. */
  const joules = () =>
    Object.fromEntries(
      usage.totals().map(({ namespace, name, joules, deviceSeconds }) => {
        expect(deviceSeconds).toBe(Number(joules) / 100);
        return [`${namespace}/${name}`, joules];
      }),
    );
  return { usage, setReadings, draw, round, joules };
}

test("an object has what its pods' devices used, also before a round has found them", () => {
  const { draw, round, joules } = metered();
  draw(4, "x", "y", "z");
  expect(joules()).toEqual({});
  round({ llm: ["x", "y"], tts: ["z"], idle: ["w"] });
  expect(joules()).toEqual({ "ml/llm": 600, "ml/tts": 300 });
  draw(2, "x", "y", "z");
  expect(joules()).toEqual({ "ml/llm": 1_000, "ml/tts": 500 });
});

test("of an object whose devices tell no energy only the time is known, until one does", () => {
  const { usage, setReadings, draw, round } = metered();
  const llm = { namespace: "ml", name: "llm" };
  setReadings({});
  draw(4, "x");
  round({ llm: ["x"] });
  expect(usage.totals()).toEqual([{ ...llm, joules: undefined, deviceSeconds: 3 }]);
  setReadings({ powerAverageMilliwatts: 100_000 });
  draw(2, "x");
  setReadings({});
  draw(1, "x");
  expect(usage.totals()).toEqual([{ ...llm, joules: 200, deviceSeconds: 6 }]);
});

test("a pod that is gone before the next round keeps its object", () => {
  const { draw, round, joules } = metered();
  draw(2, "x");
  round({ llm: ["x"] });
  draw(3, "x");
  round({ llm: [] });
  draw(1, "x");
  expect(joules()).toEqual({ "ml/llm": 500 });
});

test("each joule has one object: that which was there first", () => {
  const { draw, round, joules } = metered();
  draw(3, "x");
  round({ llm: ["x"], other: ["x"] });
  draw(1, "x");
  expect(joules()).toEqual({ "ml/llm": 300 });
});

test("a pod of nobody is not kept for whoever claims it later", () => {
  const { draw, round, joules } = metered();
  draw(10, "x");
  round({});
  draw(10, "x");
  round({});
  draw(2, "x");
  round({ llm: ["x"] });
  expect(joules()).toEqual({ "ml/llm": 200 });
});

test("an object that no round names any more is forgotten, and starts again when it comes back", () => {
  const { draw, round, joules } = metered();
  draw(2, "x");
  round({ llm: ["x"] });
  draw(1, "x");
  round({});
  expect(joules()).toEqual({});
  draw(2, "x");
  round({ llm: ["x"] });
  expect(joules()).toEqual({ "ml/llm": 200 });
});

test("a group has what all its pods' devices used, and a pod on no node has nothing", () => {
  const { usage, draw, joules } = metered();
  draw(2, "x", "y");
  const { node: _node, ...unscheduled } = pod("x");
  usage.claim({ namespace: "ml", name: "none" }, [unscheduled]);
  usage.claim({ namespace: "ml", name: "group" }, [{ ...pod("x"), members: [pod("y")] }]);
  expect(joules()).toEqual({ "ml/group": 200 });
});

test("objects above the limit are left out", () => {
  const { usage, draw, joules } = metered();
  draw(2, "x");
  for (let count = 0; count < decidedTriggersMax; count += 1)
    usage.claim({ namespace: "ml", name: `object-${count}` }, []);
  usage.claim({ namespace: "ml", name: "late" }, [pod("x")]);
  expect(joules()).toEqual({});
  usage.claim({ namespace: "ml", name: "object-7" }, [pod("x")]);
  expect(joules()).toEqual({ "ml/object-7": 100 });
});

test("an object's power is the mean of the round before, and nothing where none was measured", () => {
  const { usage, setReadings, draw, round } = metered();
  const watts = () => usage.powerWattsOf({ namespace: "ml", name: "llm" });
  draw(5, "x", "y");
  round({ llm: ["x", "y"] });
  expect(watts()).toBeUndefined();
  draw(5, "x", "y");
  round({ llm: ["x", "y"] });
  expect(watts()).toBe(200);
  setReadings({ powerAverageMilliwatts: 40_000 });
  draw(5, "x", "y");
  round({ llm: ["x", "y"] });
  expect(watts()).toBe(80);
  setReadings({});
  draw(5, "x", "y");
  round({ llm: ["x", "y"] });
  expect(watts()).toBeUndefined();
});
