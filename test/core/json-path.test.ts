import { describe, expect, test } from "bun:test";
import { jsonPath } from "#core/json-path.ts";
import { jsonPathCharsMax, jsonPathTermsMax, jsonPathVisitsMax } from "#core/limits.ts";

const select = (path: string, root: unknown) => jsonPath(path)?.select(root);
const ollama = {
  models: [
    { name: "llama", size_vram: 5, details: { family: "llama" } },
    { name: "qwen", size_vram: 7, details: { family: "qwen" } },
  ],
};

describe("jsonPath() selects", () => {
  test.each<[path: string, root: unknown, values: readonly unknown[]]>([
    ["$", 3, [3]],
    ["$.models[*].size_vram", ollama, [5, 7]],
    ["$['models'][0]['size_vram']", ollama, [5]],
    ["$.models[-1].size_vram", ollama, [7]],
    ["$.models[0:1].size_vram", ollama, [5]],
    ["$['running','waiting']", { waiting: 2, running: 1, failed: 9 }, [1, 2]],
    ["$.models[?@.size_vram>5].name", ollama, ["qwen"]],
    ["$.models[?@.details.family=='llama' && !(@.name=='x')].size_vram", ollama, [5]],
    ["$.models[?@.missing || 'qwen'==@.name].size_vram", ollama, [7]],
    [
      "$[?@.is_processing==true]",
      [{ is_processing: true }, { is_processing: false }],
      [{ is_processing: true }],
    ],
    ["$['gpu-count']", { "gpu-count": 4 }, [4]],
    ["$.*", { a: 1, b: 2 }, [1, 2]],
    ["$.__proto__", JSON.parse('{"__proto__": 1}'), [1]],
  ])("%s", (path, root, values) => {
    expect(select(path, root)).toEqual({ values });
  });

  test.each<[path: string, root: unknown]>([
    ["$.models[*].size_vram", { models: [] }],
    ["$.models[*]", { models: {} }],
    ["$.models[1:]", { models: [1] }],
    ["$.models[?@.name=='x'].size_vram", ollama],
  ])("nothing by %s of what the page lists", (path, root) => {
    expect(select(path, root)).toEqual({ values: [] });
  });

  test.each<[path: string, root: unknown, missing: string]>([
    ["$.models[*].size_vram", {}, "$.models"],
    ["$.models[*].size_vram", { models: null }, "$.models[*]"],
    ["$.models[*].size_vram", { models: "none" }, "$.models[*]"],
    ["$.models[?@.a==1]", { models: 1 }, "$.models[?@.a == 1]"],
    ["$.models[0:2]", { models: { a: 1 } }, "$.models[:2:1]"],
    ["$.models[*].size", ollama, "$.models[*].size"],
    ["$.models[2].name", ollama, "$.models[2]"],
    ["$.constructor", {}, "$.constructor"],
    ["$[*].jobs[*]", [{ jobs: [] }, { jobs: null }], "$[*].jobs[*]"],
    ["$.models[*,'a'].name", { models: [] }, "$.models[*, 'a']"],
  ])("nothing, because %s leads nowhere in %j", (path, root, missing) => {
    expect(select(path, root)).toEqual({ missing });
  });
});

describe("jsonPath() takes no", () => {
  test.each([
    ["text", ""],
    ["path of another syntax", "models[0].name"],
    ["path of kubectl's", "{.models}"],
    ["descendants", "$..size_vram"],
    ["descendants behind a name", "$.models..*"],
    ["function", "$.models[?length(@.name)>1]"],
    ["regular expression", "$.models[?match(@.name,'(a+)+b')]"],
    ["negated function", "$.models[?!match(@.name,'a')]"],
    ["root inside a filter", "$.models[?@.name==$.default]"],
    ["filter by several values", "$.models[?@.tags[*]]"],
    ["comparison of two values of the page", "$.models[?@.a==@.b]"],
    ["filter inside a filter", "$.models[?@.tags[?@.a==1]]"],
    ["name with a - but in quotes", "$.gpu-count"],
    ["script", "$.models[?(@.length-1)]"],
    ["length of an array", "$.models.length()"],
    ["blank in front", " $.a"],
    ["more characters than there may be", `$.${"a".repeat(jsonPathCharsMax)}`],
    ["more terms than there may be", `$${"[0]".repeat(jsonPathTermsMax + 1)}`],
    ["longer filter than there may be", `$[?${"@.a==1||".repeat(jsonPathTermsMax)}@.a==1]`],
  ])("%s", (_what, path) => {
    expect(jsonPath(path)).toBeUndefined();
  });

  test("path that is shorter by one than these is taken", () => {
    expect(jsonPath(`$.${"a".repeat(jsonPathCharsMax - 2)}`)).toBeDefined();
    expect(jsonPath(`$${"[0]".repeat(jsonPathTermsMax)}`)).toBeDefined();
    // A filter is one, and each of its comparisons a value, a name and a literal.
    const filter = new Array((jsonPathTermsMax - 1) / 3).fill("@.a==1").join("&&");
    expect(jsonPath(`$[?${filter}]`)).toBeDefined();
    expect(jsonPath(`$[?!(${filter})]`)).toBeUndefined();
    expect(jsonPath(`$.a[?${filter}]`)).toBeUndefined();
  });
});

describe("what a page can cost", () => {
  test.each(["$[*]", "$[?@.a==1]", "$[0:1]"])(
    "%s goes through so many values and no more",
    (path) => {
      const rows = new Array(jsonPathVisitsMax).fill({ a: 1 });
      expect(select(path, rows)).toHaveProperty("values");
      expect(select(path, [...rows, {}])).toEqual({ visits: jsonPathVisitsMax + 1 });
    },
  );

  test("each of several names of an element is a visit, and what has no children is none", () => {
    const rows = new Array(jsonPathVisitsMax).fill({ a: 1, b: 2 });
    expect(select("$[*]['a','b']", rows)).toEqual({ visits: 2 * jsonPathVisitsMax });
    expect(select("$[*]['a']", rows)).toHaveProperty("values");
    expect(select("$[*][*]", rows)).toEqual({ visits: 2 * jsonPathVisitsMax });
    expect(select("$[*].a[*,*]", rows)).toEqual({ missing: "$[*].a[*, *]" });
  });

  test("an element of an array is found however long that is", () => {
    expect(select("$[-1]", new Array(1_000_000).fill(2))).toEqual({ values: [2] });
  });

  test("names that are said several times multiply, up to the limit", () => {
    const path = `$${"[0,0]".repeat(8)}[*]`;
    const nested = (depth: number): unknown => (depth === 0 ? [1, 2] : [nested(depth - 1)]);
    expect(jsonPath(path)).toBeUndefined();
    expect(select(`$${"[0,0]".repeat(7)}[*]`, nested(7))).toMatchObject({
      values: { length: 256 },
    });
  });
});
