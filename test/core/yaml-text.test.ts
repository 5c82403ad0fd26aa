import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { between, exact } from "#core/file-schema.ts";
import { parseYaml, parseYamlDocuments, type YamlPath } from "#core/yaml-text.ts";

const text = `# A comment.
list:
  - size: 1
  - { size: 2, deep: [3, 4] }
base: &base
  size: 5
same: *base
more:
  <<: *base
  "quoted key": 6
  7: seven
  empty:
`;

function parsed(yaml: string) {
  const document = parseYaml(yaml);
  if (document.problems !== undefined) throw new Error(document.problems.join("\n"));
  return document;
}

test("parseYaml() gives what the text says", () => {
  expect(parsed(text).value).toEqual({
    list: [{ size: 1 }, { size: 2, deep: [3, 4] }],
    base: { size: 5 },
    same: { size: 5 },
    more: { size: 5, "quoted key": 6, 7: "seven", empty: null },
  });
  for (const empty of ["", "# nothing\n"]) expect(parsed(empty).value).toBeNull();
});

describe("a problem's place is that of", () => {
  test.each<[what: string, path: YamlPath, part: "key" | "value", place: string]>([
    ["the whole file", [], "value", "2, column 1"],
    ["a value", ["list", 0, "size"], "value", "3, column 11"],
    ["a key", ["list", 0, "size"], "key", "3, column 5"],
    ["an item of a list in a line", ["list", 1, "deep", 1], "value", "4, column 26"],
    ["a mapping in a line", ["list", 1], "value", "4, column 5"],
    ["a key whose value takes lines of its own", ["list"], "value", "2, column 1"],
    ["an item that takes lines of its own", ["list", 0], "value", "3, column 5"],
    ["what an alias names", ["same", "size"], "value", "6, column 9"],
    ["a quoted key", ["more", "quoted key"], "key", "10, column 3"],
    ["a key that is a number", ["more", "7"], "value", "11, column 6"],
    ["what is around a key that is not there", ["list", 1, "none", 3], "value", "4, column 5"],
    ["what is around an item that is not there", ["list", 2], "value", "2, column 1"],
    ["what is around a key that was merged in", ["more", "size"], "value", "8, column 1"],
    ["what is around a path through text", ["more", "7", "x"], "key", "11, column 6"],
  ])("%s", (_what, path, part, place) => {
    expect(parsed(text).located(path, "wrong", part)).toBe(`line ${place}: wrong`);
  });

  test("line 1 in an empty file", () => {
    expect(parsed("").located(["a"], "wrong")).toBe("line 1, column 1: wrong");
  });
});

test("a schema's problems have the places of values and of unknown keys", () => {
  const schema = exact({ size: between(0, 1), other: v.optional(v.string()) });
  const document = parsed("within:\n  size: 2\n  ohter: x\n");
  const { issues = [] } = v.safeParse(schema, { size: 2, ohter: "x" });
  expect(document.problemsOf(issues, ["within"])).toEqual([
    "line 2, column 9: within.size: must be a number from 0 to 1, got 2",
    "line 3, column 3: within.ohter: unknown key; did you mean other?",
  ]);
});

test("parseYaml() names a place once, and only the first", () => {
  expect(parseYaml("a: 1\na: 2\na: 3").problems).toEqual([
    "line 2, column 1: must be one YAML document: Map keys must be unique",
  ]);
});

describe("parseYaml() refuses", () => {
  test.each([
    ["a key twice", "a: 1\nb: 2\na: 3", "line 3, column 1: must be one YAML document: Map keys"],
    ["a tab", "a:\n\tb: 1", "line 2, column 1: must be one YAML document: Tabs"],
    ["a second document", "a: 1\n---\nb: 1", "line 2, column 1: must be one YAML document: there"],
    ["an alias of nothing", "a: *b", "must be one YAML document: Unresolved alias (the anchor"],
    ["nesting without end", "[".repeat(100_000), "must be one YAML document: "],
    [
      "aliases that multiply",
      `a: &a [${"x,".repeat(9)}]\n${[..."bcdefghi"]
        .map((name, at) => `${name}: &${name} [${`*${"abcdefgh"[at]},`.repeat(9)}]`)
        .join("\n")}`,
      "the file: must be one YAML document: Excessive alias count",
    ],
  ])("%s", (_what, yaml, problem) => {
    expect(parseYaml(yaml).problems).toEqual([expect.stringContaining(problem)]);
  });
});

describe("parseYamlDocuments()", () => {
  test("gives each document with its places in the whole text, and no empty one", () => {
    const documents = parseYamlDocuments("# none\n---\na: 1\n---\n\n---\nb:\n  c: 2\n...\n");
    expect(documents.map((one) => ("value" in one ? one.value : one.problems))).toEqual([
      { a: 1 },
      { b: { c: 2 } },
    ]);
    const last = documents[1];
    if (last === undefined || last.problems !== undefined) throw new Error("no document");
    expect(last.placeOf(["b", "c"])).toEqual({ line: 8, column: 6 });
    expect(last.placeOf(["b", "d"], "key")).toEqual({ line: 7, column: 1 });
    const checked = v.safeParse(
      exact({ b: exact({ c: between(3, 4), d: between(0, 1) }) }),
      last.value,
    );
    expect(last.placed(checked.issues ?? [])).toEqual([
      { line: 7, column: 1, problem: "b.d: required" },
      { line: 8, column: 6, problem: "b.c: must be a number from 3 to 4, got 2" },
    ]);
  });

  test("a broken document spoils no other", () => {
    const [first, second, third] = parseYamlDocuments("a: [1\n---\nb: 1\nb: 2\n---\nc: 3\n");
    expect(first?.problems?.[0]).toMatchObject({ line: 2 });
    expect(second?.problems?.[0]).toMatchObject({
      line: 4,
      column: 1,
      problem: expect.stringContaining("must be YAML: Map keys must be unique"),
    });
    expect(third).toMatchObject({ value: { c: 3 } });
  });

  test("aliases that multiply are a problem of their document", () => {
    const bomb = `a: &a [${"x,".repeat(9)}x]\nb: &b [${"*a,".repeat(9)}*a]\nc: [${"*b,".repeat(19)}*b]\n`;
    const [document] = parseYamlDocuments(`${bomb}---\nd: 1\n`);
    expect(document?.problems?.[0]?.problem).toStartWith("must be YAML: ");
  });
});

test("a text that is no YAML is not repeated whole", () => {
  const text = `a: -1-a 'b${" 0x1".repeat(10_000)}`;
  for (const { problems = [] } of [parseYaml(text), ...parseYamlDocuments(text)])
    expect(JSON.stringify(problems).length).toBeLessThan(500);
  const unclosed = `a: "${"x".repeat(10_000)}`;
  expect(JSON.stringify(parseYaml(unclosed).problems).length).toBeLessThan(500);
  const unknown = `a: *${"x".repeat(10_000)}`;
  expect(JSON.stringify(parseYaml(unknown).problems).length).toBeLessThan(500);
});
