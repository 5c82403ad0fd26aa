import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { scripts } from "../../package.json" with { type: "json" };
import { headingIds, lineCharsMax, longLines, missingPaths } from "./document-rules.ts";
import { sourceFiles } from "./sources.ts";

const root = join(import.meta.dir, "..", "..");
const files = Bun.spawnSync(["git", "ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
})
  .stdout.toString()
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(root, file)));
const documents = files.filter((file) => file.endsWith(".md")).toSorted();

describe.each(documents)("%s", (document) => {
  const text = readFileSync(join(root, document), "utf8");

  test("names only scripts that package.json has", () => {
    const named = [...text.matchAll(/\b(?:npm|bun) run ([a-z][\w:-]*)/g)].map(([, name]) => name);
    expect(named.filter((name) => name !== undefined && !Object.hasOwn(scripts, name))).toEqual([]);
  });

  test("links only to files that exist", () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)];
    const missing = links
      .map(([, link = ""]) => link)
      .filter((link) => !existsSync(join(root, dirname(document), link)));
    expect(missing).toEqual([]);
  });

  test("links only to headings that exist", () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)];
    const missing = links.flatMap(([, path = "", heading = ""]) => {
      const target = path === "" ? text : readFileSync(join(root, dirname(document), path), "utf8");
      return headingIds(target).includes(heading) ? [] : [`${path}#${heading}`];
    });
    expect(missing).toEqual([]);
  });

  test("names only paths that exist", () => {
    expect(missingPaths(document, text, files)).toEqual([]);
  });

  test(`has no line above ${lineCharsMax} characters`, () => {
    expect(longLines(text)).toEqual([]);
  });
});

test("comments of the code name only paths that exist", () => {
  const missing = sourceFiles(root, "{src,test,tools,bench}/**/*.{ts,mjs}").flatMap(
    ({ path, comments }) => {
      // A document's block of code is an indented line, a comment's is only the comment's own.
      const text = comments.map(({ value }) => value.replaceAll(/^ +/gm, "")).join("\n\n");
      return missingPaths(path, text, files).map((missed) => `${path}: ${missed}`);
    },
  );
  expect(missing).toEqual([]);
});

test.each(["reference", "engines"])(
  "docs/%s.md is what the tables of the code give",
  (name) => {
    const command = [process.execPath, join(root, "tools", `${name}.ts`), "--check"];
    const { exitCode, stderr } = Bun.spawnSync(command, { cwd: root });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  },
  30_000,
);

test("there are documents to check", () => {
  expect(documents).toContain("README.md");
  expect(documents).toContain("docs/reference.md");
  expect(documents).toContain("deploy/README.md");
});

describe("a document's path", () => {
  const repository = [
    "biome.json",
    "src/core/fault.ts",
    "deploy/helm/chart/values.yaml",
    "gen/a.ts",
  ];
  const missing = (text: string) => missingPaths("deploy/README.md", text, repository);

  test.each([
    "`src/core/fault.ts`, `src/core/`, `src/core`: `#core/fault.ts` and `#gen/a.ts`",
    "`helm/chart` beside this document, `values.yaml` and `biome.json` by their name",
    "`bun x deploy/helm/chart`",
    "```sh\nhelm install x deploy/helm/chart --set a.b/c=d # src/core\n```",
    "`/src/none.ts`, `src/**/none.ts`, `https://x.example/src/none.ts`, `nvidia.com/gpu.present`",
    "`npm/none`, src/none.ts without backticks, `dist/none`, `--file=src/none.ts`",
    "```yaml\nsrc/none.ts\n```",
  ])("exists or is none: %s", (text) => expect(missing(text)).toEqual([]));

  test.each([
    ["`src/none.ts`", "src/none.ts"],
    ["`src/none/`", "src/none/"],
    ["`core/fault.ts`", "core/fault.ts"],
    ["`#core/none.ts`", "#core/none.ts"],
    ["`helm/none`", "helm/none"],
    ["`none.yaml`", "none.yaml"],
    ["`bun src/none.ts --all`", "src/none.ts"],
    ["```sh\nbun src/none.ts\n```", "src/none.ts"],
    ["text\n\n    bun src/none.ts 10\n", "src/none.ts"],
  ])("is missed: %s", (text, path) => expect(missing(text)).toEqual([path]));
});

test("a heading's id is what GitHub makes of it", () => {
  const text = "# A `b`: c, d-e\n\n```sh\n# no heading\n```\n\n## What's *new* (2)\n";
  expect(headingIds(text)).toEqual(["a-b-c-d-e", "whats-new-2"]);
});

test("a long line is found, a table's row is not", () => {
  const [short, long] = ["x".repeat(lineCharsMax), "x".repeat(lineCharsMax + 1)];
  expect(longLines(`${short}\n${long}\n| ${long} |`)).toEqual(["2: 121 characters"]);
});
