/**
 * One line of a metrics page, in bytes: where its series ends, and its value.
 *
 * @module
 */
import { parseNumber, parseNumberBytes } from "./number-text.ts";

const carriageReturn = 0x0d;
const space = 0x20;
const tab = 0x09;
const quote = 0x22;
const backslash = 0x5c;
export const openBrace = 0x7b;
const closeBrace = 0x7d;

/** `{"name",label="value"} 1`, as servers that know names in UTF-8 may print any name. */
const quotedName = /^\{[ \t]*"([a-zA-Z_:][a-zA-Z0-9_:]*)"[ \t]*(?:,|(?=\}))/;

/** The line with its name in front, if the name is one that can be asked for. */
export function plainLine(text: string): Buffer | undefined {
  const [quoted, name] = quotedName.exec(text) ?? [];
  return quoted === undefined || name === undefined
    ? undefined
    : Buffer.from(`${name}{${text.slice(quoted.length)}`, "latin1");
}

function isBlank(byte: number | undefined): boolean {
  return byte === space || byte === tab;
}

export function endsName(byte: number | undefined): boolean {
  return byte === openBrace || byte === space || byte === tab;
}

export function blanksEndAt(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(bytes[at])) at += 1;
  return at;
}

/** A proxy may have made `\r\n` of the newlines. */
export function textEndAt(bytes: Buffer, lineEnd: number): number {
  return bytes[lineEnd - 1] === carriageReturn ? lineEnd - 1 : lineEnd;
}

/** Behind the closing brace, or behind the name if there are no labels; -1 if no brace closes. */
export function seriesEndAt(bytes: Buffer, nameEnd: number, end: number): number {
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
export function valueAt(bytes: Buffer, seriesEnd: number, end: number): number | undefined {
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
