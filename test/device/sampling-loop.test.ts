import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import type { Demand } from "#device/collector.ts";
import type { FaultData, ThreadReport } from "#device/thread.ts";
import { startLoop } from "#device/worker.ts";
import { manualClock } from "../support/manual-clock.ts";

const nothing = { pcieThroughput: false };

/** A loop over a collector whose passes take the times given, and then none. */
function loop(tooksMs: readonly number[], collect = () => {}) {
  const clock = manualClock(500);
  const posted: ThreadReport[] = [];
  const demands: Demand[] = [];
  const took = [...tooksMs];
  let closed = 0;
  const made = startLoop({
    collector: {
      name: "mock",
      collect: (demand) => {
        demands.push(demand);
        clock.advance(took.shift() ?? 0);
        collect();
        return { session: 1, devices: [] };
      },
      close: () => (closed += 1),
    },
    sampleIntervalMs: 1_000,
    demand: nothing,
    clock,
    post: (report) => posted.push(report),
  });
  const passes = () =>
    posted.flatMap((report) =>
      report.kind === "collection" ? [[report.takenAtMs, report.tookMs, report.skipped]] : [],
    );
  return { ...made, clock, posted, demands, passes, closed: () => closed };
}

describe("the sampling loop", () => {
  test("collects at once, then at every whole interval, whatever a pass takes", () => {
    const { clock, passes } = loop([300, 999, 1]);
    clock.advance(3_000);
    expect(passes()).toEqual([
      [500, 300, 0],
      [1_500, 999, 0],
      [2_500, 1, 0],
      [3_500, 0, 0],
    ]);
  });

  test("leaves samples out after a slow pass, and queues none", () => {
    const { clock, passes } = loop([0, 3_400]);
    clock.advance(6_000);
    expect(passes()).toEqual([
      [500, 0, 0],
      [1_500, 3_400, 0],
      [5_500, 0, 3],
      [6_500, 0, 0],
    ]);
  });

  test("goes on after a fault", () => {
    let calls = 0;
    const { clock, posted } = loop([], () => {
      calls += 1;
      if (calls === 1) throw new Fault("library-missing", "Cannot", { paths: ["x"] });
    });
    clock.advance(1_000);
    const fault: FaultData = {
      code: "library-missing",
      message: "Cannot",
      facts: { paths: ["x"] },
    };
    expect(posted).toEqual([
      { kind: "fault", fault, takenAtMs: 500, tookMs: 0, skipped: 0 },
      {
        kind: "collection",
        collection: { session: 1, devices: [] },
        takenAtMs: 1_500,
        tookMs: 0,
        skipped: 0,
      },
    ]);
  });

  test("does not hide a bug", () => {
    const { clock } = loop([], () => {
      throw new TypeError("a bug");
    });
    expect(() => clock.advance(0)).toThrow("a bug");
  });

  test("takes a new demand into the next pass", () => {
    const { clock, demand, demands } = loop([]);
    clock.advance(0);
    demand({ pcieThroughput: true });
    clock.advance(1_000);
    expect(demands).toEqual([nothing, { pcieThroughput: true }]);
  });

  test("ends when it is closed, and lets go of the driver", () => {
    const { clock, close, closed, passes } = loop([]);
    clock.advance(1_000);
    close();
    clock.advance(5_000);
    expect(closed()).toBe(1);
    expect(passes()).toHaveLength(2);
  });
});
