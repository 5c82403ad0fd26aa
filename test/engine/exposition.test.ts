import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Fault } from "#core/fault.ts";
import { pageLineBytesMax, pageNamesMax } from "#core/limits.ts";
import { type Page, pageParser } from "#engine/page/exposition.ts";
import { nameFilter } from "#engine/page/name-filter.ts";
import { type SeriesTable, seriesTable } from "#engine/page/series.ts";

interface Read {
  readonly page: Page;
  readonly table: SeriesTable;
  /** `name{label=value}` to value, labels in order, for easy comparing. */
  readonly samples: Record<string, number>;
}

function read(text: string | Uint8Array, names: readonly string[], cuts: readonly number[] = []) {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const table = seriesTable();
  const parser = pageParser({ filter: nameFilter(names), table, collectNames: true });
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    // A buffer that is overwritten afterwards, as a socket's may be.
    const chunk = Buffer.from(bytes.subarray(from, Math.max(from, cut)));
    parser.push(chunk);
    chunk.fill(0);
    from = Math.max(from, cut);
  }
  const page = parser.end();
  const samples: Record<string, number> = {};
  for (const { id, name, labels } of table.all()) {
    const value = page.values[id];
    const text = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
    if (value !== undefined && !Number.isNaN(value))
      samples[`${name}{${text.sort().join(",")}}`] = value;
  }
  return { page, table, samples } satisfies Read;
}

describe("pageParser() reads", () => {
  test.each([
    ["a bare sample", "a 1\n", { "a{}": 1 }],
    ["no final newline", "a 1", { "a{}": 1 }],
    ["CRLF", 'a 1\r\na{x="1"} 2\r\n', { "a{}": 1, "a{x=1}": 2 }],
    ["blanks and tabs between tokens", '  a \t{ x = "1" , }\t 2  \t\n', { "a{x=1}": 2 }],
    ["a trailing comma", 'a{x="1",} 2\n', { "a{x=1}": 2 }],
    ["empty braces", "a{} 2\n", { "a{}": 2 }],
    [
      "a quoted name",
      '{"a"} 2\n{"a",x="1"} 3\n{ "a" , x="2", } 4\n',
      { "a{}": 2, "a{x=1}": 3, "a{x=2}": 4 },
    ],
    ["a timestamp", 'a 1 1395066363000\na{x="1"} 2 -5\n', { "a{}": 1, "a{x=1}": 2 }],
    ["an OpenMetrics timestamp", "a 1 1395066363.123\n", { "a{}": 1 }],
    ["an exemplar", 'a 8 # {trace_id="x # y"} 0.054 1.5e9\n', { "a{}": 8 }],
    ["an exemplar behind a timestamp", 'a 8 123.5 # {t="x"} 0.054\n', { "a{}": 8 }],
    [
      "quotes, braces, commas inside a value",
      'a{x="{\'k\': \\"}\\", 1}"} 2\n',
      { "a{x={'k': \"}\", 1}}": 2 },
    ],
    ["escapes", 'a{x="\\\\ \\n \\" \\q"} 2\n', { 'a{x=\\ \n " \\q}': 2 }],
    ["UTF-8 in a value", 'a{x="模型"} 2\n', { "a{x=模型}": 2 }],
    ["colons as underscores", "vllm:a 1\n", { "vllm_a{}": 1 }],
    ["Ray's prefix as none", "ray_vllm_a 1\n", { "vllm_a{}": 1 }],
    ["a name that ends in _total", 'a_total_bucket{le="1"} 3\n', { "a_total_bucket{le=1}": 3 }],
    ["help with nothing or with #", "# HELP a\n# HELP b # x\n#\n# \na 1\n", { "a{}": 1 }],
    ["OpenMetrics comments", "# TYPE a counter\n# UNIT a s\na 1\n# EOF\n", { "a{}": 1 }],
    ["lower-case e and a plus", "a 1e+06\nb 1.234567e+06\n", { "a{}": 1e6, "b{}": 1234567 }],
    ["a hexadecimal number", "a 0x1p-2\nb -0xff\n", { "a{}": 0.25, "b{}": -255 }],
    [
      "a long fraction exactly",
      "a 0.00015000000000000001\nb .5\n",
      { "a{}": 0.00015000000000000001, "b{}": 0.5 },
    ],
    [
      "a family in two blocks",
      'a{x="1"} 1\nb 9\na{x="2"} 2\n',
      { "a{x=1}": 1, "a{x=2}": 2, "b{}": 9 },
    ],
  ])("%s", (_what, text, samples) => {
    const names = ["a", "b", "vllm_a", "a_total_bucket"];
    const { page, samples: got } = read(text, names);
    expect(got).toEqual(samples);
    expect(page.warnings).toEqual({ duplicates: 0, malformed: 0, notFinite: 0 });
  });

  test("bounds written in several ways as one number", () => {
    const { table } = read('a{le="1"} 1\na{le="+Inf"} 3\na{le="5e-05"} 0\n', ["a"]);
    expect(table.byName("a").map(({ le }) => le)).toEqual([1, Infinity, 5e-5]);
    const twice = read('a{le="1"} 1\na{le="1.0"} 2\n', ["a"]);
    expect(twice.page.warnings.duplicates).toBe(1);
    expect(twice.samples).toEqual({ "a{le=1}": 2 });
  });

  test("types of the names that are read", () => {
    const { page } = read("# TYPE a counter\n# TYPE c gauge\n# HELP a x\na 1\n", ["a"]);
    expect([...page.types]).toEqual([["a", "counter"]]);
    expect([...page.names]).toEqual(["a", "c"]);
  });

  test("the last of a duplicated series, and counts it", () => {
    const { samples, page } = read('a{x="1",y="2"} 1\na{y="2",x="1"} 5\n', ["a"]);
    expect(samples).toEqual({ "a{x=1,y=2}": 5 });
    expect(page.warnings.duplicates).toBe(1);
  });

  test.each(["NaN", "nan", "+Inf", "-inf", "Infinity"])("no value from %s", (value) => {
    const { samples, page } = read(`a ${value}\nb 1\n`, ["a", "b"]);
    expect(samples).toEqual({ "b{}": 1 });
    expect(page.warnings.notFinite).toBe(1);
  });

  test.each([
    ["no value", "a\n"],
    ["a brace that never closes", 'a{x="1" 2\n'],
    ["a quote that never closes", 'a{x="1} 2\n'],
    ["a value that is none", "a 1x\n"],
    ["words behind the value", "a 1 two\n"],
    ["a label without quotes", "a{x=1} 2\n"],
    ["a label without a name", 'a{="1"} 2\n'],
    ["labels without a comma between", 'a{x="1"y="2"} 2\n'],
    ["a bad number of digits", "a 1_000\n"],
  ])("nothing from a line with %s, and counts it", (_what, line) => {
    const { samples, page } = read(`b 1\n${line}`, ["a", "b"]);
    expect(samples).toEqual({ "b{}": 1 });
    expect(page.warnings.malformed).toBe(1);
  });

  test("past lines of other tools' names", () => {
    const page = '{"my.metric","l"="v"} 1\n<b>x</b> 1\na 1\n';
    expect(read(page, ["a"]).samples).toEqual({ "a{}": 1 });
  });
});

describe("pageParser() refuses", () => {
  test.each([
    ["HTML", "<html>404</html>", '"<html>404</html>"'],
    ["JSON", '[{"a": 1}]', "a page has at least one line"],
    ["nothing", "", "got an empty page"],
    ["comments alone", "# HELP a b\n# TYPE a gauge\n", "at least one line"],
    ["UTF-8 names alone", '{"my.metric"} 1\n', "at least one line"],
  ])("%s", (_what, text, message) => {
    const refused = () => read(text, ["a"]);
    expect(refused).toThrow(Fault);
    expect(refused).toThrow(message);
  });

  test("a page that is too large, before it is all here", () => {
    const table = seriesTable();
    const parser = pageParser({ filter: nameFilter(["a"]), table, bytesMax: 10 });
    parser.push(Buffer.from("a 1\na 2\n"));
    expect(() => parser.push(Buffer.from("a 3\n"))).toThrow("at most 10 bytes");
  });

  test("more series than a target may have", () => {
    const lines = Array.from({ length: 20_001 }, (_, at) => `a{x="${at}"} 1`);
    expect(() => read(lines.join("\n"), ["a"])).toThrow("at most 20000 series");
  });
});

test("pageParser() drops a line without end and reads on behind it", () => {
  const endless = `a{x="${"y".repeat(100_000)}`;
  const text = `a 1\n${endless}\nb 2\n`;
  const cuts = Array.from({ length: 50 }, (_, at) => at * 2_500);
  const { samples, page } = read(text, ["a", "b"], cuts);
  expect(samples).toEqual({ "a{}": 1, "b{}": 2 });
  expect(page.warnings.malformed).toBe(1);
});

test("pageParser() reads every line of every chunk behind a line that was too long", () => {
  const lines = ["a 1", `b{x="${"y".repeat(70_000)}"} 1`, "c 3", "d 4", "e 5"];
  const text = `${lines.join("\n")}\n`;
  const at = (line: string) => text.indexOf(line);
  const cuts = [at("b") + 66_000, at("c 3"), at("d 4"), at("e 5")];
  const { samples, page } = read(text, ["a", "b", "c", "d", "e"], cuts);
  expect(samples).toEqual({ "a{}": 1, "c{}": 3, "d{}": 4, "e{}": 5 });
  expect(page.warnings.malformed).toBe(1);
});

test("pageParser() keeps the values of as many new series as a page has", () => {
  const lines = Array.from({ length: 300 }, (_, at) => `a{x="${at}"} ${at}`);
  const { page } = read(lines.join("\n"), ["a"]);
  expect([...page.values]).toEqual(lines.map((_, at) => at));
});

test("pageParser() takes nothing in the rest of a line that was too long for a sample", () => {
  const text = `b{x="${"y".repeat(70_000)}\nc 3\n`.replace("\n", "a 9\n");
  const { samples, page } = read(text, ["a", "b", "c"], [text.indexOf("a 9")]);
  expect(samples).toEqual({ "c{}": 3 });
  expect(page.warnings.malformed).toBe(1);
});

test("pageParser() takes a page and a line of exactly the limit", () => {
  const text = `a{x="${"y".repeat(pageLineBytesMax - 'a{x=""} 1'.length)}"} 1`;
  for (const cuts of [[], [10]]) {
    const { page } = read(`${text}\nb 2`, ["a", "b"], cuts);
    expect(page.warnings.malformed).toBe(0);
    expect(page.values.length).toBe(2);
    expect(read(`${text}y\nb 2`, ["b"], [pageLineBytesMax + 1]).page.warnings.malformed).toBe(1);
  }
  const table = seriesTable();
  const parser = pageParser({ filter: nameFilter(["a"]), table, bytesMax: 4 });
  parser.push(Buffer.from("a 1\n"));
  expect(parser.end().values).toEqual(new Float64Array([1]));
});

test("pageParser() gathers names up to a limit, whatever else the page has", () => {
  const lines = Array.from(
    { length: pageNamesMax + 10 },
    (_, at) => `# TYPE t${at} gauge\nx${at} 1`,
  );
  expect(read(lines.join("\n"), []).page.names.size).toBe(pageNamesMax);
  const samples = Array.from({ length: pageNamesMax + 10 }, (_, at) => `x${at} 1`);
  expect(read(samples.join("\n"), []).page.names.size).toBe(pageNamesMax);
});

const labelName = fc.stringMatching(/^[a-z_][a-z0-9_]{0,6}$/).filter((name) => name !== "le");
const labelValue = fc.string({ unit: "grapheme", maxLength: 12 });
const sampleOf = fc.record({
  name: fc.constantFrom("a", "b", "vllm:c", "z"),
  labels: fc.dictionary(labelName, labelValue, { maxKeys: 4 }),
  // JavaScript writes -0 as 0.
  value: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
});
type Written = { name: string; labels: Record<string, string>; value: number };

function write({ name, labels, value }: Written): string {
  const escaped = Object.entries(labels).map(
    ([label, text]) =>
      `${label}="${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
  );
  return `${name}${escaped.length === 0 ? "" : `{${escaped.join(",")}}`} ${value}`;
}
const names = ["a", "b", "vllm_c"];

describe("pageParser() properties", () => {
  test("labels and values come back as they were written", () => {
    fc.assert(
      fc.property(sampleOf, ({ name, labels, value }) => {
        const { table, page } = read(`z 1\n${write({ name, labels, value })}\n`, [...names, "z"]);
        const series = table.byName(name.replace(":", "_")).at(-1);
        expect({ ...series?.labels }).toEqual(labels);
        expect(page.values[series?.id ?? -1]).toBe(value);
      }),
    );
  });

  test("a page cut at any bytes reads as the whole", () => {
    const cuts = fc.array(fc.nat(600), { maxLength: 40 });
    fc.assert(
      fc.property(fc.array(sampleOf, { minLength: 1, maxLength: 12 }), cuts, (lines, at) => {
        const text = `z 1\n# TYPE a gauge\n${lines.map(write).join("\r\n")}`;
        expect(read(text, names, at).samples).toEqual(read(text, names).samples);
      }),
    );
  });

  test("a line of junk changes no sample", () => {
    const junk = fc
      .string({ unit: "binary", maxLength: 60 })
      .filter((line) => !/[\n]/.test(line) && !/^\s*(ray_)?(a|b|vllm[:_]c)[{\s]/.test(line));
    fc.assert(
      fc.property(fc.array(sampleOf, { maxLength: 8 }), junk, fc.nat(8), (lines, line, at) => {
        const page = ["z 1", ...lines.map(write)];
        const dirty = page.toSpliced(Math.min(at, page.length), 0, line);
        expect(read(dirty.join("\n"), names).samples).toEqual(read(page.join("\n"), names).samples);
      }),
    );
  });

  test("any bytes are a page or a fault, never another error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          read(bytes, names);
        } catch (error) {
          expect(error).toBeInstanceOf(Fault);
        }
      }),
    );
  });
});
