import { expect, test } from "bun:test";
import { usageRecorder } from "#app/usage.ts";
import { Fault } from "#core/fault.ts";
import type { DecisionOutcome } from "#observe/decision.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import type { Workload } from "#workload/workload.ts";
import { held, host, llm, pod, workload } from "../answer/cluster.ts";
import { unusedEngines } from "../answer/engines.ts";
import { nowMs, storeOf } from "../answer/fleet.ts";
import { manualClock } from "../support/manual-clock.ts";

const one = { ref: llm, trigger: parseTrigger({ metricType: "gpu_utilization" }) };
const desires = (desiredReplicas: number): readonly DecisionOutcome[] => [
  {
    question: "value",
    answer: {
      value: 1,
      explanation: {
        metric: "gpu_utilization",
        scope: "workload",
        rule: "",
        devices: [],
        workload: {
          kind: "ScaledObject",
          metricType: "AverageValue",
          replicas: 1,
          minReplicas: 1,
          maxReplicas: 9,
          ageMs: 0,
          pods: [],
          desiredReplicas,
        },
      },
    },
  },
];

/** A workload whose pod `x` is at 70 %. */
function setup(changes: Partial<Workload> = {}) {
  const clock = manualClock(nowMs);
  const state = { lookUps: 0, isSyncing: false };
  const { of, evaluated } = usageRecorder({
    clock,
    store: storeOf([host("a", [held("x", 70)])]),
    engines: { ...unusedEngines, peek: () => [] },
    workloads: {
      peek: {
        of: () => {
          state.lookUps += 1;
          if (!state.isSyncing) return workload({ pods: [pod("x")], workload: changes });
          throw new Fault("workload-unknown", "Cannot look up", { namespace: "ml", name: "llm" });
        },
      },
    },
  });
  return { clock, state, of, evaluated };
}

test("a round remembers what was decided and measured, once a minute", () => {
  const { clock, state, of, evaluated } = setup();
  evaluated(one, desires(4));
  clock.advance(5_000);
  evaluated(one, desires(6));
  expect(state.lookUps).toBe(1);
  const history = of(llm);
  expect(history?.minutes).toBe(1);
  expect(history?.at("desiredReplicas", 0)).toBe(4);
  expect(history?.at("utilizationMean", 0)).toBe(70);
});

test("without a value the minute has what is known else", () => {
  const { of, evaluated } = setup();
  const fault = new Fault("data-missing", "Cannot answer", { known: 0, missing: [] });
  evaluated(one, [{ question: "value", fault }]);
  expect(of(llm)?.at("desiredReplicas", 0)).toBeNaN();
  expect(of(llm)?.at("replicas", 0)).toBe(1);
});

test("of an object that is not known now, and of a ScaledJob, nothing is remembered", () => {
  const { state, of, evaluated } = setup();
  state.isSyncing = true;
  evaluated(one, desires(4));
  expect(of(llm)).toBeUndefined();
  const job = setup({ kind: "ScaledJob" });
  job.evaluated(one, desires(4));
  expect(job.of(llm)).toBeUndefined();
});
