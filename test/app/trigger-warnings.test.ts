import { expect, test } from "bun:test";
import type { Answerer } from "#answer/answer.ts";
import type { Explanation } from "#answer/explanation.ts";
import { warning } from "#app/trigger-warnings.ts";
import { askedForMs } from "#core/limits.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { manualClock } from "../support/manual-clock.ts";

function setup() {
  let codes: readonly ("no-wake-source" | "sum-under-value")[] = [];
  const unused = () => {
    throw new Error("Only the value is asked for");
  };
  const inner: Answerer = {
    value: () => {
      const explanation: Explanation = {
        metric: "queue_depth",
        scope: "workload",
        rule: "",
        devices: [],
        warnings: codes.map((code) => ({ code, message: `about ${code}` })),
      };
      return { value: 7, explanation };
    },
    activity: unused,
    subscribe: unused,
    watchActivity: unused,
  };
  const clock = manualClock();
  const logged: unknown[] = [];
  const { answers, counts } = warning(inner, {
    clock,
    log: (level, event, facts) => logged.push([level, event, facts]),
  });
  const ask = (name: string, targetValue: string, ...now: typeof codes) => {
    codes = now;
    const ref = { namespace: "ml", name, scalerMetadata: { targetValue } };
    return answers.value(ref, parseTrigger({ targetValue })).value;
  };
  return { ask, counts, clock, logged };
}

test("warnings are written down and counted by object and code, and keep no answer back", () => {
  const { ask, counts, logged } = setup();
  expect(ask("llm", "1", "no-wake-source", "sum-under-value")).toBe(7);
  expect(ask("llm", "2", "no-wake-source")).toBe(7);
  expect(ask("other", "1")).toBe(7);
  const object = { namespace: "ml", name: "llm" };
  expect(counts()).toEqual([
    { ...object, code: "no-wake-source", count: 2 },
    { ...object, code: "sum-under-value", count: 1 },
  ]);
  expect(logged[0]).toEqual([
    "warn",
    "trigger warning",
    { ...object, code: "no-wake-source", message: "about no-wake-source" },
  ]);
});

test("a warning goes with its cause, or when nobody asks any more", () => {
  const { ask, counts, clock } = setup();
  ask("llm", "1", "no-wake-source");
  ask("llm", "1");
  expect(counts()).toEqual([]);
  ask("llm", "1", "no-wake-source");
  clock.advance(askedForMs);
  expect(counts()).toHaveLength(1);
  clock.advance(1);
  expect(counts()).toEqual([]);
});
