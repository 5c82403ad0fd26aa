/**
 * YAML with the lines of what it says, so that a problem can name the line to correct.
 *
 * The parser tells no positions, so lines are found by indentation: of block style exactly, of what
 * stands in `{}` or `[]` the line on which that begins.
 *
 * @module
 */
import type * as v from "valibot";
import { problemOf } from "#core/file-schema.ts";
import type { InputResult } from "./input-result.ts";

/** One document of a file. */
export interface YamlDocument {
  readonly value: unknown;
  /** The line in the file of a path, or of the deepest part of it that is there; from 1. */
  readonly lineOf: (path: readonly (string | number)[]) => number;
  /** What a schema found, by line. */
  readonly problemsOf: (issues: readonly v.BaseIssue<unknown>[]) => readonly string[];
}

/** Splits a file at `---`, and leaves empty documents out. */
export function yamlDocuments(text: string): InputResult<readonly YamlDocument[]> {
  const documents: YamlDocument[] = [];
  for (const { lines, firstLine } of splitDocuments(text.split(/\r?\n/))) {
    if (lines.every((line) => /^\s*(#.*)?$/.test(line))) continue;
    const value = parsed(lines);
    if (value === undefined) {
      const line = firstLine + brokenAfter(lines);
      return { problems: [`line ${line}: must be YAML: here, or below, it is not`] };
    }
    documents.push(documentOf(value.value, lines, firstLine));
  }
  return { value: documents };
}

interface DocumentLines {
  readonly lines: readonly string[];
  readonly firstLine: number;
}

function splitDocuments(lines: readonly string[]): readonly DocumentLines[] {
  const starts = [0];
  for (const [index, line] of lines.entries()) if (/^---(\s|$)/.test(line)) starts.push(index + 1);
  return starts.map((start, index) => {
    const end = starts[index + 1];
    return {
      lines: lines.slice(start, end === undefined ? undefined : end - 1),
      firstLine: start + 1,
    };
  });
}

/** @returns `undefined` for what is no YAML. */
function parsed(lines: readonly string[]): { readonly value: unknown } | undefined {
  try {
    return { value: Bun.YAML.parse(lines.join("\n")) };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** How many lines at the beginning are YAML by themselves. */
function brokenAfter(lines: readonly string[]): number {
  let count = lines.length - 1;
  while (count > 0 && parsed(lines.slice(0, count)) === undefined) count -= 1;
  return count;
}

/** A key or the dash of an item, where it stands. */
interface YamlToken {
  readonly line: number;
  readonly column: number;
  /** Absent for an item. */
  readonly key?: string;
}

function documentOf(value: unknown, lines: readonly string[], firstLine: number): YamlDocument {
  const tokens = lines.flatMap((line, index) => tokensOf(line, firstLine + index));
  const lineOf: YamlDocument["lineOf"] = (path) => {
    let within: readonly YamlToken[] = tokens;
    let line = tokens[0]?.line ?? firstLine;
    for (const segment of path) {
      const column = within[0]?.column;
      const children = within.filter((token) => token.column === column);
      const child =
        typeof segment === "number"
          ? children.filter(({ key }) => key === undefined)[segment]
          : children.find(({ key }) => key === segment);
      if (child === undefined) break;
      line = child.line;
      within = below(child, within);
    }
    return line;
  };
  const problemsOf: YamlDocument["problemsOf"] = (issues) =>
    issues
      .map((issue) => {
        const path = (issue.path ?? []).map(({ key }) => key as string | number);
        return { line: lineOf(path), problem: problemOf(issue) };
      })
      .sort((one, other) => one.line - other.line)
      .map(({ line, problem }) => `line ${line}: ${problem}`);
  return { value, lineOf, problemsOf };
}

/** What belongs to a token: everything further right, and items that stand below their key's own column. */
function below(token: YamlToken, all: readonly YamlToken[]): readonly YamlToken[] {
  const rest = all.slice(all.indexOf(token) + 1);
  const isInside = ({ column, key }: YamlToken) =>
    column > token.column ||
    (column === token.column && key === undefined && token.key !== undefined);
  const end = rest.findIndex((one) => !isInside(one));
  return end === -1 ? rest : rest.slice(0, end);
}

function tokensOf(text: string, line: number): readonly YamlToken[] {
  const tokens: YamlToken[] = [];
  let column = text.search(/\S/);
  if (column === -1 || text[column] === "#") return tokens;
  for (;;) {
    const dash = /^-(\s+|$)/.exec(text.slice(column));
    if (dash === null) break;
    tokens.push({ line, column });
    column += dash[0].length;
  }
  const key = /^(?:"([^"]*)"|'([^']*)'|([^\s#{}[\],'"][^#]*?))\s*:(?:\s|$)/.exec(
    text.slice(column),
  );
  if (key !== null) tokens.push({ line, column, key: key[1] ?? key[2] ?? key[3] ?? "" });
  return tokens;
}
