import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { desiredReplicas, keepingValue } from "#kubernetes/hpa.ts";
import { hpaReplicas } from "./hpa-port.ts";

const targets = fc.integer({ min: 1, max: 1_000_000 }).map((milli) => milli / 1000);
const types = fc.constantFrom("AverageValue" as const, "Value" as const);

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
    const hpa = { metricType, target: 80, replicas, readyPods };
    expect(desiredReplicas(value, hpa)).toBe(expected);
  });

  test("is what the HPA's source computes", () => {
    fc.assert(
      fc.property(
        targets,
        fc.integer({ min: 0, max: 1_000_000_000 }),
        types,
        fc.nat(200),
        fc.nat(200),
        (target, milli, metricType, replicas, ready) => {
          const readyPods = Math.min(ready, replicas);
          const side = { metricType, statusReplicas: replicas, readyPodCount: readyPods };
          const value = milli / 1000;
          expect(desiredReplicas(value, { metricType, target, replicas, readyPods })).toBe(
            hpaReplicas(value, target, side),
          );
        },
      ),
      { numRuns: 1000 },
    );
  });
});

test("keepingValue() keeps what there is, however few of them are ready", () => {
  fc.assert(
    fc.property(
      targets,
      types,
      fc.integer({ min: 1, max: 500 }),
      (target, metricType, replicas) => {
        const value = keepingValue(replicas, { metricType, target, replicas, readyPods: 1 });
        const side = { metricType, statusReplicas: replicas, readyPodCount: 1 };
        expect(hpaReplicas(value, target, side)).toBe(replicas);
      },
    ),
  );
});
