import { expect, test } from "bun:test";
import { warningRecorder } from "#app/trigger-warnings.ts";
import { askedForMs, warnedTriggersMax } from "#core/limits.ts";
import { manualClock } from "../support/manual-clock.ts";

function setup() {
  const clock = manualClock();
  const logged: unknown[] = [];
  const { record, counts } = warningRecorder({
    clock,
    log: (level, event, facts) => logged.push([level, event, facts]),
  });
  const warn = (
    name: string,
    targetValue: string,
    ...codes: readonly ("no-wake-source" | "sum-under-value")[]
  ) =>
    record(
      { namespace: "ml", name, scalerMetadata: { targetValue } },
      codes.map((code) => ({ code, message: `about ${code}` })),
    );
  return { warn, counts, clock, logged };
}

test("warnings are logged, and counted by object and code", () => {
  const { warn, counts, logged } = setup();
  warn("other", "1");
  warn("llm", "1", "no-wake-source", "sum-under-value");
  warn("llm", "2", "no-wake-source");
  warn("other", "1");
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
  expect(logged).toHaveLength(3);
});

test("objects are counted apart", () => {
  const { warn, counts } = setup();
  warn("llm", "1", "no-wake-source");
  warn("tts", "1", "no-wake-source");
  expect(counts().map(({ name, count }) => [name, count])).toEqual([
    ["llm", 1],
    ["tts", 1],
  ]);
});

test("a warning goes with its cause, or when nobody asks any more", () => {
  const { warn, counts, clock } = setup();
  warn("llm", "1", "no-wake-source");
  warn("llm", "1");
  expect(counts()).toEqual([]);
  warn("llm", "1", "no-wake-source");
  clock.advance(askedForMs);
  expect(counts()).toHaveLength(1);
  clock.advance(1);
  expect(counts()).toEqual([]);
});

test("the oldest warnings make room for the newest", () => {
  const { warn, counts } = setup();
  for (let trigger = 0; trigger <= warnedTriggersMax; trigger += 1)
    warn(trigger === 0 ? "first" : "llm", `${trigger}`, "no-wake-source");
  expect(counts()).toEqual([
    { namespace: "ml", name: "llm", code: "no-wake-source", count: warnedTriggersMax },
  ]);
});
