import { Fault } from "#core/fault.ts";
import type { Adapter } from "#engine/adapters/adapter.ts";
import { detectEngine, detectJson } from "#engine/adapters/all.ts";
import type { BodySink } from "#engine/scrape/http.ts";
import { processStart } from "#engine/signal/ask.ts";
import { type PageWarnings, pageParser } from "./exposition.ts";
import { type NameFilter, nameFilter } from "./name-filter.ts";
import type { SeriesTable } from "./series.ts";

/** One page of a target, read and known to be an engine's. */
export interface EnginePage {
  readonly adapter: Adapter;
  readonly values: Float64Array;
  readonly wanted: NameFilter;
  readonly types: ReadonlyMap<string, string>;
  readonly warnings: PageWarnings;
  /** When the engine's process started, in ms since 1970 by its own clock. */
  readonly bornWallMs?: number;
}

export interface PageOptions {
  readonly contentType: string;
  readonly table: SeriesTable;
  readonly wanted: NameFilter;
  /** The engine that it is said to be; absent, the page tells. */
  readonly adapter?: Adapter;
  /** Whether to look at the page for whose it is, or to trust `adapter`. */
  readonly isToIdentify: boolean;
}

/** Reads a page in text or JSON, told by its first character: servers mislabel JSON as text. */
export function pageSink(options: PageOptions): BodySink<EnginePage> {
  let sink: BodySink<EnginePage> | undefined;
  return {
    push: (chunk) => {
      const first = chunk.find((byte) => !blanks.has(byte));
      if (first === undefined && sink === undefined) return;
      sink ??=
        first === openBrace || first === openBracket ? jsonSink(options) : expositionSink(options);
      sink.push(chunk);
    },
    end: () => (sink ?? expositionSink(options)).end(),
  };
}
const blanks: ReadonlySet<number> = new Set(Buffer.from(" \t\r\n"));
const openBrace = 0x7b;
const openBracket = 0x5b;

function expositionSink({
  table,
  wanted,
  adapter,
  isToIdentify,
  contentType,
}: PageOptions): BodySink<EnginePage> {
  const parser = pageParser({ wanted, table, collectNames: isToIdentify });
  return {
    push: parser.push,
    end: () => {
      const { values, types, warnings, names } = parser.end();
      const owner = isToIdentify ? ownerOf(adapter, names) : adapter;
      if (owner === undefined) throw stranger(adapter, names, contentType);
      const [born] = table.byName(processStart);
      const bornSeconds = born === undefined ? undefined : values[born.id];
      const isBornKnown = bornSeconds !== undefined && !Number.isNaN(bornSeconds);
      return {
        adapter: owner,
        values,
        wanted,
        types,
        warnings,
        ...(isBornKnown && { bornWallMs: bornSeconds * 1000 }),
      };
    },
  };
}

function ownerOf(named: Adapter | undefined, names: ReadonlySet<string>): Adapter | undefined {
  if (named === undefined) return detectEngine(names);
  return named.owns(names) ? named : undefined;
}

function stranger(
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

function jsonSink({ table, adapter, contentType }: PageOptions): BodySink<EnginePage> {
  const chunks: Buffer[] = [];
  return {
    push: (chunk) => chunks.push(Buffer.from(chunk)),
    end: () => {
      const text = Buffer.concat(chunks).toString("utf8");
      const page = parsedJson(text);
      const owner = adapter ?? detectJson(page);
      const samples = owner?.fromJson?.(page);
      if (owner === undefined || samples === undefined)
        throw notItsJson(text, contentType, adapter);
      const placed = samples.map(({ name, labels, value }) => ({
        id: table.internLabels(name, labels).id,
        value,
      }));
      const values = new Float64Array(table.size()).fill(Number.NaN);
      for (const { id, value } of placed) values[id] = value;
      return {
        adapter: owner,
        values,
        wanted: everything,
        types: new Map(),
        warnings: { duplicates: 0, malformed: 0, notFinite: 0 },
      };
    },
  };
}

/** A page in JSON is read whole, so absence from it always says something. */
const everything: NameFilter = { ...nameFilter([]), has: () => true };

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What came is told by the caller, with its first characters.
    return undefined;
  }
}

function notItsJson(text: string, contentType: string, adapter: Adapter | undefined): Fault {
  const came = `${contentType}: ${JSON.stringify(text.slice(0, 120))}`;
  return new Fault(
    "page-invalid",
    `Cannot read metrics: a page is Prometheus text${adapter?.fromJson === undefined ? "" : ` or ${adapter.title}'s JSON`}, got ${came}; check the engine's port and path`,
    { came },
  );
}
