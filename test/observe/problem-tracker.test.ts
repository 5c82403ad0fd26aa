import { describe, expect, test } from "bun:test";
import {
  eventAfterMs,
  eventKeptMs,
  eventOverMs,
  eventRepeatMs,
  eventsPerObject,
  eventsPerRound,
} from "#core/limits.ts";
import { problemTracker } from "#observe/problem-tracker.ts";
import type { Problem } from "#observe/problems.ts";
import { manualClock } from "../support/manual-clock.ts";

function objectOf(name: string): Problem["object"] {
  const apiVersion = "keda.sh/v1alpha1";
  return { apiVersion, kind: "ScaledObject", namespace: "ml", name, uid: `uid-${name}` };
}

const object = objectOf("llm");
const misspelt: Problem = {
  object,
  code: "trigger-invalid",
  reason: "TriggerRefused",
  source: "first",
  message: "Cannot use the trigger",
};
const missing: Problem = { ...misspelt, code: "data-missing", reason: "DataMissing" };
const shared: Problem = { ...misspelt, code: "shared-device", reason: "RunawayPrevented" };
const fraction: Problem = { ...misspelt, code: "target-as-fraction", reason: "TriggerWarning" };

function setup() {
  const clock = manualClock();
  const tracker = problemTracker(clock);
  let isAnswered = true;
  const dueNow = (problems: readonly Problem[]) => {
    tracker.observe(problems);
    return tracker.due(() => isAnswered);
  };
  const written = (problems: readonly Problem[]) =>
    dueNow(problems).map(({ event }) => `${event.reason} x${event.count}`);
  return {
    clock,
    dueNow,
    written,
    answered: (next: boolean) => {
      isAnswered = next;
    },
    /** Has a problem for long enough, and takes its event. */
    begin: (...problems: readonly Problem[]) => {
      written(problems);
      clock.advance(eventAfterMs);
      return written(problems);
    },
    end: () => {
      written([]);
      clock.advance(eventOverMs);
      return written([]);
    },
  };
}

describe("an event is made", () => {
  test("of what lasts, once, and of its end", () => {
    const { clock, dueNow, written } = setup();
    expect(written([misspelt])).toEqual([]);
    clock.advance(eventAfterMs - 1);
    expect(written([misspelt])).toEqual([]);
    clock.advance(1);
    const [begun] = dueNow([misspelt]);
    const times = { count: 1, firstAtMs: clock.wallMs(), lastAtMs: clock.wallMs() };
    expect(begun?.event).toEqual({
      object,
      type: "Warning",
      reason: "TriggerRefused",
      topic: "trigger-invalid",
      message: "Cannot use the trigger",
      ...times,
    });
    clock.advance(eventRepeatMs - 1);
    expect(written([misspelt])).toEqual([]);
    expect(written([])).toEqual([]);
    clock.advance(eventOverMs - 1);
    expect(written([])).toEqual([]);
    clock.advance(1);
    const [over] = dueNow([]);
    expect(over?.event).toMatchObject({
      object,
      type: "Normal",
      reason: "TriggerAnswers",
      message: `Answered again after ${Math.round((eventAfterMs + eventRepeatMs - 1) / 1_000)} s without (trigger-invalid)`,
    });
    clock.advance(eventOverMs);
    expect(written([])).toEqual([]);
  });

  test("of nothing that is over before, however often it comes", () => {
    const { clock, written } = setup();
    for (let time = 0; time < 10; time += 1) {
      expect(written([misspelt])).toEqual([]);
      clock.advance(eventAfterMs - 1);
      expect(written([])).toEqual([]);
      clock.advance(eventOverMs);
    }
  });

  test("of no end that does not last", () => {
    const { clock, written, begin } = setup();
    begin(misspelt);
    for (let time = 0; time < 10; time += 1) {
      expect(written([])).toEqual([]);
      clock.advance(eventOverMs - 1);
      expect(written([misspelt])).toEqual([]);
    }
  });

  test("again while it goes on, before the API server forgets it", () => {
    const { clock, dueNow, written, begin } = setup();
    begin(misspelt);
    const firstAtMs = clock.wallMs();
    clock.advance(eventRepeatMs);
    const [again] = dueNow([misspelt]);
    expect(again?.event).toMatchObject({ count: 2, firstAtMs, lastAtMs: clock.wallMs() });
    clock.advance(eventRepeatMs);
    expect(written([misspelt])).toEqual(["TriggerRefused x3"]);
  });
});

test("another trigger that has the same problem has it for its own time", () => {
  const { clock, dueNow, written, begin } = setup();
  const other: Problem = { ...misspelt, source: "second", message: "Cannot use the other trigger" };
  expect(begin(misspelt, other)).toEqual(["TriggerRefused x1"]);
  expect(written([other])).toEqual([]);
  clock.advance(eventAfterMs - 1);
  expect(written([misspelt, other])).toEqual([]);
  clock.advance(1);
  const [event] = dueNow([misspelt, other]);
  expect(event?.event).toMatchObject({ message: other.message, count: 2 });
});

describe("the end of", () => {
  test("refusals is one, when no trigger of the object is refused any more", () => {
    const { clock, dueNow, written, begin } = setup();
    expect(begin(misspelt, missing)).toEqual(["TriggerRefused x1", "DataMissing x1"]);
    written([missing]);
    clock.advance(eventOverMs);
    expect(written([missing])).toEqual([]);
    written([]);
    clock.advance(eventOverMs);
    const all = dueNow([]);
    expect(all.map(({ event }) => event.reason)).toEqual(["TriggerAnswers"]);
    expect(all[0]?.event.message).toContain("(trigger-invalid, data-missing)");
  });

  test("each warning is its own", () => {
    const { clock, dueNow, written, begin } = setup();
    expect(begin(shared, fraction)).toEqual(["RunawayPrevented x1", "TriggerWarning x1"]);
    written([fraction]);
    clock.advance(eventOverMs);
    expect(dueNow([fraction]).map(({ event }) => event)).toMatchObject([
      { reason: "WarningResolved", topic: "shared-device", message: `No more: ${shared.message}` },
    ]);
  });

  test("something whose object is not answered waits, and is forgotten at last", () => {
    const { clock, written, begin, end, answered } = setup();
    answered(false);
    begin(misspelt);
    expect(end()).toEqual([]);
    answered(true);
    expect(written([])).toEqual(["TriggerAnswers x1"]);
    answered(false);
    begin(misspelt);
    written([]);
    clock.advance(eventKeptMs);
    written([]);
    answered(true);
    expect(end()).toEqual([]);
  });
});

describe("what was not written", () => {
  test("is due again after a time, as often as it was, if it is still true", () => {
    const { clock, dueNow, written, begin } = setup();
    begin(misspelt);
    clock.advance(eventRepeatMs);
    dueNow([misspelt])[0]?.putBack(1_000);
    clock.advance(999);
    expect(written([misspelt])).toEqual([]);
    clock.advance(1);
    expect(written([misspelt])).toEqual(["TriggerRefused x2"]);
  });

  test("is no event where it is over meanwhile", () => {
    const { clock, dueNow, written, end } = setup();
    written([misspelt]);
    clock.advance(eventAfterMs);
    dueNow([misspelt])[0]?.putBack(0);
    expect(end()).toEqual([]);
    clock.advance(eventRepeatMs);
    expect(written([])).toEqual([]);
  });

  test("is an end later, unless the problem is back", () => {
    const { clock, dueNow, written, begin } = setup();
    const endLater = () => {
      begin(misspelt);
      written([]);
      clock.advance(eventOverMs);
      return dueNow([])[0];
    };
    endLater()?.putBack(1_000);
    expect(written([])).toEqual([]);
    clock.advance(1_000);
    expect(written([])).toEqual(["TriggerAnswers x1"]);

    const event = endLater();
    written([misspelt]);
    event?.putBack(0);
    clock.advance(eventAfterMs - 1);
    expect(written([misspelt])).toEqual([]);
    clock.advance(1);
    expect(written([misspelt])).toEqual(["TriggerRefused x1"]);
  });
});

describe("there are at most", () => {
  test("so many events in a round, and the others follow in the next ones", () => {
    const { begin, written } = setup();
    const all = Array.from({ length: 2 * eventsPerRound + 1 }, (_none, index) => ({
      ...misspelt,
      object: objectOf(`llm-${index}`),
    }));
    expect(begin(...all)).toHaveLength(eventsPerRound);
    expect(written(all)).toHaveLength(eventsPerRound);
    expect(written(all)).toHaveLength(1);
    expect(written(all)).toEqual([]);
  });

  test("so many of one object, which keeps no other from its own", () => {
    const { clock, begin, end } = setup();
    let count = 0;
    for (let time = 0; time < eventsPerObject.most; time += 1)
      count += begin(misspelt).length + end().length;
    const elapsedSeconds = (eventsPerObject.most * (eventAfterMs + eventOverMs)) / 1_000;
    expect(count).toBeLessThanOrEqual(
      eventsPerObject.most + elapsedSeconds * eventsPerObject.perSecond,
    );
    expect(count).toBeGreaterThanOrEqual(eventsPerObject.most);
    expect(begin({ ...misspelt, object: objectOf("calm") })).toContain("TriggerRefused x1");
    clock.advance(eventRepeatMs);
    expect(begin(misspelt)).toContain("TriggerRefused x1");
  });
});
