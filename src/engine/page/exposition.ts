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
import { engineBodyBytesMax, pageHeadChars, pageNamesMax } from "#core/limits.ts";
import { lineSplitter } from "./lines.ts";
import { canonicalStart, hashByte, hashSeed, type NameFilter } from "./name-filter.ts";
import { parseNumber, parseNumberBytes } from "./number-text.ts";
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
  readonly warnings: PageWarnings;
  /** Types from `# TYPE`, of the names on the allow-list only, by canonical name. */
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

const carriageReturn = 0x0d;
const space = 0x20;
const tab = 0x09;
const quote = 0x22;
const backslash = 0x5c;
const hashSign = 0x23;
const letterT = 0x54;
const openBrace = 0x7b;
const closeBrace = 0x7d;
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
      const { isPage, types, names, warnings } = reader.result();
      if (!isPage) throw notAPage(head, bytesRead);
      return { values: columns.values(), warnings, types, names };
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

function lineReader(options: PageParserOptions, columns: ValueColumns): LineReader {
  const { filter, table, collectNames = false } = options;
  const warnings = { duplicates: 0, malformed: 0, notFinite: 0 };
  const types = new Map<string, string>();
  const names = new Set<string>();
  let isPage = false;

  /** A line whose name is on the allow-list. */
  const sample = (bytes: Buffer, name: string, start: number, nameEnd: number, end: number) => {
    const seriesEnd = seriesEndAt(bytes, nameEnd, end);
    const value = seriesEnd < 0 ? undefined : valueAt(bytes, seriesEnd, end);
    const series =
      value === undefined
        ? undefined
        : table.intern(name, bytes.toString("latin1", start, seriesEnd));
    if (value === undefined || series === undefined) {
      warnings.malformed += 1;
      return;
    }
    isPage = true;
    if (collectNames) names.add(bytes.toString("latin1", start, nameEnd));
    if (!Number.isFinite(value)) warnings.notFinite += 1;
    else if (!columns.set(series.id, value)) warnings.duplicates += 1;
  };

  const otherSample = (bytes: Buffer, start: number, nameEnd: number, end: number): void => {
    if (isPage && !collectNames) return;
    const name = bytes.toString("latin1", start, nameEnd);
    if (isPage && (names.has(name) || names.size >= pageNamesMax)) return;
    if (!metricName.test(name)) return;
    const seriesEnd = seriesEndAt(bytes, nameEnd, end);
    if (seriesEnd < 0 || valueAt(bytes, seriesEnd, end) === undefined) return;
    isPage = true;
    if (collectNames) names.add(name);
  };

  const comment = (bytes: Buffer, start: number, end: number): void => {
    const [, keyword, name, type] = bytes.toString("latin1", start, end).split(/[ \t]+/);
    if (keyword !== "TYPE" || name === undefined || type === undefined) return;
    if (collectNames && names.size < pageNamesMax) names.add(name);
    const nameBytes = Buffer.from(name, "latin1");
    const found = filter.find(nameBytes, 0, nameBytes.length, hashOf(nameBytes));
    if (found !== undefined) types.set(found, type);
  };

  return {
    line: (bytes, lineStart, lineEnd) => {
      const start = blanksEndAt(bytes, lineStart, lineEnd);
      const end = textEndAt(bytes, lineEnd);
      if (start >= end) return;
      if (bytes[start] === hashSign) {
        // The third byte tells "# TYPE" from the help texts, which are a third of a page.
        if (bytes[start + 2] === letterT) comment(bytes, start, end);
        return;
      }
      let at = canonicalStart(bytes, start);
      let hash = hashSeed;
      for (; at < end && !endsName(bytes[at]); at += 1) hash = hashByte(hash, bytes[at] ?? 0);
      const name = filter.find(bytes, start, at, hash);
      if (name === undefined) otherSample(bytes, start, at, end);
      else sample(bytes, name, start, at, end);
    },
    malformed: () => {
      warnings.malformed += 1;
    },
    result: () => ({ isPage, types, names, warnings }),
  };
}

function isBlank(byte: number | undefined): boolean {
  return byte === space || byte === tab;
}

function hashOf(bytes: Uint8Array): number {
  let hash = hashSeed;
  for (let at = canonicalStart(bytes, 0); at < bytes.length; at += 1)
    hash = hashByte(hash, bytes[at] ?? 0);
  return hash;
}

function endsName(byte: number | undefined): boolean {
  return byte === openBrace || byte === space || byte === tab;
}

function blanksEndAt(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(bytes[at])) at += 1;
  return at;
}

/** A proxy may have made `\r\n` of the newlines. */
function textEndAt(bytes: Buffer, lineEnd: number): number {
  return bytes[lineEnd - 1] === carriageReturn ? lineEnd - 1 : lineEnd;
}

/** Behind the closing brace, or behind the name if there are no labels; -1 if no brace closes. */
function seriesEndAt(bytes: Buffer, nameEnd: number, end: number): number {
  let at = blanksEndAt(bytes, nameEnd, end);
  if (bytes[at] !== openBrace) return at > nameEnd ? nameEnd : -1;
  let isQuoted = false;
  for (at += 1; at < end; at += 1) {
    const byte = bytes[at];
    if (isQuoted && byte === backslash) at += 1;
    else if (byte === quote) isQuoted = !isQuoted;
    else if (byte === closeBrace && !isQuoted) return at + 1;
  }
  return -1;
}

/** The number behind a series; what follows may be a timestamp, an exemplar, or nothing. */
function valueAt(bytes: Buffer, seriesEnd: number, end: number): number | undefined {
  const start = blanksEndAt(bytes, seriesEnd, end);
  let stop = start;
  while (stop < end && !isBlank(bytes[stop])) stop += 1;
  if (stop === start) return undefined;
  const value = parseNumberBytes(bytes, start, stop);
  return stop === end || isTail(bytes.toString("latin1", stop, end)) ? value : undefined;
}

function isTail(text: string): boolean {
  const [timestamp = ""] = text.split("#", 1);
  return timestamp.trim() === "" || parseNumber(timestamp.trim()) !== undefined;
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
