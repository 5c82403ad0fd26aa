import { expect, test } from "bun:test";
import { answerer } from "#answer/answerer.ts";
import { triggerRounds } from "#app/trigger-rounds.ts";
import { Fault } from "#core/fault.ts";
import { roundPartsMax, triggerRoundMs } from "#core/limits.ts";
import { fleetStore } from "#fleet/store.ts";
import { builtInProfiles } from "#trigger/profiles.ts";
import { triggerParser } from "#trigger/trigger.ts";
import type { ServedTrigger } from "#workload/watch-workloads.ts";
import type { WorkloadView } from "#workload/workload.ts";
import { holder, pod, workload } from "../answer/cluster.ts";
import { manualClock } from "../support/manual-clock.ts";

const llm = (metadata: ServedTrigger["metadata"], name = "llm"): ServedTrigger => ({
  namespace: "ml",
  name,
  metadata: { scalerAddress: "here", ...metadata },
});

/** A scaler's process whose workloads all have the pod `x` on node `a`. */
function scaler(triggers: readonly ServedTrigger[], localNode?: string) {
  const clock = manualClock();
  const store = fleetStore({ clock });
  const parse = triggerParser(() => builtInProfiles);
  const requested = new Set<string>();
  const looked: string[] = [];
  const faults: string[] = [];
  const rounds: number[] = [];
  const claims: string[] = [];
  const evaluated: string[] = [];
  const view: WorkloadView = {
    of: (_namespace, name) => {
      if (name !== "gone") return workload({ pods: [pod("x")] });
      throw new Fault("workload-unknown", "Cannot look up: gone", { namespace: "ml", name });
    },
  };
  const stop = triggerRounds({
    clock,
    store,
    parse,
    localNode,
    workloads: { servedTriggers: () => triggers, peek: view },
    evaluate: ({ name }) => {
      looked.push(name);
      return [];
    },
    onEvaluated: ({ ref }, outcomes) => evaluated.push(`${ref.name}: ${outcomes.length}`),
    onFault: ({ name }, { code }) => faults.push(`${name}: ${code}`),
    onPods: ({ name }, pods) => claims.push(`${name}: ${pods.map((each) => each.name)}`),
    onRound: () => rounds.push(clock.monotonicMs()),
    request: (readings) => {
      for (const reading of readings) requested.add(reading);
    },
  });
  /** The GPU is this busy for this long. */
  const busy = (percent: number, seconds: number) => {
    for (let second = 0; second < seconds; second += 1) {
      clock.advance(1_000);
      store.put({
        name: "a",
        sampleIntervalMs: 1_000,
        ageMs: 0,
        holdersAgeMs: 0,
        session: 1,
        devices: [
          {
            uuid: "GPU-1",
            index: 0,
            vendor: "nvidia",
            model: "H200",
            health: { state: "ok" },
            conditions: [],
            readings: { utilizationPercent: percent },
            absences: {},
            holders: [holder("x")],
          },
        ],
      });
    }
  };
  const ask = ({ namespace, name, metadata }: ServedTrigger) =>
    answerer({ store, clock, workloads: view }).value(
      { namespace, name, scalerMetadata: metadata },
      parse(metadata),
    ).value;
  return { clock, store, requested, looked, evaluated, faults, rounds, claims, busy, ask, stop };
}

test.each<[string, ServedTrigger["metadata"]]>([
  ["a workload", { windowSeconds: "20" }],
  ["the cluster", { windowSeconds: "20", scope: "cluster" }],
  ["a node", { windowSeconds: "20", node: "a" }],
])(
  "the first question about %s is answered with the mean of the whole window",
  (_what, metadata) => {
    const trigger = llm(metadata);
    const { busy, ask } = scaler([trigger]);
    busy(0, 30);
    busy(100, 5);
    expect(ask(trigger)).toBe(25);
  },
);

test("a window is kept for as long as its trigger is served, however rarely somebody asks", () => {
  const trigger = llm({ windowSeconds: "600" });
  const { busy, ask } = scaler([trigger]);
  busy(0, 1_000);
  busy(100, 150);
  expect(ask(trigger)).toBeCloseTo(25, 0);
});

test("every reading that served triggers need is requested, and no other", () => {
  const { clock, requested, looked, evaluated, faults, rounds, stop } = scaler([
    llm({ metricType: "pcie_tx_kbps", targetValue: "1", activationMetricType: "gpu_utilization" }),
    llm({ metricType: "queue_depth", targetValue: "1" }),
  ]);
  clock.advance(triggerRoundMs);
  expect([...requested].toSorted()).toEqual(["pcieTxKilobytesPerSecond", "utilizationPercent"]);
  expect(looked).toEqual(["llm", "llm"]);
  expect(evaluated).toEqual(["llm: 0", "llm: 0"]);
  expect(faults).toEqual([]);
  expect(rounds).toEqual([triggerRoundMs]);
  requested.clear();
  stop();
  clock.advance(60_000);
  expect(requested.size).toBe(0);
});

test("a trigger that cannot be prepared keeps nothing from the others", () => {
  const good = llm({ windowSeconds: "20" });
  const { busy, ask, faults, claims } = scaler([
    llm({ metricTyp: "gpu_utilization" }, "typo"),
    llm({ targetValueFromEnv: "TARGET" }),
    llm({ windowSeconds: "20" }, "gone"),
    llm({ windowSeconds: "20", node: "nowhere" }),
    good,
  ]);
  busy(0, 30);
  busy(100, 5);
  expect(ask(good)).toBe(25);
  expect(new Set(faults)).toEqual(new Set(["typo: trigger-invalid"]));
  expect(new Set(claims)).toEqual(new Set(["llm: x"]));
});

test("a round through many triggers is cut into parts, and visits each once", () => {
  const names = Array.from({ length: 50 }, (_, index) => `llm-${index}`);
  const { clock, looked, rounds } = scaler(names.map((name) => llm({}, name)));
  const partMs = triggerRoundMs / roundPartsMax;
  clock.advance(partMs);
  expect(looked).toEqual(names.slice(0, 3));
  clock.advance(triggerRoundMs - partMs);
  expect(looked).toEqual(names);
  expect(rounds).toHaveLength(1);
  clock.advance(triggerRoundMs);
  expect(looked).toHaveLength(100);
});
