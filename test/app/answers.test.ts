import { describe, expect, test } from "bun:test";
import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import type { Explanation } from "#answer/explanation.ts";
import { type Admission, instrumentedAnswerer } from "#app/answers.ts";
import { Fault } from "#core/fault.ts";
import { listeners } from "#core/listeners.ts";
import type { DecisionOutcome } from "#observe/decision.ts";
import { parseTrigger } from "#trigger/trigger.ts";

const deviceFault = new Fault("data-stale", "Cannot answer: the driver reloads", { limitMs: 1 });
const ofDevices = { metricType: "gpu_utilization" };
const ofEngines = { metricType: "queue_depth", targetValue: "5" };
const warnings = [{ code: "no-wake-source", message: "nothing wakes it" }] as const;

const llm: WorkloadRef = { namespace: "ml", name: "llm", scalerMetadata: ofDevices };

/** Answers 7 and true; keeps in order what else happens. */
function setup(
  fault: Fault | undefined,
  explanation: Partial<Explanation> = {},
  admission?: Admission,
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
    watchActivity: ({ name }) => {
      events.push(`watch of ${name} begins`);
      return () => events.push(`watch of ${name} ends`);
    },
  };
  const answers = instrumentedAnswerer(inner, {
    scopeFault: () => forbidden,
    admission,
    deviceFault: () => fault,
    onRequest: ({ name }, { metric }) => events.push(`requested ${name} ${metric}`),
    onRefused: ({ name }, { code }) => events.push(`refused ${name} ${code}`),
    onDecision: ({ ref: { name }, asked, outcome }) =>
      events.push([name, outcome.question, asked, result(outcome)]),
  });
  const ask = (question: "value" | "activity", metadata: Readonly<Record<string, string>>) => {
    const ref = { ...llm, scalerMetadata: metadata };
    const trigger = parseTrigger(metadata);
    return question === "value"
      ? answers.value(ref, trigger).value
      : answers.activity(ref, trigger).active;
  };
  return { answers, inner, ask, events };
}

function result(outcome: DecisionOutcome) {
  if ("fault" in outcome) return outcome.fault.code;
  return outcome.question === "value" ? outcome.answer.value : outcome.answer.active;
}

describe("an answer", () => {
  test.each([
    ["value", 7],
    ["activity", true],
  ] as const)("of %s is requested, given and told", (question, answer) => {
    const { ask, events } = setup(undefined);
    expect(ask(question, ofDevices)).toBe(answer);
    expect(events).toEqual([
      "requested llm gpu_utilization",
      "answered",
      ["llm", question, true, answer],
    ]);
  });

  test("that nobody asked for is told as such, for both questions, and requests nothing", () => {
    const { answers, events } = setup(undefined);
    expect(answers.evaluate(llm, parseTrigger(ofDevices)).map(result)).toEqual([7, true]);
    expect(events).toEqual([
      "answered",
      ["llm", "value", false, 7],
      "answered",
      ["llm", "activity", false, true],
    ]);
  });
});

describe("while the devices of this process cannot be read", () => {
  test.each(["value", "activity"] as const)("%s of a device metric is their fault", (question) => {
    const { ask, events } = setup(deviceFault);
    expect(() => ask(question, ofDevices)).toThrow(deviceFault);
    expect(events).toEqual([
      "requested llm gpu_utilization",
      ["llm", question, true, "data-stale"],
    ]);
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
  const { answers, ask, events } = setup(undefined, {}, undefined, forbidden);
  const always = { profile: "training" };

  test("is asked nothing, and refused", () => {
    for (const metadata of [ofDevices, ofEngines, always]) {
      expect(() => ask("value", metadata)).toThrow(forbidden);
      expect(() => ask("activity", metadata)).toThrow(forbidden);
    }
    expect(new Set(events)).toEqual(new Set(["refused llm scope-forbidden"]));
    events.length = 0;
  });

  test("has nothing read for a stream", () => {
    const ref: WorkloadRef = { namespace: "ml", name: "llm", scalerMetadata: ofEngines };
    const cancel = answers.watchActivity(ref, parseTrigger(ofEngines), () => {});
    expect(cancel).not.toThrow();
    expect(events).toEqual([]);
  });
});

const unmatched = new Fault("trigger-unmatched", "Cannot answer: no such trigger; ask again", {
  namespace: "ml",
  name: "llm",
});

/** Lets calls in while `isOpen`; `turn` changes that and says so. */
function door(isOpen: boolean) {
  const changes = listeners();
  const refs: WorkloadRef[] = [];
  let open = isOpen;
  const admit = (ref: WorkloadRef) => {
    refs.push(ref);
    if (!open) throw unmatched;
  };
  const turn = (isOpenNow: boolean) => {
    open = isOpenNow;
    changes.notify();
  };
  return { admit, subscribe: changes.subscribe, turn, refs, isUnheard: changes.isEmpty };
}

describe("where there is a Kubernetes API", () => {
  test.each([
    ["value", ofDevices],
    ["activity", ofDevices],
    ["value", ofEngines],
    ["activity", ofEngines],
    ["activity", { profile: "training" }],
    ["value", { ...ofDevices, scope: "cluster" }],
  ] as const)("nothing comes of %s of %p that no object asks for", (question, metadata) => {
    const { ask, events } = setup(deviceFault, { warnings }, door(false));
    expect(() => ask(question, metadata)).toThrow(unmatched);
    expect(events).toEqual(["refused llm trigger-unmatched"]);
  });

  test.each(["value", "activity"] as const)(
    "%s that an object asks for is answered",
    (question) => {
      const { admit, subscribe, refs } = door(true);
      const { ask, events } = setup(undefined, {}, { admit, subscribe });
      ask(question, ofDevices);
      expect(events.slice(0, 2)).toEqual(["requested llm gpu_utilization", "answered"]);
      expect(refs).toEqual([llm]);
    },
  );

  test("a stream watches while an object asks for it, and never throws", () => {
    const { turn, isUnheard, ...admission } = door(false);
    const { answers, events } = setup(undefined, {}, admission);
    const watch = () => answers.watchActivity(llm, parseTrigger(ofDevices), () => {});
    const stop = watch();
    expect(events).toEqual([]);
    turn(true);
    turn(true);
    expect(events.splice(0)).toEqual(["watch of llm begins"]);
    turn(false);
    turn(false);
    expect(events.splice(0)).toEqual(["watch of llm ends"]);
    stop();
    expect(isUnheard()).toBe(true);
    turn(true);
    expect(events).toEqual([]);

    watch()();
    expect(events).toEqual(["watch of llm begins", "watch of llm ends"]);
    expect(isUnheard()).toBe(true);
  });

  test("a bug in the check is no refusal", () => {
    const admit = () => {
      throw new TypeError("a bug");
    };
    const { answers } = setup(undefined, {}, { ...door(true), admit });
    expect(() => answers.watchActivity(llm, parseTrigger(ofDevices), () => {})).toThrow("a bug");
  });
});

test("the rest is the answerer's own", () => {
  const { answers, inner, events } = setup(undefined);
  expect(answers.subscribe).toBe(inner.subscribe);
  const ref: WorkloadRef = { namespace: "ml", name: "llm", scalerMetadata: ofEngines };
  answers.watchActivity(ref, parseTrigger(ofEngines), () => {})();
  expect(events).toEqual(["watch of llm begins", "watch of llm ends"]);
});
