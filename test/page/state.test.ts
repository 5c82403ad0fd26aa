import { expect, test } from "bun:test";
import type { TriggerStatusRow } from "#observe/status.ts";
import { applyHistory, applyRows, emptyState, type RowsEvent, triggerState } from "#page/state.ts";

const row = (id: string, result: number): TriggerStatusRow => ({
  id,
  namespace: "ml",
  name: id,
  value: { result, rule: "sum" },
  warnings: [],
  refusals: {},
});
const none = { changed: [], gone: [] };
const event = (
  atMs: number,
  changed: readonly TriggerStatusRow[],
  gone: readonly string[] = [],
): RowsEvent => ({
  process: { version: "1", role: "scaler", nodeName: "here", startedAtMs: 0 },
  atMs,
  nodes: none,
  agents: none,
  triggers: { changed, gone },
});

test("rows are replaced, those that are gone leave, and a new connection begins anew", () => {
  const state = emptyState();
  applyRows(state, event(0, [row("a", 1), row("b", 2)]), true);
  applyRows(state, event(1_000, [row("b", 3)], ["a"]), false);
  expect([...state.triggers.values()]).toEqual([row("b", 3)]);
  applyRows(state, event(2_000, [row("c", 4)]), true);
  expect([...state.triggers.keys()]).toEqual(["c"]);
  expect([...state.points.keys()]).toEqual(["c"]);
});

test("there is one point in ten seconds, behind those that the server remembers", () => {
  const state = emptyState();
  applyRows(state, event(100_000, [row("a", 1)]), true);
  applyRows(state, event(109_999, [row("a", 2)]), false);
  applyRows(state, event(110_000, []), false);
  applyHistory(state, [
    {
      id: "a",
      points: [
        { atMs: 90_000, value: 9 },
        { atMs: 100_000, value: 8 },
      ],
      changes: [],
    },
  ]);
  expect(state.points.get("a")?.map(({ atMs, value }) => [atMs, value])).toEqual([
    [90_000, 9],
    [100_000, 2],
    [110_000, 2],
  ]);
});

test("there are no more points than of a quarter of an hour", () => {
  const state = emptyState();
  for (let count = 0; count < 100; count += 1)
    applyRows(state, event(count * 10_000, [row("a", count)]), count === 0);
  expect(state.points.get("a")).toHaveLength(90);
  expect(state.points.get("a")?.[0]?.value).toBe(10);
});

test("a trigger is what a person looks for first", () => {
  const fault = { code: "data-missing", message: "m", sinceMs: 0 } as const;
  const warnings = [{ code: "no-wake-source", message: "m" }] as const;
  expect(triggerState(row("a", 1))).toBe("active");
  expect(triggerState({ ...row("a", 1), activity: { result: false, rule: "" } })).toBe("idle");
  expect(triggerState({ ...row("a", 1), warnings })).toBe("warned");
  expect(triggerState({ ...row("a", 1), warnings, activity: { fault } })).toBe("refused");
});
