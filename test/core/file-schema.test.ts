import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { choice, exact, problemOf, whole } from "#core/file-schema.ts";

const schema = exact({
  name: v.string(),
  kind: v.optional(choice(["gauge", "counter"])),
  limits: v.optional(exact({ devices: whole(1, 8) })),
});

function problems(input: unknown, within?: string): readonly string[] {
  const { issues = [] } = v.safeParse(schema, input);
  return issues.map((issue) => problemOf(issue, within));
}

describe("a file's problems", () => {
  test("are none where every key is known and right", () => {
    expect(problems({ name: "a", kind: "gauge", limits: { devices: 8 } })).toEqual([]);
  });

  test.each([
    [
      { name: "a", limits: { device: 1, devices: 1 } },
      "limits.device: unknown key; did you mean devices?",
    ],
    [{ name: "a", colour: 1 }, "colour: unknown key; allowed: name, kind, limits"],
    [{}, "name: required"],
    [
      { name: "a", kind: "gage" },
      'kind: must be one of gauge, counter, got "gage"; did you mean gauge?',
    ],
    [{ name: "a", kind: "histogram" }, 'kind: must be one of gauge, counter, got "histogram"'],
    [{ name: "a", kind: 1 }, "kind: must be one of gauge, counter, got 1"],
    [
      { name: "a", limits: { devices: 9 } },
      "limits.devices: must be a whole number from 1 to 8, got 9",
    ],
    [
      { name: "a", limits: { devices: 0 } },
      "limits.devices: must be a whole number from 1 to 8, got 0",
    ],
    [
      { name: "a", limits: { devices: 1.5 } },
      "limits.devices: must be a whole number from 1 to 8, got 1.5",
    ],
  ])("%j: %s", (input, problem) => expect(problems(input)).toEqual([problem]));

  test.each([
    ["a value of many lines", { name: "a", kind: "gauge\n  limits: 1\n" }, "gauge limits: 1"],
    ["a value without end", { name: "a", kind: "x".repeat(10_000) }, `"${"x".repeat(59)}…`],
    ["a key of many lines", { name: "a", "li\r\u001b[2Jmits": 1 }, "li [2Jmits: unknown key"],
    ["a key without end", { name: "a", ["x".repeat(10_000)]: 1 }, `${"x".repeat(60)}…: unknown`],
  ])("show %s in one short line", (_what, input, part) => {
    const [problem = ""] = problems(input);
    expect(problem).toContain(part);
    expect(problem).not.toMatch(/\p{Cc}/u);
    expect(problem.length).toBeLessThan(200);
  });

  test.each([[null], [[]], ["text"], [1]])("%j is no mapping", (input) =>
    expect(problems(input)).toEqual([
      expect.stringMatching(/^the file: must be a mapping of keys, got /),
    ]),
  );

  test("name every unknown key, each with the place that the schema is about", () => {
    expect(problems({ name: "a", one: 1, kinds: 2 }, "profiles.0")).toEqual([
      "profiles.0.one: unknown key; allowed: name, kind, limits",
      "profiles.0.kinds: unknown key; did you mean kind?",
    ]);
  });
});
