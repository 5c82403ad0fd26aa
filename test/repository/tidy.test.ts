import { expect, test } from "bun:test";
import { join } from "node:path";
import { fixedNumbers } from "./constants.ts";
import { rules } from "./rules.ts";
import { numbers } from "./source-rules.ts";
import { sourceFiles } from "./sources.ts";

test.each(Object.entries(rules))("%s", (_rule, findings) => {
  expect(findings().map(({ where }) => where)).toEqual([]);
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
