import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { desiredReplicas, type HpaInputs, holdingValue, settledReplicas } from "#kubernetes/hpa.ts";
import { hpaReplicas } from "./hpa-port.ts";

const usual = { up: 0.1, down: 0.1 };
const targets = fc.integer({ min: 1, max: 1_000_000 }).map((milli) => milli / 1000);
const types = fc.constantFrom("AverageValue" as const, "Value" as const);
const tolerances = fc.record({
  up: fc.constantFrom(0, 0.05, 0.1, 0.4),
  down: fc.constantFrom(0, 0.05, 0.1, 0.4),
});
const inputs: fc.Arbitrary<HpaInputs> = fc.record({
  metricType: types,
  target: targets,
  replicas: fc.nat(60),
  statusReplicas: fc.nat(80),
  readyPods: fc.nat(80),
  tolerances,
});

/** What the test's own arithmetic makes of it. */
function byPort(value: number, { target, ...hpa }: HpaInputs): number {
  const { metricType, replicas, statusReplicas, readyPods, tolerances: tolerance } = hpa;
  const side = { metricType, specReplicas: replicas, statusReplicas, readyPodCount: readyPods };
  return hpaReplicas(value, target, { ...side, tolerance });
}

describe("desiredReplicas()", () => {
  test.each([
    ["ceil of the quotient", 276, "AverageValue", 3, 3, 4],
    ["nothing new while the fourth replica loads", 276, "AverageValue", 4, 3, 4],
    ["nothing new inside the tolerance", 250, "AverageValue", 3, 3, 3],
    ["the ratio times ready pods", 92, "Value", 3, 3, 4],
    ["nothing new inside the tolerance of Value", 85, "Value", 3, 1, 3],
    ["the ratio alone from zero", 170, "Value", 0, 0, 3],
    ["none for none", 0, "AverageValue", 3, 3, 0],
  ] as const)("is %s", (_what, value, metricType, replicas, readyPods, expected) => {
    const hpa = { metricType, target: 80, replicas, readyPods, tolerances: usual };
    expect(desiredReplicas(value, { ...hpa, statusReplicas: replicas })).toBe(expected);
  });

  test("is what the HPA's source computes", () => {
    fc.assert(
      fc.property(inputs, fc.integer({ min: 0, max: 100_000_000 }), (hpa, milli) => {
        expect(desiredReplicas(milli / 1000, hpa)).toBe(byPort(milli / 1000, hpa));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("holdingValue()", () => {
  const surging = (replicas: number, statusReplicas: number) =>
    holdingValue({
      metricType: "AverageValue",
      target: 10,
      replicas,
      statusReplicas,
      readyPods: replicas,
      tolerances: usual,
    });

  test("is the target of each replica, and out of reach of a status that the HPA would take over", () => {
    expect(surging(8, 8)).toBe(80);
    expect(surging(8, 10)).toBe(80);
    expect(surging(10, 11)).toBe(94.5);
  });

  test("is none where every value changes the replicas", () => {
    expect(surging(20, 21)).toBeUndefined();
    expect(surging(11, 10)).toBeUndefined();
  });

  test("keeps what is asked for, whatever is there", () => {
    let held = 0;
    fc.assert(
      fc.property(inputs, (hpa) => {
        const value = holdingValue(hpa);
        if (value === undefined || hpa.replicas === 0) return;
        held += 1;
        expect(byPort(value, hpa)).toBe(hpa.replicas);
      }),
      { numRuns: 1000 },
    );
    expect(held).toBeGreaterThan(500);
  });
});

test("settledReplicas() is what the HPA asks for when all pods that are asked for are ready", () => {
  fc.assert(
    fc.property(inputs, fc.integer({ min: 0, max: 1_000_000 }), (hpa, milli) => {
      const settled = { ...hpa, statusReplicas: hpa.replicas, readyPods: hpa.replicas };
      expect(settledReplicas(milli / 1000, settled)).toBe(byPort(milli / 1000, settled));
    }),
  );
});
