import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { fixedNumbers } from "./constants.ts";
import { exceptionsOf, ruleNames, rules } from "./exceptions.ts";
import { numbers } from "./source-rules.ts";
import { sourceFiles } from "./sources.ts";

describe.each(ruleNames)("%s", (rule) => {
  const findings = rules[rule]();
  const exceptions = exceptionsOf(rule);

  test("no more than the listed exceptions", () => {
    const unlisted = findings.filter(({ key }) => !exceptions.includes(key));
    expect(unlisted.map(({ where }) => where)).toEqual([]);
  });

  // To repair this: bun test/repository/exceptions.ts
  test("every listed exception is still needed", () => {
    const needed = new Set(findings.map(({ key }) => key));
    expect(exceptions.filter((key) => !needed.has(key))).toEqual([]);
  });
});

test("every number that may be a constant outside limits.ts is one", () => {
  const root = join(import.meta.dir, "..", "..");
  const present = new Set(
    sourceFiles(root, "src/**/*.ts")
      .flatMap(numbers)
      .map(({ key }) => key),
  );
  expect(Object.keys(fixedNumbers).filter((name) => !present.has(name))).toEqual([]);
});
