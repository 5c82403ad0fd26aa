import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { scripts } from "../../package.json" with { type: "json" };

const root = join(import.meta.dir, "..", "..");
const documents = ["*.md", "{docs,deploy,bench}/**/*.md"]
  .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: root })])
  .toSorted();

describe.each(documents)("%s", (document) => {
  const text = readFileSync(join(root, document), "utf8");

  test("names only scripts that package.json has", () => {
    const named = [...text.matchAll(/\b(?:npm|bun) run ([a-z][a-z:]*)/g)].map(([, name]) => name);
    expect(named.filter((name) => name !== undefined && !Object.hasOwn(scripts, name))).toEqual([]);
  });

  test("links only to files that exist", () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)];
    const missing = links
      .map(([, link = ""]) => link)
      .filter((link) => !existsSync(join(root, dirname(document), link)));
    expect(missing).toEqual([]);
  });
});

test("there are documents to check", () => {
  expect(documents).toContain("README.md");
  expect(documents).toContain("docs/reference.md");
});
