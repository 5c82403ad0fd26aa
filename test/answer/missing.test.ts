import { describe, expect, test } from "bun:test";
import { missingTracker } from "#answer/missing.ts";
import { missingGraceMs, missingTrackedMax } from "#core/limits.ts";
import { type ClusterState, held, host, inCluster, pod } from "./cluster.ts";
import { expectFault } from "./faults.ts";
import { nowMs } from "./fleet.ts";

const all = ["x", "y", "z"];
const pods = all.map((name) => pod(name, { node: name }));
/** Three replicas on a node each; only the agents of the named ones are heard. */
const heard = (...names: readonly string[]): ClusterState => ({
  nodes: names.map((name) => host(name, [held(name, 10)])),
  pods,
});
const pollMs = 30_000;

/** Asks as KEDA does until the time is over; every value on the way. */
function poll(cluster: ReturnType<typeof inCluster>, forMs: number): number[] {
  const values: number[] = [];
  for (let passedMs = 0; passedMs < forMs; passedMs += pollMs) {
    values.push(cluster.value().value);
    cluster.pass(pollMs);
  }
  return values;
}

describe("a missing replica", () => {
  test("takes nothing away for five minutes, then counts as the target", () => {
    const cluster = inCluster(heard("x", "y"));
    expect(new Set(poll(cluster, missingGraceMs))).toEqual(new Set([240]));
    expect(cluster.value().value).toBe(240);
    cluster.pass(1);
    const { value, explanation } = cluster.value();
    expect(value).toBe(100);
    expect(explanation.workload?.desiredReplicas).toBe(2);
    expect(explanation.rule).toContain("1 long missing, each counted as the target 80");
    cluster.become(heard(...all));
    expect(cluster.value().value).toBe(30);
  });

  test("that is long missing beside another that is not yet: each by its own rule", () => {
    const cluster = inCluster({ ...heard("x", "y"), workload: { replicas: 4 } });
    poll(cluster, missingGraceMs + pollMs);
    const late = pod("w", { node: "far" });
    cluster.become({ ...heard("x", "y"), pods: [...pods, late], workload: { replicas: 4 } });
    const { value, explanation } = cluster.value();
    expect(value).toBe(320);
    expect(explanation.rule).toEndWith(
      ": 320; 1 long missing, each counted as the target 80; 100 while some are missing, sent as " +
        "320, at which the HPA keeps 4",
    );
  });

  test("is one whose device is not well, whatever that device reads", () => {
    const failing = { state: "failing", reason: "XID 79; look for Xid lines in dmesg" } as const;
    const reset = { state: "reset-required", reason: "recovery action 1" } as const;
    for (const health of [failing, reset]) {
      // It reads as idle: believed, it would make the workload too large.
      const ill = host("z", [{ ...held("z", 0), health }]);
      const cluster = inCluster({ nodes: [...(heard("x", "y").nodes ?? []), ill], pods });
      const { value, explanation } = cluster.value();
      expect(value).toBe(240);
      expect(JSON.stringify(explanation)).toContain(`${health.state}: ${health.reason}`);
    }
    // A condition takes nothing away: 90 + 90 + 0.
    const conditions = [{ kind: "row-remap-pending", detail: "later" }] as const;
    const told = host("z", [{ ...held("z", 0), conditions }]);
    const busy = ["x", "y"].map((name) => host(name, [held(name, 90)]));
    expect(inCluster({ nodes: [...busy, told], pods }).value().value).toBe(180);
  });

  test("has its time from when its node was last heard, whoever asks first", () => {
    const silentSince = (sampledAtMs: number) => ({
      nodes: ["x", "y"]
        .map((name) => host(name, [held(name, 10)]))
        .concat(host("z", [held("z", 10)], { sampledAtMs })),
      pods,
    });
    expect(inCluster(silentSince(nowMs - missingGraceMs)).value().value).toBe(240);
    expect(inCluster(silentSince(nowMs - missingGraceMs - 1)).value().value).toBe(100);
  });

  test("lets the others ask for more meanwhile", () => {
    const nodes = ["x", "y"].map((name) => host(name, [held(name, 100)]));
    const cluster = inCluster({ nodes, pods });
    expect(cluster.value().value).toBe(240);
    cluster.become({ nodes, pods, workload: { replicas: 2 } });
    expect(cluster.value().value).toBe(200);
  });

  test("keeps the starting ones too", () => {
    const starting = pod("w", { state: "warming", node: "x" });
    const cluster = inCluster({ ...heard("x", "y"), pods: [...pods, starting] });
    expect(cluster.value().value).toBe(320);
  });

  test("under Value sends the target, then counts as it in the mean", () => {
    const byValue = { metricType: "Value" as const };
    const cluster = inCluster({ ...heard("x", "y"), workload: byValue });
    expect(new Set(poll(cluster, missingGraceMs))).toEqual(new Set([80]));
    cluster.pass(1);
    expect(cluster.value().value).toBeCloseTo(100 / 3);
  });

  test("has its whole time again after it was there, however briefly", () => {
    const cluster = inCluster(heard("x", "y"));
    for (let round = 0; round < 4; round += 1) {
      cluster.become(heard("x", "y"));
      expect(new Set(poll(cluster, missingGraceMs - pollMs))).toEqual(new Set([240]));
      cluster.become(heard(...all));
      expect(cluster.value().value).toBe(30);
    }
  });

  test("has its whole time again after this process started anew", () => {
    const cluster = inCluster(heard("x", "y"));
    poll(cluster, missingGraceMs + pollMs);
    expect(cluster.value().value).toBe(100);
    cluster.restart();
    expect(new Set(poll(cluster, missingGraceMs))).toEqual(new Set([240]));
  });

  test("has its whole time when another pod had its name", () => {
    const cluster = inCluster(heard("x", "y"));
    poll(cluster, missingGraceMs + pollMs);
    const successor = pod("z", { node: "z", uid: "another" });
    cluster.become({ ...heard("x", "y"), pods: [...pods.slice(0, 2), successor] });
    expect(cluster.value().value).toBe(240);
  });

  test("of many is an error when fewer than half are known, however long", () => {
    const cluster = inCluster(heard("x"));
    expectFault(cluster.value, "data-missing", "1 of 3 replicas are known");
    cluster.pass(missingGraceMs);
    expectFault(cluster.value, "data-missing", "at least half");
  });

  test("may be half of them", () => {
    const cluster = inCluster({ ...heard("x"), pods: pods.slice(0, 2) });
    expect(cluster.value().value).toBe(160);
  });

  test("that holds no device beside others that do is missing too", () => {
    const nodes = [host("x", [held("x", 10)]), host("y", [held("y", 10)]), host("z", [])];
    const cluster = inCluster({ nodes, pods });
    expect(cluster.value().value).toBe(240);
    expect(cluster.value().explanation.workload?.pods[2]).toMatchObject({
      state: "missing",
      reason: "it holds no device on node z",
    });
  });

  test("with one lost device of several is known again without it after the grace", () => {
    const lost = { health: { state: "lost", reason: "gone" }, unwellSinceMs: 1_000_000 } as const;
    const devices = [held("x", 70), held("x", 90, { uuid: "GPU-2", index: 1, ...lost })];
    const cluster = inCluster({ nodes: [host("x", devices)], pods: pods.slice(0, 1) });
    expectFault(cluster.value, "data-missing", "GPU 1 (H200, GPU-2): lost: gone");
    cluster.pass(missingGraceMs + 1);
    expect(cluster.value().value).toBe(70);
  });
});

describe("missingTracker()", () => {
  const tracked = () => {
    let nowMs = 1_000;
    const tracker = missingTracker({ monotonicMs: () => nowMs });
    const pass = (ms: number) => {
      nowMs += ms;
    };
    return { ...tracker, pass };
  };

  test("remembers since when, and forgets what is there", () => {
    const { missing, present, pass } = tracked();
    expect(missing("x")).toBe(1_000);
    pass(10);
    expect(missing("x")).toBe(1_000);
    expect(missing("y")).toBe(1_010);
    present("x");
    expect(missing("x")).toBe(1_010);
    expect(missing("y")).toBe(1_010);
  });

  test("forgets what nobody asked about for a whole grace", () => {
    const { missing, pass } = tracked();
    missing("x");
    missing("y");
    pass(missingGraceMs);
    expect(missing("y")).toBe(1_000);
    pass(1);
    expect(missing("x")).toBe(missingGraceMs + 1_001);
    expect(missing("y")).toBe(1_000);
  });
  test("forgets the longest unasked when there are too many", () => {
    const { missing, pass } = tracked();
    for (let index = 0; index < missingTrackedMax; index += 1) missing(`pod ${index}`);
    pass(1);
    missing("pod 0");
    missing("one more");
    expect(missing("pod 0")).toBe(1_000);
    expect(missing("pod 2")).toBe(1_000);
    expect(missing("pod 1")).toBe(1_001);
  });
});
