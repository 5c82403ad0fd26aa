import { expect, test } from "bun:test";
import { chooseCollector } from "#device/choose.ts";
import { manualClock } from "../support/manual-clock.ts";

const tools = { clock: manualClock(), log: () => {}, sleep: () => {} };

test("chooseCollector() makes numbers up only when it is asked to", () => {
  const { name, collect } = chooseCollector({ collector: "mock" }, tools);
  expect(name).toBe("mock");
  expect(collect({ pcieThroughput: false }).devices).toHaveLength(4);
  expect(() => chooseCollector({ collector: "auto" }, tools)).toThrow("Cannot collect with auto");
});
