/**
 * YAML that people write, with the line and column of each problem.
 *
 * `Bun.YAML` tells no positions and takes the last of two equal keys, so that a line of a file could
 * be without effect and nobody would know.
 *
 * @module
 */
import type * as v from "valibot";
import {
  type Document,
  type DocumentOptions,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParseOptions,
  parseAllDocuments,
  parseDocument,
  type SchemaOptions,
} from "yaml";
import { messageOf } from "./fault.ts";
import { problemOf } from "./file-schema.ts";

/** Keys of mappings and positions in lists, from the whole file inwards. */
export type YamlPath = readonly (string | number)[];

export interface LocatedYaml {
  readonly value: unknown;
  /**
   * A problem with its place in front, as `line 3, column 12: `: that of the value at `path`, or of
   * its key, or of the deepest part of the path that is there.
   */
  readonly located: (path: YamlPath, problem: string, part?: "key" | "value") => string;
  /**
   * What a schema found, each with its place and in the order of the text.
   *
   * @param within Path of what the schema is about; default: the whole file.
   */
  readonly problemsOf: (
    issues: readonly v.BaseIssue<unknown>[],
    within?: YamlPath,
  ) => readonly string[];
  readonly problems?: never;
}
export type ParsedYaml = LocatedYaml | { readonly problems: readonly string[] };

export type ParsedYamlDocuments =
  | { readonly documents: readonly LocatedYaml[]; readonly problems?: never }
  | { readonly problems: readonly string[]; readonly documents?: never };

/** @returns The one document of a text; or the first place where it is not YAML. */
export function parseYaml(text: string): ParsedYaml {
  return located("one YAML document", (options, placeOf) => {
    const document = parseDocument(text, options);
    const [error] = document.errors;
    if (error === undefined) return locatedYaml(document, placeOf);
    const rule = error.code === "MULTIPLE_DOCS" ? "there is a second document" : messageOf(error);
    return { problems: [`${placeOf(error.pos[0])}: must be one YAML document: ${rule}`] };
  });
}

/** @returns All documents of a text but empty ones; or the first place where it is not YAML. */
export function parseYamlDocuments(text: string): ParsedYamlDocuments {
  return located("YAML", (options, placeOf) => {
    const all = parseAllDocuments(text, options);
    const error = all.flatMap(({ errors }) => errors)[0];
    if (error !== undefined)
      return { problems: [`${placeOf(error.pos[0])}: must be YAML: ${messageOf(error)}`] };
    const documents = all.map((document) => locatedYaml(document, placeOf));
    return { documents: documents.filter(({ value }) => value !== null) };
  });
}

type PlaceOf = (offset: number) => string;

/** Runs a parser, with the way to its places. */
function located<Parsed>(
  what: string,
  parse: (options: ParseOptions & DocumentOptions & SchemaOptions, placeOf: PlaceOf) => Parsed,
): Parsed | { readonly problems: readonly string[] } {
  const lineCounter = new LineCounter();
  const placeOf = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  try {
    return parse({ lineCounter, prettyErrors: false, merge: true }, placeOf);
  } catch (error) {
    // Nesting without end, or aliases that multiply.
    return { problems: [`the file: must be ${what}: ${messageOf(error)}`] };
  }
}

function locatedYaml(document: Document, placeOf: PlaceOf): LocatedYaml {
  return {
    value: document.toJS() as unknown,
    located: (path, problem, part = "value") =>
      `${placeOf(offsetOf(document, path, part))}: ${problem}`,
    problemsOf: (issues, within = []) =>
      issues
        .map((issue) => {
          const inside = (issue.path ?? []).map(({ key }) => key as string | number);
          const part = issue.type === "never" ? "key" : "value";
          const around = within.length === 0 ? undefined : within.join(".");
          const offset = offsetOf(document, [...within, ...inside], part);
          return { offset, problem: problemOf(issue, around) };
        })
        .sort((one, other) => one.offset - other.offset)
        .map(({ offset, problem }) => `${placeOf(offset)}: ${problem}`),
  };
}

/** Where in the text the value at `path`, or its key, begins. */
function offsetOf(document: Document, path: YamlPath, part: "key" | "value"): number {
  let node: unknown = document.contents;
  let offset = offsetAt(node) ?? 0;
  for (const [depth, segment] of path.entries()) {
    const { key, value } = childOf(isAlias(node) ? node.resolve(document) : node, segment);
    const isKey = isBlock(value) || (part === "key" && depth === path.length - 1);
    const found = (isKey ? undefined : offsetAt(value)) ?? offsetAt(key) ?? offsetAt(value);
    if (found === undefined) break;
    offset = found;
    node = value;
  }
  return offset;
}

function childOf(parent: unknown, segment: string | number): Partial<Pair> {
  if (isSeq(parent)) return { value: parent.items[Number(segment)] };
  if (!isMap(parent)) return {};
  const isNamed = ({ key }: Pair) => isScalar(key) && String(key.value) === String(segment);
  return parent.items.find(isNamed) ?? {};
}

/** A mapping or list on lines of its own: its key is what a reader looks for. */
function isBlock(node: unknown): boolean {
  return (isMap(node) || isSeq(node)) && node.flow !== true;
}

function offsetAt(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}
