import { describe, expect, test } from "bun:test";
import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import type { Explanation } from "#answer/explanation.ts";
import { instrumentedAnswerer, triggerKey } from "#app/answers.ts";
import { Fault } from "#core/fault.ts";
import { parseTrigger } from "#trigger/trigger.ts";

const deviceFault = new Fault("data-stale", "Cannot answer: the driver reloads", { limitMs: 1 });
const ofDevices = { metricType: "gpu_utilization" };
const ofEngines = { metricType: "queue_depth", targetValue: "5" };
const warnings = [{ code: "no-wake-source", message: "nothing wakes it" }] as const;

/** Answers 7 and true; keeps in order what else happens. */
function setup(
  fault: Fault | undefined,
  explanation: Partial<Explanation> = {},
  forbidden?: Fault,
) {
  const events: unknown[] = [];
  const full: Explanation = {
    metric: "gpu_utilization",
    scope: "workload",
    rule: "as it is",
    devices: [],
    ...explanation,
  };
  const unused = () => () => {};
  const watchActivity = () => {
    events.push("watched");
    return () => {};
  };
  const inner: Answerer = {
    value: () => {
      events.push("answered");
      return { value: 7, explanation: full };
    },
    activity: () => {
      events.push("answered");
      return { active: true, explanation: full };
    },
    subscribe: unused,
    watchActivity,
  };
  const answers = instrumentedAnswerer(inner, {
    scopeFault: () => forbidden,
    deviceFault: () => fault,
    onRequest: ({ name }, { metric }) => events.push(`requested ${name} ${metric}`),
    onWarnings: ({ name }, list) => events.push(`${list.length} warnings of ${name}`),
    log: (level, event, facts) => events.push([level, event, facts]),
  });
  const ask = (question: "value" | "activity", metadata: Readonly<Record<string, string>>) => {
    const ref: WorkloadRef = { namespace: "ml", name: "llm", scalerMetadata: metadata };
    const trigger = parseTrigger(metadata);
    return question === "value"
      ? answers.value(ref, trigger).value
      : answers.activity(ref, trigger).active;
  };
  return { answers, inner, ask, events };
}

const line = (event: string) => [
  "debug",
  event,
  { namespace: "ml", name: "llm", metric: "gpu_utilization", rule: "as it is" },
];

describe("an answer", () => {
  test("of a value is requested, given, searched for warnings and logged", () => {
    const { ask, events } = setup(undefined, { warnings });
    expect(ask("value", ofDevices)).toBe(7);
    expect(events).toEqual([
      "requested llm gpu_utilization",
      "answered",
      "1 warnings of llm",
      line("value answered"),
    ]);
  });

  test("without warnings says so, for those before are over", () => {
    const { ask, events } = setup(undefined);
    ask("value", ofDevices);
    expect(events).toContain("0 warnings of llm");
  });

  test("of activity is requested, given and logged", () => {
    const { ask, events } = setup(undefined, { warnings });
    expect(ask("activity", ofDevices)).toBe(true);
    expect(events).toEqual([
      "requested llm gpu_utilization",
      "answered",
      line("activity answered"),
    ]);
  });
});

describe("while the devices of this process cannot be read", () => {
  test.each(["value", "activity"] as const)("%s of a device metric is their fault", (question) => {
    const { ask, events } = setup(deviceFault);
    expect(() => ask(question, ofDevices)).toThrow(deviceFault);
    expect(events).toEqual(["requested llm gpu_utilization"]);
  });

  test.each(["value", "activity"] as const)("%s of an engine metric is answered", (question) => {
    const { ask } = setup(deviceFault);
    expect(() => ask(question, ofEngines)).not.toThrow();
  });

  test("each question looks at its own metric", () => {
    const { ask } = setup(deviceFault);
    const mixed = { ...ofEngines, activationMetricType: "gpu_utilization" };
    expect(() => ask("value", mixed)).not.toThrow();
    expect(() => ask("activity", mixed)).toThrow(deviceFault);
  });

  test("what is always active needs no device", () => {
    const { ask } = setup(deviceFault);
    expect(ask("activity", { profile: "training" })).toBe(true);
  });
});

describe("a trigger in a scope that is forbidden", () => {
  const forbidden = new Fault("scope-forbidden", "Cannot answer: not allowed", {
    scope: "node",
    allowed: ["workload"],
  });
  const { answers, ask, events } = setup(undefined, {}, forbidden);
  const always = { profile: "training" };

  test("is asked nothing, and nothing is remembered of it", () => {
    for (const metadata of [ofDevices, ofEngines, always]) {
      expect(() => ask("value", metadata)).toThrow(forbidden);
      expect(() => ask("activity", metadata)).toThrow(forbidden);
    }
    expect(events).toEqual([]);
  });

  test("has nothing read for a stream", () => {
    const ref: WorkloadRef = { namespace: "ml", name: "llm", scalerMetadata: ofEngines };
    const cancel = answers.watchActivity(ref, parseTrigger(ofEngines), () => {});
    expect(cancel).not.toThrow();
    expect(events).toEqual([]);
  });
});

test("the rest is the answerer's own", () => {
  const { answers, inner, events } = setup(undefined);
  expect(answers.subscribe).toBe(inner.subscribe);
  const ref: WorkloadRef = { namespace: "ml", name: "llm", scalerMetadata: ofEngines };
  answers.watchActivity(ref, parseTrigger(ofEngines), () => {})();
  expect(events).toEqual(["watched"]);
});

test("a trigger is known by its object and its metadata, in any order", () => {
  const key = (namespace: string, name: string, scalerMetadata: Record<string, string>) =>
    triggerKey({ namespace, name, scalerMetadata });
  const one = key("ml", "llm", { a: "1", b: "2" });
  expect(key("ml", "llm", { b: "2", a: "1" })).toBe(one);
  const others = [
    key("dev", "llm", { a: "1", b: "2" }),
    key("ml", "tts", { a: "1", b: "2" }),
    key("ml", "llm", { a: "2", b: "1" }),
    key("ml", "llm", { a: "1" }),
  ];
  expect(new Set([one, ...others]).size).toBe(5);
  const long = key("ml", "llm", { a: "x".repeat(4_096) });
  expect(long).toHaveLength(one.length);
});
