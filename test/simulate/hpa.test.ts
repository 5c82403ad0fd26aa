import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type HpaInput, hpa, proposal } from "#simulate/hpa.ts";
import type { ScaledObjectModel } from "#simulate/scenario.ts";
import { hpaReplicas } from "../kubernetes/hpa-port.ts";

const tolerances = { up: 0.1, down: 0.1 };

test("a proposal is what the port of the HPA's source computes", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.integer({ min: 0, max: 1_000_000_000 }),
      fc.constantFrom("AverageValue" as const, "Value" as const),
      fc.nat(200),
      fc.nat(200),
      (targetMilli, milli, metricType, replicas, ready) => {
        // KEDA cuts the value off, which may be just below a thousandth.
        const usageMilli = Math.trunc((milli / 1000) * 1000);
        const readyPods = Math.min(ready, replicas);
        const side = { specReplicas: replicas, statusReplicas: replicas, readyPods };
        const own = proposal({ metricType, targetMilli }, usageMilli, side, tolerances);
        const counts = { specReplicas: replicas, statusReplicas: replicas };
        const port = { metricType, ...counts, readyPodCount: readyPods };
        expect(own).toBe(hpaReplicas(milli / 1000, targetMilli / 1000, port));
      },
    ),
    { numRuns: 2000 },
  );
});

describe("a proposal", () => {
  const side = (specReplicas: number, statusReplicas: number, readyPods = specReplicas) => ({
    specReplicas,
    statusReplicas,
    readyPods,
  });
  const average = { metricType: "AverageValue", targetMilli: 10_000 } as const;
  const value = { metricType: "Value", targetMilli: 10_000 } as const;
  test.each([
    ["inside the tolerance is the status, surge and all", average, 60_000, side(5, 6), 6],
    ["outside of it does not ask how many there are", average, 30_000, side(5, 6), 3],
    ["of Value starts from the spec", value, 10_900, side(5, 6), 5],
    ["of Value multiplies by ready pods", value, 20_000, side(5, 6, 4), 8],
    ["of Value at zero is the ratio", value, 25_000, side(0, 0), 3],
    ["of nothing is nothing", average, 0, side(5, 5), 0],
  ])("%s", (_what, metric, usageMilli, input, expected) => {
    expect(proposal(metric, usageMilli, input, tolerances)).toBe(expected);
  });

  test("has a tolerance in each direction", () => {
    const wide = { up: 0.5, down: 0 };
    expect(proposal(average, 70_000, side(5, 5), wide)).toBe(5);
    expect(proposal(average, 76_000, side(5, 5), wide)).toBe(8);
    expect(proposal(average, 49_000, side(6, 6), wide)).toBe(5);
    expect(proposal(average, 49_000, side(5, 5), { up: 0, down: 0.02 })).toBe(5);
  });
});

/** Syncs every 15 s with what the usages say, each the sum for a target of 1 a replica. */
function play(
  usages: readonly (number | undefined)[],
  behavior: ScaledObjectModel["behavior"] = {},
  first = 1,
): number[] {
  const metrics = [{ metricType: "AverageValue", targetMilli: 1_000 } as const];
  const own = hpa({ minReplicas: 1, maxReplicas: 100, metrics, behavior });
  let spec = first;
  return usages.map((usage, index) => {
    const usagesMilli = [usage === undefined ? undefined : usage * 1000];
    const input = { specReplicas: spec, statusReplicas: spec, readyPods: spec, usagesMilli };
    spec = own.sync(input, index * 15_000).replicas;
    return spec;
  });
}
const times = <Item>(count: number, item: Item) => Array.from({ length: count }, () => item);
const atOnce = { stabilizationWindowSeconds: 0 };

describe("behavior", () => {
  test("by default doubles or adds four, whichever is more, and at once", () => {
    expect(play(times(5, 90))).toEqual([5, 10, 20, 40, 80]);
  });
  test("by default waits five minutes before it removes, and then all at once", () => {
    const counts = play([10, ...times(21, 2)], {}, 10);
    expect(counts.slice(0, 20)).toEqual(times(20, 10));
    expect(counts.slice(20)).toEqual([2, 2]);
  });
  test("adds by the policy that allows least where it says so", () => {
    const scaleUp = {
      selectPolicy: "Min",
      policies: [
        { type: "Pods", value: 3, periodSeconds: 15 },
        { type: "Percent", value: 50, periodSeconds: 15 },
      ],
    } as const;
    expect(play(times(3, 90), { scaleUp }, 4)).toEqual([6, 9, 12]);
  });
  test("counts what a policy's period has added already", () => {
    const scaleUp = { policies: [{ type: "Pods", value: 2, periodSeconds: 60 }] } as const;
    expect(play(times(6, 90), { scaleUp })).toEqual([3, 3, 3, 3, 5, 5]);
  });
  test("counts what the other direction did in a policy's period", () => {
    const scaleUp = { policies: [{ type: "Percent", value: 100, periodSeconds: 60 }] } as const;
    const behavior = { scaleUp, scaleDown: atOnce };
    expect(play([2, 8, 8], behavior, 8)).toEqual([2, 8, 8]);
  });
  test("removes by percent, rounded so that more goes, and by pods", () => {
    const percent = { policies: [{ type: "Percent", value: 10, periodSeconds: 15 }] } as const;
    expect(play(times(3, 1), { scaleDown: { ...atOnce, ...percent } }, 15)).toEqual([13, 11, 9]);
    const pods = { policies: [{ type: "Pods", value: 4, periodSeconds: 30 }] } as const;
    expect(play(times(4, 1), { scaleDown: { ...atOnce, ...pods } }, 15)).toEqual([11, 11, 7, 7]);
  });
  test("removes by the policy that leaves most where it says so", () => {
    const policies = [
      { type: "Pods", value: 1, periodSeconds: 15 },
      { type: "Percent", value: 50, periodSeconds: 15 },
    ] as const;
    const both = { ...atOnce, policies };
    expect(play(times(2, 1), { scaleDown: { ...both, selectPolicy: "Min" } }, 10)).toEqual([9, 8]);
    expect(play(times(2, 1), { scaleDown: both }, 10)).toEqual([5, 2]);
  });
  test("does nothing in a direction that is disabled", () => {
    const off = { selectPolicy: "Disabled" } as const;
    expect(play([9, 1], { scaleUp: off, scaleDown: atOnce }, 3)).toEqual([3, 1]);
    expect(play([1, 9], { scaleDown: { ...atOnce, ...off } }, 3)).toEqual([3, 7]);
  });
  test("takes the least of the up window", () => {
    const scaleUp = { stabilizationWindowSeconds: 45 };
    expect(play([5, 20, 20, 20, 20], { scaleUp }, 5)).toEqual([5, 5, 5, 10, 20]);
  });
  test("has tolerances of its own", () => {
    expect(play([14, 15.1], { scaleUp: { tolerance: 0.5 } }, 10)).toEqual([10, 16]);
    const scaleDown = { ...atOnce, tolerance: 0.5 };
    expect(play([6, 4], { scaleDown }, 10)).toEqual([10, 4]);
  });
});

describe("limits", () => {
  const metrics = [{ metricType: "AverageValue", targetMilli: 1_000 } as const];
  const own = () =>
    hpa({ minReplicas: 2, maxReplicas: 6, metrics, behavior: { scaleDown: atOnce } });
  const input = (specReplicas: number, usage: number | undefined): HpaInput => ({
    specReplicas,
    statusReplicas: specReplicas,
    readyPods: specReplicas,
    usagesMilli: [usage === undefined ? undefined : usage * 1000],
  });
  test.each([
    ["the most", 4, 50, 6],
    ["the least", 4, 0, 2],
    ["back from above the most, whatever is asked", 9, undefined, 6],
    ["back from below the least, whatever is asked", 1, undefined, 2],
    ["what there is, without a value", 4, undefined, 4],
    ["zero, which somebody else has set", 0, 50, 0],
  ])("keep %s", (_what, spec, usage, expected) => {
    expect(own().sync(input(spec, usage), 0).replicas).toBe(expected);
  });
});

describe("of several metrics", () => {
  const metric = { metricType: "AverageValue", targetMilli: 1_000 } as const;
  const sync = (...usages: readonly (number | undefined)[]) =>
    hpa({
      minReplicas: 1,
      maxReplicas: 100,
      metrics: usages.map(() => metric),
      behavior: { scaleDown: atOnce },
    }).sync(
      {
        specReplicas: 4,
        statusReplicas: 4,
        readyPods: 4,
        usagesMilli: usages.map((usage) => usage && usage * 1000),
      },
      0,
    );
  test.each([
    ["the highest counts", [2, 6, 3], 6],
    ["an invalid one lets others add", [undefined, 6], 6],
    ["an invalid one keeps others from removing", [undefined, 2], 4],
    ["an invalid one changes nothing where others keep", [4, undefined], 4],
    ["invalid ones alone keep what there is", [undefined, undefined], 4],
  ])("%s", (_what, usages, expected) => {
    expect(sync(...usages).replicas).toBe(expected);
  });
});

test("what there is at its first sync counts as recommended then, so it removes nothing at once", () => {
  const own = hpa({
    minReplicas: 1,
    maxReplicas: 10,
    metrics: [{ metricType: "AverageValue", targetMilli: 1_000 }],
    behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
  });
  const input = { specReplicas: 4, statusReplicas: 4, readyPods: 4, usagesMilli: [1_000] };
  const replicas = [0, 15, 30, 45, 60].map((second) => own.sync(input, second * 1000).replicas);
  expect(replicas).toEqual([4, 4, 4, 4, 1]);
});
