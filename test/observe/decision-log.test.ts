import { describe, expect, test } from "bun:test";
import type { WorkloadRef } from "#answer/answer.ts";
import type { Explanation, PodShare } from "#answer/explanation.ts";
import { Fault } from "#core/fault.ts";
import {
  decidedTriggersMax,
  decisionChangesMax,
  decisionKeptMs,
  decisionPointMs,
  decisionPointsMax,
} from "#core/limits.ts";
import type { DecisionChange, DecisionOutcome } from "#observe/decision.ts";
import { decisionLog } from "#observe/decision-log.ts";
import { refusalOf } from "#observe/trigger-history.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";
import { manualClock } from "../support/manual-clock.ts";

const metadata = { metricType: "gpu_utilization" };
const llm: WorkloadRef = { namespace: "ml", name: "llm", scalerMetadata: metadata };
const missing = new Fault("data-missing", "Cannot answer: 1 of 3 replicas are known", {
  known: 1,
  missing: [],
});
const stale = new Fault("data-stale", "Cannot answer: the driver reloads", { limitMs: 1 });

interface Said {
  readonly desired?: number;
  readonly replicas?: number;
  readonly pods?: readonly PodShare[];
  readonly warnings?: readonly TriggerWarning[];
  readonly ages?: readonly number[];
}

function value(number: number, said: Said = {}): DecisionOutcome {
  const { desired = 2, replicas = 2, pods = [], warnings, ages = [] } = said;
  const explanation: Explanation = {
    metric: "gpu_utilization",
    scope: "workload",
    rule: `sum is ${number}`,
    devices: ages.map((ageMs, index) => ({ node: "a", uuid: `${index}`, index, ageMs, value: 1 })),
    warnings,
    workload: {
      kind: "ScaledObject",
      metricType: "AverageValue",
      replicas,
      minReplicas: 0,
      maxReplicas: 9,
      ageMs: 0,
      desiredReplicas: desired,
      pods,
    },
  };
  return { question: "value", answer: { value: number, explanation } };
}

function activity(active: boolean): DecisionOutcome {
  const rule = active ? "above" : "not above";
  const explanation = { metric: "gpu_utilization", scope: "workload", rule, devices: [] } as const;
  return { question: "activity", answer: { active, explanation } };
}

function setup() {
  const clock = manualClock();
  const changes: (readonly [string, DecisionChange["kind"], string])[] = [];
  const log = decisionLog({
    clock,
    onChange: ({ ref }, { kind, text }) => changes.push([ref.name, kind, text]),
  });
  const record = (outcome: DecisionOutcome, ref = llm, asked = true) =>
    log.record({ ref, trigger: parseTrigger(metadata), asked, outcome });
  const only = () => {
    const [first, ...others] = log.triggers();
    expect(others).toEqual([]);
    if (first === undefined) throw new Error("there is no trigger");
    return first;
  };
  return { ...log, record, only, changes, clock };
}

describe("of a trigger", () => {
  test("the newest answers are kept, with what they were made of", () => {
    const { record, only, clock } = setup();
    const pods: readonly PodShare[] = [
      { name: "a", state: "counted", value: 90 },
      { name: "b", state: "missing" },
      { name: "c", state: "warming" },
    ];
    clock.advance(5_000);
    record(value(180, { pods, ages: [300, 2_000] }));
    record(activity(true), llm, false);
    const { ref, trigger, value: newest, activity: active, workload, coverage, ...rest } = only();
    expect(ref).toBe(llm);
    expect(trigger?.metric).toBe("gpu_utilization");
    expect(newest).toEqual({ result: 180, rule: "sum is 180" });
    expect(active).toEqual({ result: true, rule: "above" });
    expect(workload).toMatchObject({ kind: "ScaledObject", replicas: 2, desiredReplicas: 2 });
    expect(coverage).toEqual({ counted: 1, missing: 1, warming: 1 });
    const now = clock.wallMs();
    expect(rest).toMatchObject({ askedAtMs: now, dataAtMs: now - 2_000, warnings: [] });
  });

  test("whoever looks by itself is not KEDA", () => {
    const { record, only } = setup();
    record(value(1), llm, false);
    expect(only().askedAtMs).toBeUndefined();
  });

  test("there is one point in ten seconds, the last, and a quarter of an hour of them", () => {
    const { record, only, clock } = setup();
    const startMs = clock.wallMs();
    record(value(1));
    clock.advance(decisionPointMs - 1);
    record(value(2));
    record(activity(false));
    clock.advance(1);
    record(value(3, { desired: 4 }));
    expect(only().points).toEqual([
      { atMs: startMs, value: 2, active: false, desiredReplicas: 2, replicas: 2 },
      {
        atMs: startMs + decisionPointMs,
        value: 3,
        active: false,
        desiredReplicas: 4,
        replicas: 2,
      },
    ]);
    for (let count = 0; count < decisionPointsMax; count += 1) {
      clock.advance(decisionPointMs);
      record(value(count));
    }
    expect(only().points).toHaveLength(decisionPointsMax);
    expect(only().points[0]?.value).toBe(0);
  });

  test("a point of a time without an answer has no value, and no number of replicas", () => {
    const { record, only, clock } = setup();
    record(value(1));
    clock.advance(decisionPointMs);
    record({ question: "value", fault: missing });
    expect(only().points.at(-1)).toMatchObject({ value: undefined, desiredReplicas: undefined });
  });

  test("calls that were refused are counted by code; own looks are not", () => {
    const { record, only } = setup();
    record({ question: "value", fault: missing });
    record({ question: "activity", fault: missing });
    record({ question: "value", fault: stale });
    record({ question: "value", fault: stale }, llm, false);
    expect([...only().refusals]).toEqual([
      ["data-missing", 2],
      ["data-stale", 1],
    ]);
  });
});

describe("a change is told", () => {
  test("of the replicas that the HPA is asked for, and not of the value", () => {
    const { record, changes } = setup();
    record(value(100));
    record(value(120));
    record(value(200, { desired: 3 }));
    expect(changes).toEqual([
      ["llm", "scaled", "the HPA is asked for 2 replicas: sum is 100"],
      ["llm", "scaled", "the HPA is asked for 3 replicas, before 2: sum is 200"],
    ]);
  });

  test("of activity, across a refusal too", () => {
    const { record, changes } = setup();
    record(activity(false));
    record({ question: "activity", fault: missing });
    record(activity(false));
    record(activity(true));
    expect(changes.map(([, kind]) => kind)).toEqual([
      "deactivated",
      "refused",
      "answered",
      "activated",
    ]);
  });

  test("of a refusal once when it begins, and once when it ends", () => {
    const { record, changes, only, clock } = setup();
    record({ question: "activity", fault: missing });
    record({ question: "value", fault: missing });
    clock.advance(30_000);
    record({ question: "value", fault: missing });
    expect(refusalOf(only())?.sinceMs).toBe(clock.wallMs() - 30_000);
    record(value(1));
    record(activity(true));
    expect(changes.filter(([, kind]) => kind === "refused" || kind === "answered")).toEqual([
      ["llm", "refused", missing.message],
      ["llm", "answered", "answered again after 30 s without (data-missing)"],
    ]);
    expect(refusalOf(only())).toBeUndefined();
  });

  test("of another cause of a refusal", () => {
    const { record, changes } = setup();
    record({ question: "value", fault: missing });
    record({ question: "value", fault: stale });
    expect(changes.map(([, , text]) => text)).toEqual([missing.message, stale.message]);
  });

  test("of a warning that comes or goes", () => {
    const { record, changes } = setup();
    const warnings = [{ code: "no-wake-source", message: "nothing wakes it" }] as const;
    record(value(1));
    record(value(1, { warnings }));
    record(value(1, { warnings }));
    record(value(1));
    expect(changes.slice(1)).toEqual([
      ["llm", "warned", "nothing wakes it"],
      ["llm", "cleared", "no more: nothing wakes it"],
    ]);
  });

  test("and the last ones are kept", () => {
    const { record, only } = setup();
    for (let desired = 0; desired < decisionChangesMax + 5; desired += 1)
      record(value(1, { desired }));
    const { changes } = only();
    expect(changes).toHaveLength(decisionChangesMax);
    expect(changes.at(-1)?.text).toStartWith(`the HPA is asked for ${decisionChangesMax + 4}`);
  });
});

describe("triggers", () => {
  const named = (name: string, namespace = "ml"): WorkloadRef => ({ ...llm, namespace, name });

  test("are listed by object, and known by metadata too", () => {
    const { record, triggers } = setup();
    record(value(1), named("tts"));
    record(value(2), named("asr"));
    record(value(3), named("tts", "dev"));
    record(value(4), { ...named("asr"), scalerMetadata: { ...metadata, targetValue: "70" } });
    expect(triggers().map(({ ref }) => `${ref.namespace}/${ref.name}`)).toEqual([
      "dev/tts",
      "ml/asr",
      "ml/asr",
      "ml/tts",
    ]);
    expect(new Set(triggers().map(({ id }) => id)).size).toBe(4);
  });

  test("that no object has any more, or that nobody looked at, are forgotten", () => {
    const { record, triggers, retain, clock } = setup();
    record(value(1), named("tts"));
    record(value(1), named("asr"));
    retain(({ name }) => name !== "asr");
    expect(triggers().map(({ ref }) => ref.name)).toEqual(["tts"]);
    clock.advance(decisionKeptMs);
    retain(() => true);
    expect(triggers()).toHaveLength(1);
    clock.advance(1);
    retain(() => true);
    expect(triggers()).toEqual([]);
  });

  test("are not more than there is room for, by number and by bytes", () => {
    const { record, triggers } = setup();
    for (let count = 0; count <= decidedTriggersMax; count += 1)
      record(value(1), named(`${count}`));
    expect(triggers()).toHaveLength(decidedTriggersMax);
    const long = "x".repeat(1024 * 1024);
    for (let count = 0; count < 60; count += 1)
      record(value(1), { ...named(`long-${count}`), scalerMetadata: { long } });
    expect(triggers().length).toBeLessThan(60);
  });
});
