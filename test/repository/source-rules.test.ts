import { expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { importCycles } from "./rules.ts";
import { longFunctions, looseLimits, repeatedTypes, retired } from "./source-rules.ts";
import { type Finding, type SourceFile, sourceFiles } from "./sources.ts";

/** Runs a rule over a repository that holds just these files. */
function withTree<Result>(
  tree: Readonly<Record<string, string>>,
  rule: (files: readonly SourceFile[], root: string) => Result,
): Result {
  const root = mkdtempSync(join(tmpdir(), "tidy-"));
  try {
    for (const [path, text] of Object.entries(tree)) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return rule(sourceFiles(root, "src/**/*.ts"), root);
  } finally {
    rmSync(root, { recursive: true });
  }
}
const wheres = (findings: readonly Finding[]) => findings.map(({ where }) => where);
const keys = (findings: readonly Finding[]) => findings.map(({ key }) => key);

test("a type name that is exported and stands in a second file is found in both", () => {
  const tree = {
    "src/a/one.ts": "export interface Answer {}\nexport type Own = 1;\ninterface Local {}",
    "src/b/two.ts": "type Answer = string;\nexport type { Answer };\ninterface Local {}",
    "src/c/three.ts": 'import type { Own } from "#a/one.ts";\nexport const own: Own = 1;',
  };
  expect(wheres(withTree(tree, repeatedTypes))).toEqual(["src/a/one.ts", "src/b/two.ts"]);
});

test("a class, and a type exported by a list, count as exported types", () => {
  const byList = "interface Fault {}\nexport type { Fault };";
  for (const text of ["export class Fault {}", byList])
    expect(
      keys(withTree({ "src/a.ts": text, "src/b.ts": "type Fault = 1;" }, repeatedTypes)),
    ).toEqual(["Fault", "Fault"]);
});

test("a retired word is found in every kind of name", () => {
  const lines = [
    "export const lookAt = 1;",
    "interface Eye { readonly wantedBytes: number }",
    "function sightOf(heeds: number) { let aimedAt = heeds; return aimedAt; }",
    "export const { seen: observed } = { seen: sightOf };",
    "class Store { #drafts = 1; get told() { return this.#drafts; } }",
  ];
  const found = withTree({ "src/room/scene.ts": lines.join("\n") }, retired);
  expect([...new Set(keys(found))].toSorted()).toEqual([
    "room aim",
    "room draft",
    "room eye",
    "room heed",
    "room look",
    "room scene",
    "room seen",
    "room sight",
    "room told",
    "room wanted",
  ]);
  expect(wheres(found)).toContain("src/room/scene.ts:2 Eye; say for example reader, view");
});

test("other words that hold the letters of a retired one pass, and so do texts and comments", () => {
  const lines = [
    "// The eye looks.",
    'export const standardInput = "wanted";',
    "export const nvmlStandIn = lookUp(standardInput);",
    "function lookUp(claim: string) { return claim; }",
  ];
  expect(withTree({ "src/room/names.ts": lines.join("\n") }, retired)).toEqual([]);
});

test("a type is refused by a name that says nothing, and a part of a name may say it", () => {
  const text = "export interface Part {}\nexport type PartCount = number;\nexport const part = 1;";
  expect(keys(withTree({ "src/room/a.ts": text }, retired))).toEqual(["room Part"]);
});

test("a limit outside limits.ts is found, whatever it is written with", () => {
  const lines = [
    "export const streams = 5_000;",
    "const bodyBytes = 8 * (1024 + 2);",
    "const below = -1;",
    "const retry = { leastMs: 500, mostMs: 30_000, jitter: 0.2 };",
    "export const start = () => back({ waitMs: 250, startMs: 0, step: 2 });",
  ];
  const found = withTree({ "src/a.ts": lines.join("\n") }, (files) =>
    looseLimits(files, new Set()),
  );
  expect(wheres(found)).toEqual([
    "src/a.ts:1 streams",
    "src/a.ts:2 bodyBytes",
    "src/a.ts:3 below",
    "src/a.ts:4 leastMs",
    "src/a.ts:4 mostMs",
    "src/a.ts:5 waitMs",
  ]);
});

test("limits.ts, numbers that nobody chose, codes and what is computed pass", () => {
  const tree = {
    "src/core/limits.ts": "export const streamsMax = 5_000;",
    "src/a.ts": "const second = 1_000;\nconst newline = 0x0a;\nconst two = Math.max(1, 2);",
    "src/b.ts": "export function f() { const few = 3; return few; }",
  };
  expect(withTree(tree, (files) => looseLimits(files, new Set(["second"])))).toEqual([]);
});

const longBodies = {
  "a function": (inside: string) => `export function f() {\n${inside}}`,
  "an arrow": (inside: string) => `export const f = () => {\n${inside}};`,
  "a method": (inside: string) => `export const o = {\nm() {\n${inside}},\n};`,
  "the method of a class": (inside: string) => `export class C {\nm() {\n${inside}}\n}`,
  "an arrow without braces": (inside: string) => `export const f = () => (() => {\n${inside}});`,
  "a text of many lines": (inside: string) => `export const f = () => \`\n${inside}\`;`,
};
test.each(Object.entries(longBodies))("%s of four lines is longer than three", (_kind, body) => {
  const of = (lines: number) =>
    withTree({ "src/a.ts": body("1;\n".repeat(lines - 2)) }, (files) => longFunctions(files, 3));
  expect(of(3)).toEqual([]);
  expect(new Set(keys(of(4)))).toEqual(new Set(["src/a.ts"]));
});

test("the linter refuses long functions of every kind, in src, tools and bench", () => {
  const lines = "1;\n".repeat(71);
  const root = mkdtempSync(join(tmpdir(), "lint-"));
  try {
    cpSync(join(import.meta.dir, "..", "..", "biome.json"), join(root, "biome.json"));
    const kinds = ["a function", "an arrow", "a method", "the method of a class"] as const;
    const text = kinds.map((kind) => `{\n${longBodies[kind](lines)}\n}`).join("\n");
    for (const folder of ["src/core", "tools", "bench", "test"]) {
      mkdirSync(join(root, folder), { recursive: true });
      writeFileSync(join(root, folder, "a.ts"), text.replaceAll("export ", ""));
    }
    const biome = join(import.meta.dir, "..", "..", "node_modules", ".bin", "biome");
    // Not `--only`, under which an override cannot turn the rule off.
    const { stdout } = Bun.spawnSync(
      [biome, "lint", "--vcs-enabled=false", "--max-diagnostics=none", "--reporter=github", "."],
      { cwd: root },
    );
    const found = [
      ...stdout
        .toString()
        .matchAll(/noExcessiveLinesPerFunction,file=[^,]*?(src\/core|tools|bench|test)\/a\.ts,/g),
    ];
    expect(found.map(([, folder]) => folder).toSorted()).toEqual(
      ["bench", "src/core", "tools"].flatMap((folder) => kinds.map(() => folder)),
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("a cycle of files is found, one of types alone too", () => {
  const types = {
    "src/core/a.ts": 'import type { B } from "./b.ts";\nexport type A = B | 1;\n',
    "src/core/b.ts": 'import type { A } from "./a.ts";\nexport type B = A[];\n',
    "src/core/c.ts": 'import type { A } from "./a.ts";\nexport type C = A;\n',
  };
  const cycles = withTree(types, (_files, root) => importCycles(root));
  expect(wheres(cycles).toSorted()).toEqual(["src/core/a.ts:1", "src/core/b.ts:1"]);
});

test("a cycle through the names of rooms is found", () => {
  const values = {
    "src/app/a.ts": 'import { b } from "#cli/b.ts";\nexport const a = () => b();\n',
    "src/cli/b.ts": 'import { c } from "#cli/c.ts";\nexport const b = () => c();\n',
    "src/cli/c.ts": 'import { a } from "#app/a.ts";\nexport const c = () => a();\n',
  };
  expect(withTree(values, (_files, root) => importCycles(root)).length).toBe(3);
});
