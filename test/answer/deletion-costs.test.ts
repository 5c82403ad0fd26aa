import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { costChanges, type PodLoad } from "#answer/deletion-costs.ts";
import { pod } from "./cluster.ts";

/** A pod with what it has to do, and the cost that it has: as a number, ours; as a text, another's. */
function loaded(name: string, load: number, cost?: number | string): PodLoad {
  const isOwn = typeof cost === "number";
  const deletionCost = cost === undefined ? undefined : { value: Number(cost), isOwn };
  return { load, pod: pod(name, { deletionCost }) };
}

const changed = (...loads: readonly PodLoad[]) =>
  costChanges(loads).map(({ pod: { name }, cost }) => [name, cost]);

/** What a ReplicaSet sees after the changes. */
function written(loads: readonly PodLoad[]): readonly PodLoad[] {
  const costs = new Map(costChanges(loads).map(({ pod: { uid }, cost }) => [uid, cost]));
  return loads.map(({ pod: own, load }) => {
    const value = costs.get(own.uid);
    return {
      load,
      pod: value === undefined ? own : { ...own, deletionCost: { value, isOwn: true } },
    };
  });
}

describe("costs of deletion", () => {
  test("are in the order of what pods have to do, those of the busiest first", () => {
    expect(changed(loaded("idle", 0), loaded("busy", 40), loaded("one", 1))).toEqual([
      ["busy", 13],
      ["one", 2],
    ]);
  });
  test("are the same whoever asks in whatever order", () => {
    const loads = [loaded("a", 3), loaded("b", 3), loaded("c", 9), loaded("d", 0)];
    expect(costChanges(loads.toReversed())).toEqual(costChanges(loads));
  });
  test("stay where the order is right, however much all loads grew", () => {
    expect(changed(loaded("a", 10, 1), loaded("b", 90, 2), loaded("c", 900, 3))).toEqual([]);
  });
  test("stay while a pod is only little busier than another", () => {
    expect(changed(loaded("a", 10, 9), loaded("b", 11, 8))).toEqual([]);
    expect(changed(loaded("a", 10, 9), loaded("b", 30, 8))).toEqual([["b", 12]]);
  });
  test("tell an idle pod from one with a single request, and from a slow trickle", () => {
    expect(changed(loaded("idle", 0), loaded("one", 1))).toEqual([["one", 2]]);
    expect(changed(loaded("idle", 0), loaded("trickle", 0.01))).toEqual([["trickle", 2]]);
  });
  test("change where a pod became idle, or a new one came between", () => {
    expect(changed(loaded("was-busy", 0, 13), loaded("was-idle", 40, 0))).toEqual([
      ["was-idle", 13],
      ["was-busy", 0],
    ]);
    expect(changed(loaded("new", 40), loaded("old", 1, 2))).toEqual([["new", 13]]);
  });
  test("that somebody else has set are left alone, and order nobody else's", () => {
    expect(changed(loaded("kept", 0, "100"), loaded("busy", 40, 13), loaded("idle", 0))).toEqual(
      [],
    );
    expect(changed(loaded("first", 40, "-5"), loaded("idle", 0))).toEqual([]);
  });
  test("of no pod and of one are nothing to change", () => {
    expect(changed()).toEqual([]);
    expect(changed(loaded("alone", 40))).toEqual([]);
  });

  const anyPod = fc.record({
    load: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 10_000, noNaN: true })),
    cost: fc.option(fc.oneof(fc.integer({ min: -40, max: 40 }), fc.constant("7")), {
      nil: undefined,
    }),
  });

  test("let no pod go before one that has clearly less to do, and then stay", () => {
    fc.assert(
      fc.property(fc.array(anyPod, { maxLength: 12 }), (pods) => {
        const loads = pods.map(({ load, cost }, index) => loaded(`p${index}`, load, cost));
        const after = written(loads);
        expect(costChanges(after)).toEqual([]);
        const own = after.filter(({ pod: { deletionCost } }) => deletionCost?.isOwn !== false);
        const costOf = ({ pod: { deletionCost } }: PodLoad) => deletionCost?.value ?? 0;
        for (const busy of own)
          for (const idle of own)
            if (busy.load >= 2 * Math.max(1, idle.load) || (idle.load === 0 && busy.load > 0))
              expect(costOf(busy)).toBeGreaterThan(costOf(idle));
      }),
    );
  });
});
