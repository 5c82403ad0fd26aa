/**
 * Pages of engines: any tenant's pod may answer with anything.
 *
 * @module
 */
import { engineJsonBytesMax } from "#core/limits.ts";
import { adapterOf, adapters } from "#engine/adapters/all.ts";
import { pageParser } from "#engine/page/exposition.ts";
import { jsonNumber } from "#engine/page/json-number.ts";
import { nameFilter } from "#engine/page/name-filter.ts";
import { parseNumber, parseNumberBytes } from "#engine/page/number-text.ts";
import { pageSink } from "#engine/page/page.ts";
import { type Series, seriesTable } from "#engine/page/series.ts";
import { jsonReducers } from "#metric/engines.ts";
import { filesOf } from "../corpus.ts";
import { mutateText } from "../mutate-bytes.ts";
import { mutateJson } from "../mutate-json.ts";
import { outcomeOf, promise, promiseEqual, refusable, type Target } from "../target.ts";

/** Pieces of engines' own pages, with some lines each. */
const pieces = filesOf("test/fixtures/engines", ".prom").flatMap((file) => {
  const lines = file.toString().split("\n");
  return [0, 1, 2].map((part) => {
    const from = Math.floor((lines.length * part) / 3);
    return Buffer.from(`${lines.slice(from, from + 12).join("\n")}\n`);
  });
});
const sampleNames = [
  ...new Set(pieces.flatMap((piece) => piece.toString().match(/^[a-zA-Z_:][\w:]*/gm) ?? [])),
];
const filter = nameFilter(sampleNames);

const words = [
  ...sampleNames.slice(0, 200),
  "# TYPE ",
  "# HELP ",
  "# EOF",
  " counter\n",
  " histogram\n",
  '{le="',
  '{le="+Inf"}',
  '{"',
  '"}',
  '",',
  '\\"',
  "\\n",
  "ray_",
  "_bucket",
  "_total",
  "} 1 ",
  "} NaN\n",
  ' # {trace_id="a"} 1 2\n',
  " 1 1700000000000\n",
  "\n",
  "{}",
  "{",
  "}",
  "\t",
];

function read(chunks: readonly Buffer[]) {
  const table = seriesTable();
  const parser = pageParser({ filter, table, collectNames: true });
  for (const chunk of chunks) parser.push(Buffer.from(chunk));
  const page = parser.end();
  // Bun.deepEquals() takes NaN for itself in an array alone.
  const values = [...page.values];
  return { page: { ...page, values }, series: [...table.all()], bytes: table.bytes() };
}

/** Cut at places that the bytes decide, so that an input always is cut alike. */
function cut(input: Buffer): readonly Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < input.length; ) {
    const size = 1 + 3 * ((input[at] ?? 0) % 64);
    chunks.push(input.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

export const expositionTarget: Target = {
  name: "exposition",
  testInputs: 1_800,
  share: 150_000,
  corpus: () => pieces,
  mutate: mutateText(words),
  run: (input) => {
    const whole = refusable(["page-invalid"], () => read([input]));
    const pieced = refusable(["page-invalid"], () => read(cut(input)));
    promiseEqual(pieced.fault?.message, whole.fault?.message, "a page in pieces and the whole");
    promiseEqual(pieced.result, whole.result, "a page in pieces and the whole");
    if (whole.fault !== undefined) return outcomeOf(whole.fault.message);
    const { page, series, bytes } = whole.result;
    const { warnings, values, notFinite } = page;
    promise(values.length === series.length, () => "a column for each series");
    promise(!values.includes(Number.POSITIVE_INFINITY), () => "a value is finite, or is not there");
    promise(bytes <= 400 * series.length + 40 * input.length + 4_096, () => `${bytes} bytes kept`);
    checkPrinted(series, values);
    const known = [...Object.entries(warnings), ["not finite", notFinite.size]];
    return `${known.filter(([, count]) => count !== 0).map(([name]) => name)} ${Math.min(series.length, 3)} ${[...page.types.values()].slice(0, 2)}`;
  },
};

/** Each series that has a value, written as a page has it, is read as the same. */
function checkPrinted(series: readonly Series[], values: readonly number[]): void {
  const known = series.filter(({ id }) => !Number.isNaN(values[id]));
  if (known.length === 0) return;
  const text = known.map(({ id, spelling, labels }) => {
    const value = values[id];
    return `${spelling}${printed(labels)} ${Object.is(value, -0) ? "-0" : value}`;
  });
  const again = read([Buffer.from(`${text.join("\n")}\n`)]);
  const plain = (one: Series) => ({ ...one, id: 0 });
  promiseEqual(again.series.map(plain), known.map(plain), "series that are printed and read again");
  promiseEqual(
    again.page.values,
    known.map(({ id }) => values[id]),
    "values that are printed and read again",
  );
}

function printed(labels: Series["labels"]): string {
  const escaped = (text: string) =>
    text.replaceAll(/[\\"]/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`);
  return `{${Object.entries(labels).map(([name, text]) => `${name}="${escaped(text)}"`)}}`;
}

/** Whose page it is, where no engine is named and where one is. */
export const enginePageTarget: Target = {
  name: "engine-page",
  testInputs: 900,
  share: 50_000,
  corpus: () => [...pieces, ...filesOf("test/fixtures/engines", ".json")],
  mutate: mutateText([...words, "[", "]", '{"models": [', '"size_vram": 1']),
  run: (input) => {
    const named = adapters[input.length % adapters.length];
    const outcomes = [undefined, named].map((adapter) => {
      const { result, fault } = refusable(["page-invalid"], () => {
        const options = { contentType: "text/plain", table: seriesTable(), filter, adapter };
        const sink = pageSink({ ...options, isToIdentify: true });
        sink.push(input);
        return sink.end();
      });
      if (fault !== undefined) return outcomeOf(fault.message).slice(0, 60);
      const { values, startedWallMs = 0 } = result;
      promise(!values.includes(Number.NEGATIVE_INFINITY), () => "a value is finite");
      promise(Number.isFinite(startedWallMs), () => `a process started: ${startedWallMs}`);
      return result.adapter.engine;
    });
    return outcomes.join(" ");
  },
};

const paths = ["$.models[*].size_vram", "$[*]", "$.a[?@.b == 1].c", "$['a','b'][0:2:-1]", "$"];
const numbers = paths.flatMap((path) => jsonReducers.map((reduce) => jsonNumber({ path, reduce })));

export const jsonPageTarget: Target = {
  name: "json-page",
  testInputs: 1_200,
  share: 60_000,
  corpus: () => [
    ...filesOf("test/fixtures/engines", ".json"),
    Buffer.from('{"a": [{"b": 1, "c": 2}, {"b": 3, "c": -1}], "b": [1, 2.5, null, "x"]}'),
    Buffer.from("[1, 2, 3]"),
  ],
  mutate: mutateJson(["a", "b", "c", "models", "size_vram", "queues", "concurrency", "name"]),
  run: (input) => {
    if (input.length > engineJsonBytesMax) return "too long";
    const outcomes = numbers.map((json) => {
      const { result, fault } = refusable(["page-invalid"], () => {
        const adapter = adapterOf("json");
        const options = { contentType: "", table: seriesTable(), filter: nameFilter([]), adapter };
        const sink = pageSink({ ...options, json, isToIdentify: false });
        sink.push(input);
        return sink.end();
      });
      if (fault !== undefined) return outcomeOf(fault.message);
      const { values, noNumber } = result;
      const [value] = values;
      promise((value === undefined) === (noNumber !== undefined), () => "a number, or why not");
      promise(value === undefined || value >= 0, () => `${json.path} gives ${value}`);
      return noNumber === undefined ? "number" : noNumber.reason;
    });
    return outcomes.join(" ").slice(0, 200);
  },
};

export const numberTarget: Target = {
  name: "number",
  testInputs: 6_000,
  share: 170_000,
  corpus: () =>
    ["0", "1.5", "-2e-3", "+Inf", "NaN", "0x1.8p3", "123456789012345.6", ".5", "5.", "1e400"].map(
      (text) => Buffer.from(text),
    ),
  mutate: mutateText(["0", "9".repeat(15), "1".repeat(20), ".", "e", "+", "-", "0x", "p", "inf"]),
  run: (input) => {
    const text = input.toString("latin1");
    const value = parseNumber(text);
    const fromBytes = parseNumberBytes(input, 0, input.length);
    promise(Object.is(value ?? null, fromBytes ?? null), () => `${text}: ${value}, ${fromBytes}`);
    if (value === undefined) return "none";
    if (/^[-+.\de]+$/i.test(text)) promise(value === Number(text), () => `${text}: ${value}`);
    return `${Math.sign(value)} ${Number.isFinite(value)} ${/x/i.test(text)}`;
  },
};
