import { expect, test } from "bun:test";
import { askedForMs } from "#core/limits.ts";
import { readingDemand } from "#fleet/demand.ts";
import { manualClock } from "../support/manual-clock.ts";

const [tx, rx] = ["pcieTxKilobytesPerSecond", "pcieRxKilobytesPerSecond"] as const;

function demand() {
  const clock = manualClock();
  let changes = 0;
  const made = readingDemand(clock);
  made.subscribe(() => {
    changes += 1;
  });
  return { ...made, clock, changes: () => changes };
}

test("holds what costs, once, and tells of what is new alone", () => {
  const { request, current, changes } = demand();
  request(["utilizationPercent", "memoryUsedBytes"]);
  expect(current()).toEqual([]);
  request([tx, "utilizationPercent"]);
  request([tx]);
  expect({ current: current(), changes: changes() }).toEqual({ current: [tx], changes: 1 });
  request([rx, tx]);
  expect({ current: current(), changes: changes() }).toEqual({ current: [rx, tx], changes: 2 });
});

test("ends when nobody asked for long, and not before", () => {
  const { request, current, changes, clock } = demand();
  request([tx, rx]);
  clock.advance(askedForMs);
  request([tx]);
  expect(current()).toEqual([rx, tx]);
  clock.advance(10_000);
  expect({ current: current(), changes: changes() }).toEqual({ current: [tx], changes: 2 });
  clock.advance(askedForMs);
  expect({ current: current(), changes: changes() }).toEqual({ current: [], changes: 3 });
});
