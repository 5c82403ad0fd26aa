import { expect, test } from "bun:test";
import { listeners } from "#core/listeners.ts";
import { throttled } from "#keda/throttle.ts";
import { manualClock } from "../support/manual-clock.ts";

function throttledSource(spacingMs: number) {
  const source = listeners();
  const clock = manualClock();
  let subscriptions = 0;
  const subscribe = throttled(
    (listener) => {
      subscriptions += 1;
      return source.subscribe(listener);
    },
    spacingMs,
    clock,
  );
  return { source, clock, subscribe, subscriptions: () => subscriptions };
}

test("throttled() passes on the first change at once, and the last within the spacing", () => {
  const { source, clock, subscribe } = throttledSource(100);
  let heard = 0;
  subscribe(() => (heard += 1));
  source.notify();
  expect(heard).toBe(1);
  for (let change = 0; change < 10; change += 1) source.notify();
  clock.advance(99);
  expect(heard).toBe(1);
  clock.advance(1);
  expect(heard).toBe(2);
  clock.advance(1_000);
  expect(heard).toBe(2);
  source.notify();
  expect(heard).toBe(3);
});

test("throttled() subscribes once for all, while anybody listens", () => {
  const { source, clock, subscribe, subscriptions } = throttledSource(100);
  let heard = 0;
  const cancels = [1, 2, 3].map(() => subscribe(() => (heard += 1)));
  expect(subscriptions()).toBe(1);
  source.notify();
  expect(heard).toBe(3);
  cancels[0]?.();
  cancels[0]?.();
  expect(source.isEmpty()).toBe(false);
  cancels[1]?.();
  cancels[2]?.();
  expect(source.isEmpty()).toBe(true);

  // A pause that began for those who left delays nobody.
  subscribe(() => (heard += 1));
  expect(subscriptions()).toBe(2);
  source.notify();
  expect(heard).toBe(4);
  clock.advance(1_000);
  expect(heard).toBe(4);
});
