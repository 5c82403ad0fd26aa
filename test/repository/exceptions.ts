/**
 * What breaks a rule today, by rule. The lists only shrink: a test refuses both a finding that is
 * not listed and an entry without a finding, and `bun test/repository/exceptions.ts` takes out what
 * has been repaired. When all are empty this file goes.
 *
 * Two of the lists are overrides of `biome.json`, because the linter has to know them.
 *
 * @module
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { fixedNumbers } from "./constants.ts";
import { longFunctions, looseLimits, repeatedTypes, retired } from "./source-rules.ts";
import { type Finding, sourceFiles } from "./sources.ts";

const root = join(import.meta.dir, "..", "..");
const listsPath = join(import.meta.dir, "exceptions.json");
const biomePath = join(root, "biome.json");
const biome = join(root, "node_modules", ".bin", "biome");
export const functionLinesMax = 70;

const sources = () => sourceFiles(root, "src/**/*.ts");

/** Each rule's findings in the repository as it is. */
export const rules = {
  "a type name stands in one file": () => repeatedTypes(sources()),
  "no identifier uses a retired word": () => retired(sources()),
  "limits stand in src/core/limits.ts": () =>
    looseLimits(sources(), new Set(Object.keys(fixedNumbers))),
  "a function fits on a screen": () =>
    longFunctions(sourceFiles(root, "{src,tools,bench}/**/*.{ts,mjs}"), functionLinesMax),
  "files import each other one way": () => importCycles(root),
} as const satisfies Record<string, () => readonly Finding[]>;
export type RuleName = keyof typeof rules;
export const ruleNames = Object.keys(rules) as readonly RuleName[];

/** The rules whose lists are overrides in `biome.json`, and the lint rule that each turns off. */
const lintRules: Partial<Record<RuleName, string>> = {
  "a function fits on a screen": "noExcessiveLinesPerFunction",
  "files import each other one way": "noImportCycles",
};

const Lists = v.record(v.string(), v.array(v.string()));
const Biome = v.looseObject({
  overrides: v.array(v.looseObject({ includes: v.array(v.string()), linter: v.unknown() })),
});

/** What a rule still lets pass. */
export function exceptionsOf(rule: RuleName): readonly string[] {
  const lintRule = lintRules[rule];
  if (lintRule === undefined) return readLists()[rule] ?? [];
  return readBiome(root).overrides.flatMap((override) =>
    isList(override, lintRule) ? override.includes : [],
  );
}

const readLists = () => v.parse(Lists, JSON.parse(readFileSync(listsPath, "utf8")));
const readBiome = (folder: string) =>
  v.parse(Biome, JSON.parse(readFileSync(join(folder, "biome.json"), "utf8")));

/** Whether an override is a list of exceptions, and not the lasting one for tests. */
function isList(
  { includes, linter }: { readonly includes: readonly string[]; readonly linter: unknown },
  lintRule: string,
): boolean {
  return JSON.stringify(linter).includes(`"${lintRule}":"off"`) && !includes.includes("test/**");
}

/** Imports that are part of a cycle of files, imports of types included, as Biome sees them. */
export function importCycles(folder: string): readonly Finding[] {
  const copy = mkdtempSync(join(tmpdir(), "cycles-"));
  try {
    cpSync(join(folder, "src"), join(copy, "src"), { recursive: true });
    cpSync(join(root, "package.json"), join(copy, "package.json"));
    const { overrides, ...rest } = readBiome(root);
    const strict = overrides.filter((override) => !isList(override, "noImportCycles"));
    writeFileSync(join(copy, "biome.json"), JSON.stringify({ ...rest, overrides: strict }));
    const { stdout } = Bun.spawnSync(
      [
        biome,
        "lint",
        "--only=suspicious/noImportCycles",
        "--vcs-enabled=false",
        "--max-diagnostics=none",
        "--reporter=github",
        "src",
      ],
      { cwd: copy },
    );
    return [...stdout.toString().matchAll(/file=([^,]*?)(src\/[^,]+),line=(\d+)/g)].map(
      ([, , path = "", line]) => ({ key: path, where: `${path}:${line}` }),
    );
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** Takes out of every list what has no finding any more. */
function shrink(): void {
  const lists: Record<string, readonly string[]> = {};
  const { overrides, ...rest } = readBiome(root);
  let remaining = overrides;
  for (const rule of ruleNames) {
    const found = new Set(rules[rule]().map(({ key }) => key));
    const needed = exceptionsOf(rule).filter((key) => found.has(key));
    const lintRule = lintRules[rule];
    if (lintRule === undefined) lists[rule] = needed;
    else
      remaining = remaining
        .map((each) => (isList(each, lintRule) ? { ...each, includes: needed } : each))
        .filter(({ includes }) => includes.length > 0);
  }
  writeFileSync(listsPath, JSON.stringify(lists, undefined, 2));
  writeFileSync(biomePath, JSON.stringify({ ...rest, overrides: remaining }, undefined, 2));
  Bun.spawnSync([biome, "format", "--write", listsPath, biomePath], { cwd: root });
}

if (import.meta.main) shrink();
