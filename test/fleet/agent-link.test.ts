import { expect, test } from "bun:test";
import fc from "fast-check";
import { agentLink, pauseAfter } from "#fleet/agent-link.ts";
import { manualClock } from "../support/manual-clock.ts";

test("pauses double from half a second, stop at half a minute, and are jittered by half", () => {
  expect([0, 1, 2, 5, 6, 7, 1_000].map((failures) => pauseAfter(failures, 1))).toEqual([
    500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000,
  ]);
  fc.assert(
    fc.property(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (failures, chance) => {
      const pauseMs = pauseAfter(failures, chance);
      expect(pauseMs).toBeGreaterThanOrEqual(pauseAfter(failures, 0));
      expect(pauseMs).toBeLessThanOrEqual(2 * pauseAfter(failures, 0));
    }),
  );
});

test("an agent that refuses for an hour is dialled some 120 times, and never again once closed", async () => {
  const clock = manualClock();
  let dials = 0;
  const link = agentLink({
    endpoint: { address: "node-a", port: 1, ready: true },
    clock,
    random: () => 1,
    watch: () => {
      dials += 1;
      return Promise.reject(new Error("refused"));
    },
    firstPauseMs: 0,
    onHeard: () => {},
  });
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second += 1) {
      clock.advance(1_000);
      // The refusal is a promise: it needs a turn before the next pause begins.
      await Promise.resolve().then(() => {});
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await pass(3_600);
  expect(dials).toBeGreaterThan(110);
  expect(dials).toBeLessThan(130);
  expect(link.silence()).toEqual({ sinceMs: 0, reason: "refused" });

  link.close();
  const before = dials;
  await pass(120);
  expect(dials).toBe(before);
});
