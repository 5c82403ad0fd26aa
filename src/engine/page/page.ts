/**
 * A body that an engine answered with: which format it has, whose page it is, its samples.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { engineJsonBytesMax } from "#core/limits.ts";
import type { Adapter, JsonSample } from "#engine/adapters/adapter.ts";
import { detectEngine, detectJson } from "#engine/adapters/all.ts";
import type { BodySink } from "#engine/scrape/http.ts";
import { processStart } from "#engine/signal/query.ts";
import type { NoValue } from "#engine/signal/result.ts";
import { type Page, pageParser } from "./exposition.ts";
import type { JsonNumber } from "./json-number.ts";
import { type NameFilter, nameFilter } from "./name-filter.ts";
import type { SeriesTable } from "./series.ts";

/** One page of a target, read and known to be an engine's. */
export interface EnginePage extends Pick<Page, "values" | "notFinite" | "types" | "warnings"> {
  readonly adapter: Adapter;
  /** The names that were read: absence from the page says something only about these. */
  readonly filter: NameFilter;
  /** When the engine's process started, in ms since 1970 by its own clock. */
  readonly startedWallMs?: number | undefined;
  /** Why a page in JSON does not have the number that it is read for. */
  readonly noNumber?: NoValue | undefined;
}

interface PageOptions {
  readonly contentType: string;
  readonly table: SeriesTable;
  readonly filter: NameFilter;
  /** The engine that it should be; absent, the page tells. */
  readonly adapter?: Adapter | undefined;
  /** Of a page in JSON: what is read there, and nothing else. */
  readonly json?: JsonNumber | undefined;
  /** Whether to find out from the page's names whose it is, or to trust `adapter`. */
  readonly isToIdentify: boolean;
  /** Says that so many more bytes of the page are kept while it comes; may throw to stop it. */
  readonly buffered?: (bytes: number) => void;
}

/** Reads a page in text or JSON. Its first character decides: servers mislabel JSON as text. */
export function pageSink(options: PageOptions): BodySink<EnginePage> {
  let sink: BodySink<EnginePage> | undefined;
  return {
    push: (chunk) => {
      const first = chunk.find((byte) => !blanks.has(byte));
      if (first === undefined && sink === undefined) return;
      sink ??= openSink(first, options);
      sink.push(chunk);
    },
    end: () => (sink ?? openSink(undefined, options)).end(),
  };
}
function openSink(first: number | undefined, options: PageOptions): BodySink<EnginePage> {
  const isJson = options.json !== undefined || first === openBrace || first === openBracket;
  return isJson ? jsonSink(options) : expositionSink(options);
}
const blanks: ReadonlySet<number> = new Set(Buffer.from(" \t\r\n"));
const openBrace = 0x7b;
const openBracket = 0x5b;

function expositionSink(options: PageOptions): BodySink<EnginePage> {
  const { table, filter, adapter, isToIdentify, contentType } = options;
  const parser = pageParser({ filter, table, collectNames: isToIdentify });
  return {
    push: parser.push,
    end: () => {
      const { values, notFinite, types, warnings, names } = parser.end();
      const owner = isToIdentify ? ownerOf(adapter, names) : adapter;
      if (owner === undefined) throw unknownPage(adapter, names, contentType);
      const [start] = table.byName(processStart);
      const startSeconds = start === undefined ? Number.NaN : (values[start.id] ?? Number.NaN);
      const startedWallMs = Number.isNaN(startSeconds) ? undefined : startSeconds * 1000;
      return { adapter: owner, values, notFinite, filter, types, warnings, startedWallMs };
    },
  };
}

function ownerOf(named: Adapter | undefined, names: ReadonlySet<string>): Adapter | undefined {
  if (named === undefined) return detectEngine(names);
  return named.owns(names) ? named : undefined;
}

function unknownPage(
  named: Adapter | undefined,
  names: ReadonlySet<string>,
  contentType: string,
): Fault {
  const some = [...names].slice(0, 5).join(", ");
  const came = `${contentType === "" ? "a page" : contentType} with ${some}`;
  const found = detectEngine(names);
  const hint = found === undefined ? "check the port and path" : `set engine to ${found.engine}`;
  return new Fault(
    "page-invalid",
    named === undefined
      ? `Cannot tell the engine: its page has no known names, got ${came}; name the engine, or use engine prometheus with engineMetric`
      : `Cannot read ${named.title}: its page has names of that engine, got ${came}; ${hint}, or ${named.enable}`,
    { came },
  );
}

function jsonSink(options: PageOptions): BodySink<EnginePage> {
  const { table, adapter, json, contentType, buffered = () => undefined } = options;
  const chunks: Buffer[] = [];
  let bytesRead = 0;
  return {
    push: (chunk) => {
      bytesRead += chunk.length;
      if (bytesRead > engineJsonBytesMax) throw tooLarge();
      buffered(chunk.length);
      chunks.push(Buffer.from(chunk));
    },
    end: () => {
      const text = Buffer.concat(chunks).toString("utf8");
      const page = parsedJson(text);
      const owner = adapter ?? detectJson(page);
      const number = page === undefined ? undefined : json?.read(page);
      const samples = json === undefined ? owner?.fromJson?.(page) : numberSamples(json, number);
      if (owner === undefined || samples === undefined)
        throw notItsJson(text, contentType, adapter);
      const columns = samples.map(({ name, labels, value }) => ({
        id: table.internLabels(name, labels).id,
        value,
      }));
      const values = new Float64Array(table.size()).fill(Number.NaN);
      for (const { id, value } of columns) values[id] = value;
      return {
        adapter: owner,
        values,
        notFinite: new Map(),
        filter: everyName,
        types: new Map(),
        warnings: { duplicates: 0, malformed: 0, notFinite: 0 },
        noNumber: typeof number === "object" ? number : undefined,
      };
    },
  };
}

/** Under the path's own name, which is what a query asks for. */
function numberSamples(
  { path }: JsonNumber,
  number: number | NoValue | undefined,
): readonly JsonSample[] | undefined {
  if (number === undefined) return undefined;
  return typeof number === "number" ? [{ name: path, labels: {}, value: number }] : [];
}

/** A page in JSON is read whole, so absence from it always says something. */
const everyName: NameFilter = { ...nameFilter([]), has: () => true };

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The caller says what came, with its first characters.
    return undefined;
  }
}

function tooLarge(): Fault {
  const came = `more than ${engineJsonBytesMax} bytes`;
  return new Fault(
    "page-invalid",
    `Cannot read metrics: a page in JSON has at most ${engineJsonBytesMax} bytes, got more; is this the engine's metrics path?`,
    { came },
  );
}

function notItsJson(text: string, contentType: string, adapter: Adapter | undefined): Fault {
  const came = `${contentType}: ${JSON.stringify(text.slice(0, 120))}`;
  if (adapter?.engine === "json")
    return new Fault(
      "page-invalid",
      `Cannot read the number: its page is JSON, got ${came}; check the engine's port and path`,
      { came },
    );
  return new Fault(
    "page-invalid",
    `Cannot read metrics: a page is Prometheus text${adapter?.fromJson === undefined ? "" : ` or ${adapter.title}'s JSON`}, got ${came}; check the engine's port and path`,
    { came },
  );
}
