/**
 * Reads a metrics page: Prometheus text 0.0.4 and OpenMetrics, fed in chunks of any size.
 *
 * One pass over the bytes. A line whose name is not on the allow-list makes no garbage, so a page
 * of 12,000 lines of which six names are read costs the scan for newlines and names. Until the first
 * valid sample every line is checked, to tell a page that is none (HTML, JSON) from one that has
 * none of the names.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats and the OpenMetrics text format.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { engineBodyBytesMax, pageHeadChars, pageNameBytesMax, pageNamesMax } from "#core/limits.ts";
import { lineSplitter } from "./lines.ts";
import { canonicalStart, hashByte, hashSeed, type NameFilter } from "./name-filter.ts";
import {
  blanksEndAt,
  endsName,
  openBrace,
  plainLine,
  seriesEndAt,
  textEndAt,
  valueAt,
} from "./sample-text.ts";
import type { SeriesTable } from "./series.ts";

/** What a page had that its readers should know of. */
export interface PageWarnings {
  /** Samples of a series that came before on the same page: the last one counts. */
  readonly duplicates: number;
  /** Lines with a name on the allow-list that are no valid sample. */
  readonly malformed: number;
  /** Samples that are NaN or infinite, which no scaler can use. */
  readonly notFinite: number;
}

/** One parsed page: column `series.id` holds the series' value, NaN where the page has none. */
export interface Page {
  readonly values: Float64Array;
  /** What the page says of the series, by `id`, whose value is NaN or infinite. */
  readonly notFinite: ReadonlyMap<number, number>;
  readonly warnings: PageWarnings;
  /** Types from `# TYPE`, of the names on the allow-list only, by the name as the page spells it. */
  readonly types: ReadonlyMap<string, string>;
  /** Every metric name as the page spells it, if asked for; at most `pageNamesMax`. */
  readonly names: ReadonlySet<string>;
}

interface PageParser {
  /** @throws {Fault} `page-invalid` when the page is too large. The bytes may be reused after. */
  readonly push: (chunk: Uint8Array) => void;
  /** @throws {Fault} `page-invalid` when no valid sample came. */
  readonly end: () => Page;
}

interface PageParserOptions {
  /** The names to read. */
  readonly filter: NameFilter;
  readonly table: SeriesTable;
  /** Also gather the names that are not read, to find out whose page it is. */
  readonly collectNames?: boolean;
  readonly bytesMax?: number;
}

const hashSign = 0x23;
const letterT = 0x54;
const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

export function pageParser(options: PageParserOptions): PageParser {
  const { table, bytesMax = engineBodyBytesMax } = options;
  const columns = valueColumns(table);
  const reader = lineReader(options, columns);
  const lines = lineSplitter({ onLine: reader.line, onTooLong: reader.malformed });
  let bytesRead = 0;
  let head = "";
  return {
    push: (chunk) => {
      bytesRead += chunk.length;
      if (bytesRead > bytesMax) throw tooLarge(bytesMax);
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      if (head.length < pageHeadChars)
        head += bytes.toString("latin1", 0, pageHeadChars - head.length);
      lines.push(bytes);
    },
    end: () => {
      lines.end();
      const { isPage, ...page } = reader.result();
      if (!isPage) throw notAPage(head, bytesRead);
      return { values: columns.values(), ...page };
    },
  };
}

interface ValueColumns {
  /** @returns Whether the column was empty. */
  readonly set: (id: number, value: number) => boolean;
  readonly values: () => Float64Array;
}

function valueColumns(table: SeriesTable): ValueColumns {
  let columns = new Float64Array(Math.max(64, table.size())).fill(Number.NaN);
  return {
    set: (id, value) => {
      if (id >= columns.length) {
        const wider = new Float64Array(Math.max(id + 1, columns.length * 2)).fill(Number.NaN);
        wider.set(columns);
        columns = wider;
      }
      const isEmpty = Number.isNaN(columns[id]);
      columns[id] = value;
      return isEmpty;
    },
    // A copy: a view of a larger array would keep all of it, and its buffer as an object besides.
    values: () => columns.slice(0, table.size()),
  };
}

interface LineReader {
  readonly line: (bytes: Buffer, lineStart: number, lineEnd: number) => void;
  readonly malformed: () => void;
  readonly result: () => Omit<Page, "values"> & { readonly isPage: boolean };
}

type PartReader = (bytes: Buffer, start: number, end: number) => void;

/** Cuts a line from the blanks around it, and tells a `# TYPE` from a sample. */
function lineSorter(onType: PartReader, onSample: PartReader): LineReader["line"] {
  return (bytes, lineStart, lineEnd) => {
    const start = blanksEndAt(bytes, lineStart, lineEnd);
    const end = textEndAt(bytes, lineEnd);
    if (start >= end) return;
    if (bytes[start] === hashSign) {
      // The third byte tells "# TYPE" from the help texts, which are a third of a page.
      if (bytes[start + 2] === letterT) onType(bytes, start, end);
    } else if (bytes[start] !== openBrace) onSample(bytes, start, end);
    else {
      const plain = plainLine(bytes.toString("latin1", start, end));
      if (plain !== undefined) onSample(plain, 0, plain.length);
    }
  };
}

function typeIn(comment: string): { readonly name: string; readonly type: string } | undefined {
  const [, keyword, name, type] = comment.split(/[ \t]+/);
  return keyword === "TYPE" && name !== undefined && type !== undefined
    ? { name, type }
    : undefined;
}

function emptyPage() {
  return {
    warnings: { duplicates: 0, malformed: 0, notFinite: 0 },
    types: new Map<string, string>(),
    names: new Set<string>(),
    notFinite: new Map<number, number>(),
  };
}

function lineReader(options: PageParserOptions, columns: ValueColumns): LineReader {
  const { filter, table, collectNames = false } = options;
  const page = emptyPage();
  const { warnings, types, names, notFinite } = page;
  let isPage = false;

  const malformed = (): void => {
    warnings.malformed += 1;
  };

  /** A line whose name is on the allow-list. */
  const sample = (bytes: Buffer, name: string, start: number, nameEnd: number, end: number) => {
    const seriesEnd = seriesEndAt(bytes, nameEnd, end);
    const value = seriesEnd < 0 ? undefined : valueAt(bytes, seriesEnd, end);
    const text = value === undefined ? undefined : bytes.toString("latin1", start, seriesEnd);
    const series = text && table.intern(name, text);
    if (value === undefined || !series) {
      malformed();
      return;
    }
    isPage = true;
    if (collectNames) names.add(bytes.toString("latin1", start, nameEnd));
    if (!Number.isFinite(value)) {
      warnings.notFinite += 1;
      notFinite.set(series.id, value);
    } else if (!columns.set(series.id, value)) warnings.duplicates += 1;
  };

  const otherSample = (bytes: Buffer, start: number, nameEnd: number, end: number): void => {
    if (isPage && !collectNames) return;
    // A longer name is no engine's; cut off, 5,000 of them still fit.
    const name = bytes.toString("latin1", start, Math.min(nameEnd, start + pageNameBytesMax));
    if (isPage && (names.has(name) || names.size >= pageNamesMax)) return;
    if (!metricName.test(name)) return;
    const seriesEnd = seriesEndAt(bytes, nameEnd, end);
    if (seriesEnd < 0 || valueAt(bytes, seriesEnd, end) === undefined) return;
    isPage = true;
    if (collectNames) names.add(name);
  };

  const comment: PartReader = (bytes, start, end) => {
    const declared = typeIn(bytes.toString("latin1", start, end));
    if (declared === undefined) return;
    // The name is a part of the line, and keeps all of it.
    const isShort = end - start <= 2 * pageNameBytesMax;
    if (collectNames && isShort && names.size < pageNamesMax) names.add(declared.name);
    if (filter.has(declared.name)) types.set(declared.name, declared.type);
  };

  const sampleLine: PartReader = (bytes, start, end) => {
    let at = canonicalStart(bytes, start);
    let hash = hashSeed;
    for (; at < end && !endsName(bytes[at]); at += 1) hash = hashByte(hash, bytes[at] ?? 0);
    const name = filter.find(bytes, start, at, hash);
    if (name === undefined) otherSample(bytes, start, at, end);
    else sample(bytes, name, start, at, end);
  };

  return {
    line: lineSorter(comment, sampleLine),
    malformed,
    result: () => ({ isPage, ...page }),
  };
}

function tooLarge(bytesMax: number): Fault {
  return new Fault(
    "page-invalid",
    `Cannot read metrics: a page has at most ${bytesMax} bytes, got more; is this the engine's metrics path?`,
    { came: `more than ${bytesMax} bytes` },
  );
}

function notAPage(head: string, bytes: number): Fault {
  const came = bytes === 0 ? "an empty page" : JSON.stringify(head);
  return new Fault(
    "page-invalid",
    `Cannot read metrics: a page has at least one line "name value", got ${came}; check the engine's port and path`,
    { came },
  );
}
