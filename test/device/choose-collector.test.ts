import { expect, test } from "bun:test";
import { chooseCollector } from "#device/worker.ts";
import { manualClock } from "../support/manual-clock.ts";

const tools = { clock: manualClock(), log: () => {}, sleep: () => {} };
const nothing = { pcieThroughput: false };

test("chooseCollector() gives made-up devices to who asks for them", () => {
  const { name, collect } = chooseCollector({ collector: "mock" }, tools);
  expect(name).toBe("mock");
  expect(collect(nothing).devices).toHaveLength(4);
});

test.each(["auto", "nvml"] as const)(
  "chooseCollector() opens the library named to %s",
  (collector) => {
    const nvmlLibrary = "/nowhere/libnvidia-ml.so.1";
    const { name, collect } = chooseCollector({ collector, nvmlLibrary }, tools);
    expect(name).toBe("nvml");
    expect(() => collect(nothing)).toThrow(
      expect.objectContaining({ code: "library-missing", facts: { paths: [nvmlLibrary] } }),
    );
  },
);
