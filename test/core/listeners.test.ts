import { expect, test } from "bun:test";
import { listeners } from "#core/listeners.ts";

test("every listener runs at each notification, until it stops listening", () => {
  const { notify, subscribe, isEmpty } = listeners();
  const runs: string[] = [];
  expect(isEmpty()).toBe(true);
  const stopFirst = subscribe(() => runs.push("first"));
  subscribe(() => runs.push("second"));
  expect(isEmpty()).toBe(false);
  notify();
  stopFirst();
  stopFirst();
  notify();
  expect(runs).toEqual(["first", "second", "second"]);
});

test("the same function can listen twice and stop once", () => {
  const { notify, subscribe, isEmpty } = listeners();
  let runs = 0;
  const listener = () => {
    runs += 1;
  };
  const stopOne = subscribe(listener);
  const stopOther = subscribe(listener);
  notify();
  stopOne();
  notify();
  expect(runs).toBe(3);
  stopOther();
  expect(isEmpty()).toBe(true);
});

test("a listener that another one stops is not run, and one that comes meanwhile waits", () => {
  const { notify, subscribe } = listeners();
  const runs: string[] = [];
  let stopSecond = () => {};
  subscribe(() => {
    runs.push("first");
    stopSecond();
    if (runs.length === 1) subscribe(() => runs.push("late"));
  });
  stopSecond = subscribe(() => runs.push("second"));
  notify();
  expect(runs).toEqual(["first"]);
  notify();
  expect(runs).toEqual(["first", "first", "late"]);
});
