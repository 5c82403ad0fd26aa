import { describe, expect, test } from "bun:test";
import { inDeletionOrder } from "#simulate/deletion-order.ts";
import { type Product, product } from "#simulate/product/product.ts";
import type { ServingReplica } from "#simulate/replica.ts";
import type { Scenario } from "#simulate/scenario.ts";
import { simulate } from "#simulate/simulate.ts";
import type { Simulation } from "#simulate/simulation.ts";
import { serving } from "./serving.ts";

const hourMs = 3_600_000;

/** A ready pod on a node of its own, an hour old. */
function replica(number: number, changes: Partial<ServingReplica> = {}): ServingReplica {
  const [engine] = serving({ target: { replicas: 1 } })
    .pods.all()
    .map((one) => one.engine);
  if (engine === undefined) throw new Error("Cannot go on: there is no engine");
  return {
    number,
    name: `llm-${number}`,
    revision: 0,
    ordinal: -1,
    createdAtMs: 0,
    phase: "ready",
    loadedAtMs: 0,
    readyChangedAtMs: 0,
    nodes: [number],
    devices: [],
    busyShare: 0,
    engine,
    ...changes,
  };
}

describe("a ReplicaSet deletes", () => {
  const order = (...pods: readonly ServingReplica[]) => {
    const orders = [pods, pods.toReversed()].map((own) =>
      inDeletionOrder(own, own, hourMs).map(({ number }) => number),
    );
    expect(orders[1]).toEqual(orders[0] ?? []);
    return orders[0];
  };

  test("what is not ready whatever it costs, then by cost whatever its age", () => {
    const pods = [
      replica(0, { deletionCost: -5, readyChangedAtMs: 0 }),
      replica(1, { readyChangedAtMs: hourMs - 1 }),
      replica(2, { deletionCost: 3, readyChangedAtMs: hourMs - 1 }),
      replica(3, { deletionCost: 9, phase: "loading" }),
      replica(4, { deletionCost: 9, phase: "pending", nodes: [] }),
    ];
    expect(order(...pods)).toEqual([4, 3, 0, 1, 2]);
  });
  test("of those that cost the same the one that shares its node, then the youngest", () => {
    const pods = [
      replica(0, { nodes: [7] }),
      replica(1, { readyChangedAtMs: hourMs - 1_000 }),
      replica(2, { nodes: [7] }),
      replica(3, { readyChangedAtMs: hourMs - 10_000 }),
    ];
    expect(order(...pods)).toEqual([2, 0, 1, 3]);
  });
  test("by no rule among those of about the same age", () => {
    const pods = Array.from({ length: 8 }, (_none, number) =>
      replica(number, { readyChangedAtMs: number * 1_000 }),
    );
    expect(order(...pods)).not.toEqual([7, 6, 5, 4, 3, 2, 1, 0]);
  });
});

const scenario: Scenario = {
  seconds: 2 * 3_600,
  routing: "random",
  load: {
    rate: { kind: "sine", meanPerSecond: 0.4, amplitudePerSecond: 0.4, periodSeconds: 1_200 },
    outputTokens: { p50: 1_000, p95: 8_000 },
  },
  target: { replicas: 4 },
  scaledObject: {
    minReplicaCount: 1,
    maxReplicaCount: 10,
    behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
    triggers: [
      { metadata: { scalerAddress: "s:6000", metricType: "concurrency", targetValue: "4" } },
    ],
  },
};

/** Plays it, and counts how often each scaler gave a pod another cost. */
function played(changes: Partial<Scenario>, seed = 1) {
  const writes: number[] = [];
  const counting = (simulation: Simulation): Product => {
    const made = product(simulation);
    return {
      ...made,
      scaler: () => {
        const own = made.scaler();
        const index = writes.push(0) - 1;
        const costs = () => simulation.pods.all().map(({ deletionCost }) => deletionCost);
        const { writeDeletionCosts: write } = own;
        return {
          ...own,
          writeDeletionCosts:
            write &&
            (() => {
              const before = costs();
              write();
              const changed = costs().filter((cost, at) => cost !== before[at]);
              writes[index] = (writes[index] ?? 0) + changed.length;
            }),
        };
      },
    };
  };
  const run = simulate({ ...scenario, ...changes }, seed, counting);
  return { interrupted: run.requests.interrupted, writes };
}

describe("deletion costs in the simulation", () => {
  test("spare requests that would begin anew", () => {
    const sum = (deletionCost: boolean) =>
      [1, 2, 3].reduce((total, seed) => total + played({ deletionCost }, seed).interrupted, 0);
    expect(sum(true)).toBeLessThan(0.9 * sum(false));
  });
  test("are written by one of two scalers, and by none without the option", () => {
    expect(played({ scalers: 2 }).writes).toEqual([0, 0]);
    const one = played({ deletionCost: true, scalers: 1 }).writes[0] ?? 0;
    const both = played({ deletionCost: true, scalers: 2 }).writes;
    expect(one).toBeGreaterThan(0);
    expect(both.reduce((sum, own) => sum + own, 0)).toBeLessThan(1.5 * one);
  });
  test("come from devices where no engine is read, and never into a StatefulSet", () => {
    const metadata = { scalerAddress: "s:6000", metricType: "gpu_utilization", targetValue: "60" };
    const triggers = [{ metadata }];
    const byDevices = { deletionCost: true, scaledObject: { ...scenario.scaledObject, triggers } };
    expect(played(byDevices).writes[0]).toBeGreaterThan(0);
    const ordered = { ...byDevices, target: { kind: "StatefulSet", replicas: 4 } } as const;
    expect(played(ordered).writes).toEqual([0]);
  });
});
