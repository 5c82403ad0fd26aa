import { describe, expect, test } from "bun:test";
import type { WorkloadRef } from "#answer/answer.ts";
import { decisions } from "#app/decisions.ts";
import { Fault } from "#core/fault.ts";
import type { DecisionOutcome } from "#observe/decision.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { manualClock } from "../support/manual-clock.ts";

const llm: WorkloadRef = {
  namespace: "ml",
  name: "llm",
  scalerMetadata: { metricType: "gpu_utilization" },
};
const object = { namespace: "ml", name: "llm" };
const unknown = new Fault("workload-unknown", "Cannot look up ml/llm: there is none", object);
const missing = new Fault("data-missing", "Cannot answer: nothing is known", {
  known: 0,
  missing: [],
});
const active: DecisionOutcome = {
  question: "activity",
  answer: {
    active: true,
    explanation: { metric: "gpu_utilization", scope: "node", rule: "above", devices: [] },
  },
};

function setup(isKnown = true) {
  const logged: unknown[] = [];
  const made = decisions({
    clock: manualClock(),
    log: (level, event, facts) => logged.push([level, event, facts]),
    isKnown: () => isKnown,
  });
  const trigger = parseTrigger(llm.scalerMetadata);
  const record = (outcome: DecisionOutcome, asked = true) =>
    made.record({ ref: llm, trigger, asked, outcome });
  return { ...made, record, logged };
}

describe("the log has", () => {
  test("each answer to KEDA as a debug line, and no other", () => {
    const { record, logged } = setup();
    record(active);
    record(active);
    record(active, false);
    const metric = "gpu_utilization";
    const answered = ["debug", "activity answered", { ...object, metric, rule: "above" }];
    expect(logged).toEqual([
      ["info", "trigger activated", expect.objectContaining({ ...object, message: "above" })],
      answered,
      answered,
    ]);
  });

  test("a refusal's beginning and end, with its code and reason", () => {
    const { record, logged } = setup();
    record({ question: "activity", fault: missing });
    record({ question: "activity", fault: missing });
    record(active, false);
    const metric = "gpu-utilization";
    const { code, message } = missing;
    expect(logged.slice(0, 2)).toEqual([
      ["warn", "trigger refused", { ...object, metric, code, message }],
      ["info", "trigger answered", expect.objectContaining({ ...object, metric, code })],
    ]);
  });

  test("a caller whom no object sent once, until it is answered", () => {
    const { record, refused, logged, triggers } = setup(false);
    refused(llm, unknown);
    refused(llm, unknown);
    const { code, message } = unknown;
    const line = ["warn", "call refused", { ...object, code, message }];
    expect(logged).toEqual([line]);
    expect(triggers()).toEqual([]);
    record(active, false);
    refused(llm, unknown);
    expect(logged.filter((entry) => Bun.deepEquals(entry, line))).toHaveLength(2);
  });

  test("a call that breaks a rule as a refusal of its trigger, where an object has that", () => {
    const { refused, broken, logged, triggers } = setup();
    refused(llm, missing);
    broken(llm, missing);
    expect(logged.map((entry) => (entry as unknown[])[1])).toEqual(["trigger refused"]);
    expect([...(triggers()[0]?.refusals ?? [])]).toEqual([["data-missing", 1]]);
  });
});

test("what no object has any more is forgotten", () => {
  for (const isKnown of [true, false]) {
    const { record, expire, triggers } = setup(isKnown);
    record(active);
    expire();
    expect(triggers()).toHaveLength(isKnown ? 1 : 0);
  }
});
