import { describe, expect, test } from "bun:test";
import { engineJsonBytesMax } from "#core/limits.ts";
import { adapterOf } from "#engine/adapters/all.ts";
import { nameFilter } from "#engine/page/name-filter.ts";
import { type EnginePage, pageSink } from "#engine/page/page.ts";
import { seriesTable } from "#engine/page/series.ts";

const names = ["vllm:num_requests_waiting", "process_start_time_seconds"];

function read(chunks: readonly string[], engine?: string, isToIdentify = true) {
  const table = seriesTable();
  const sink = pageSink({
    contentType: "text/plain",
    table,
    filter: nameFilter(names),
    adapter: engine === undefined ? undefined : adapterOf(engine),
    isToIdentify,
  });
  for (const chunk of chunks) sink.push(Buffer.from(chunk));
  const page: EnginePage = sink.end();
  const value = (name: string) => table.byName(name).map(({ id }) => page.values[id]);
  return { page, value };
}
const waiting = "vllm:num_requests_waiting 7\n";

describe("pageSink()", () => {
  test("says when the engine's process started, where its page does", () => {
    expect(read([`${waiting}process_start_time_seconds 1.5e9\n`]).page.startedWallMs).toBe(1.5e12);
    expect(read([waiting]).page.startedWallMs).toBeUndefined();
    expect(read([`${waiting}process_start_time_seconds NaN\n`]).page.startedWallMs).toBeUndefined();
  });

  test("reads text behind blanks, in chunks of any size", () => {
    for (const chunks of [[`\r\n \t${waiting}`], ["\n", " ", "\t", waiting], [...waiting]]) {
      const { page, value } = read(chunks);
      expect(page.adapter.engine).toBe("vllm");
      expect(value("vllm:num_requests_waiting")).toEqual([7]);
    }
  });

  test("reads JSON behind blanks, in chunks of any size", () => {
    const json = '{"models": [{"name": "模型"}, {}]}';
    const bytes = Buffer.from(json);
    for (const engine of [undefined, "ollama"])
      for (const chunks of [[json], ["\n", json], [`\t${json}`]]) {
        const { page, value } = read(chunks, engine);
        expect(page.adapter.engine).toBe("ollama");
        expect(value("ollama_loaded_models")).toEqual([2]);
      }
    const cut = bytes.indexOf("模") + 1;
    const table = seriesTable();
    const sink = pageSink({ contentType: "", table, filter: nameFilter([]), isToIdentify: true });
    const half = Buffer.from(bytes.subarray(0, cut));
    sink.push(half);
    // The socket may write the next chunk over this one.
    half.fill(0);
    sink.push(bytes.subarray(cut));
    expect(sink.end().adapter.engine).toBe("ollama");
  });

  test("reads JSON up to its limit, and counts what it keeps until it has read it", () => {
    const json = (bytes: number) => {
      const body = '{"models": []}';
      return Buffer.from(body.padEnd(bytes, " "));
    };
    const open = (buffered: (bytes: number) => void) =>
      pageSink({
        contentType: "application/json",
        table: seriesTable(),
        filter: nameFilter([]),
        isToIdentify: true,
        buffered,
      });
    let counted = 0;
    const sink = open((bytes) => {
      counted += bytes;
    });
    sink.push(json(engineJsonBytesMax));
    expect(counted).toBe(engineJsonBytesMax);
    expect(sink.end().adapter.engine).toBe("ollama");
    expect(() => open(() => {}).push(json(engineJsonBytesMax + 1))).toThrow(
      `a page in JSON has at most ${engineJsonBytesMax} bytes`,
    );
  });

  test("of JSON knows every name: what it lacks is not there", () => {
    expect(read(['{"models": []}']).page.filter.has("any_name")).toBe(true);
    expect(read([waiting]).page.filter.has("any_name")).toBe(false);
  });

  test("trusts the engine between two identifications", () => {
    const other = "go_goroutines 1\n";
    expect(read([other], "vllm", false).page.adapter.engine).toBe("vllm");
    expect(() => read([other], "vllm")).toThrow("Cannot read vLLM: its page has names");
    expect(() => read([other])).toThrow("Cannot tell the engine: its page has no known names");
  });

  test.each([
    ["[1, 2]", 'got text/plain: "[1, 2]"'],
    ["{", 'got text/plain: "{"'],
    [`[${"1".repeat(200)}`, `got text/plain: "[${"1".repeat(119)}"`],
  ])("refuses JSON that is no engine's: %s", (text, message) => {
    expect(() => read([text])).toThrow(message);
    expect(() => read([text], "ollama")).toThrow("or Ollama's JSON");
  });

  test("refuses what is no page at all", () => {
    expect(() => read([])).toThrow("got an empty page");
    expect(() => read([" ", "\n"])).toThrow("got an empty page");
  });
});
