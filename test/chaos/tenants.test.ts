import { describe, expect, test } from "bun:test";
import { judgeActive, judgeValue, readingAt, type Tenant, tenants } from "./tenants.ts";

const named = (namespace: string): Tenant => {
  const found = tenants.find((tenant) => tenant.namespace === namespace);
  if (found === undefined) throw new Error(`there is no tenant ${namespace}`);
  return found;
};
const span = { from: 180, to: 204 };
/** The sum of what a tenant's replicas read at these ticks; a replica without one is left out. */
const sumOf = (namespace: string, ticks: readonly (number | undefined)[]) =>
  ticks.reduce<number>(
    (sum, tick, place) => sum + (tick === undefined ? 0 : readingAt(named(namespace), place, tick)),
    0,
  );

describe("judgeValue()", () => {
  test.each([
    ["three fresh replicas", "red", sumOf("red", [180, 190, 204]), "measured"],
    ["the first of three too old", "red", sumOf("red", [179, 204, 204]), "wrong"],
    ["the second of three too old", "red", sumOf("red", [204, 179, 204]), "wrong"],
    ["the last of three too old", "red", sumOf("red", [204, 204, 179]), "wrong"],
    ["a reading of the future", "red", sumOf("red", [204, 205, 204]), "wrong"],
    ["two of three, below what keeps three", "red", sumOf("red", [190, 190]), "wrong"],
    ["what keeps three", "red", 120_000, "held"],
    ["zero", "red", 0, "wrong"],
    [
      "its own and a neighbor's",
      "red",
      sumOf("red", [190, 190, 190]) + sumOf("blue", [190]),
      "wrong",
    ],
    ["one of two, above what keeps two", "blue", sumOf("blue", [undefined, 190]), "partial"],
    ["one of two, too old", "blue", sumOf("blue", [undefined, 170]), "wrong"],
    ["the other tenant of that name", "blue", sumOf("red", [190, 190, 190]), "wrong"],
    ["a GPU that nobody holds", "grey", 1_777, "wrong"],
    ["nothing to do", "grey", 0, "measured"],
    ["two engines", "green", sumOf("green", [185, 195]), "measured"],
    ["one of two engines too old", "green", sumOf("green", [170, 195]), "wrong"],
    ["one engine", "green", sumOf("green", [190]), "wrong"],
  ])("%s", (_what, namespace, value, expected) => {
    expect(judgeValue(named(namespace), value, span)).toBe(expected as "wrong");
  });
});

test("judgeActive() allows what was true within the span, and nothing else", () => {
  const pink = named("pink");
  const [busy, rests, both] = [
    { from: 2, to: 20 },
    { from: 33, to: 50 },
    { from: 20, to: 40 },
  ];
  expect([busy, rests, both].map((each) => judgeActive(pink, true, each))).toEqual([
    "measured",
    "wrong",
    "measured",
  ]);
  expect([busy, rests, both].map((each) => judgeActive(pink, false, each))).toEqual([
    "wrong",
    "measured",
    "measured",
  ]);
  expect(judgeActive(named("grey"), true, both)).toBe("wrong");
});
