import { expect, test } from "bun:test";
import { fleetStore } from "#fleet/store.ts";
import { manualClock } from "../support/manual-clock.ts";

test("the view shows which listed agents are silent, and listeners hear of it", () => {
  const store = fleetStore({ clock: manualClock() });
  const view = store.view();
  let told = 0;
  store.subscribe(() => {
    told += 1;
  });
  expect(view.unavailable).toEqual([]);

  const agent = { address: "10.0.0.7:6000", sinceMs: 12, reason: "connection refused" };
  store.setUnavailable([agent]);
  expect(view.unavailable).toEqual([agent]);
  expect(told).toBe(1);
});

test("holders have the time at which the kubelet told of them, and none when it never did", () => {
  const store = fleetStore({ clock: manualClock(60_000) });
  const report = { name: "a", sampleIntervalMs: 1_000, ageMs: 100, session: 1, devices: [] };
  store.put(report);
  expect(store.view().nodes.get("a")?.holdersAtMs).toBeUndefined();
  store.put({ ...report, holdersAgeMs: 9_000 });
  expect(store.view().nodes.get("a")?.holdersAtMs).toBe(51_000);
});
