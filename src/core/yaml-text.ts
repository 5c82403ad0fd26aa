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
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  parseDocument,
} from "yaml";
import { messageOf, oneLine } from "./fault.ts";
import { problemOf } from "./file-schema.ts";
import { yamlReasonCharsMax } from "./limits.ts";
import { shortened } from "./quoted.ts";

/** Keys of mappings and positions in lists, from the whole file inwards. */
export type YamlPath = readonly (string | number)[];

/** Where something stands in a text; both from 1. */
export interface YamlPlace {
  readonly line: number;
  readonly column: number;
}

export interface PlacedProblem extends YamlPlace {
  /** With its path in front. */
  readonly problem: string;
}

export interface LocatedYaml {
  readonly value: unknown;
  /** Of the value at `path`, or of its key, or of the deepest part of the path that is there. */
  readonly placeOf: (path: YamlPath, part?: "key" | "value") => YamlPlace;
  /** A problem with its place in front, as `line 3, column 12: `. */
  readonly located: (path: YamlPath, problem: string, part?: "key" | "value") => string;
  /**
   * What a schema found, in the order of the text.
   *
   * @param within Path of what the schema is about; default: the whole document.
   */
  readonly placed: (
    issues: readonly v.BaseIssue<unknown>[],
    within?: YamlPath,
  ) => readonly PlacedProblem[];
  /** The same, each with its place in front. */
  readonly problemsOf: (
    issues: readonly v.BaseIssue<unknown>[],
    within?: YamlPath,
  ) => readonly string[];
  readonly problems?: never;
}
export type ParsedYaml = LocatedYaml | { readonly problems: readonly string[] };

/** One document of several, or the first place where it is not YAML. */
export type ParsedDocument =
  | LocatedYaml
  | { readonly problems: readonly [PlacedProblem, ...PlacedProblem[]] };

/** @returns The one document of a text; or the first place where it is not YAML. */
export function parseYaml(text: string): ParsedYaml {
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { ...options, lineCounter: lines });
    const [error] = document.errors;
    if (error !== undefined) {
      const rule = error.code === "MULTIPLE_DOCS" ? "there is a second document" : reasonOf(error);
      const place = placeText(placeAt(lines, error.pos[0]));
      return { problems: [`${place}: must be one YAML document: ${rule}`] };
    }
    return locatedYaml(document, lines);
  } catch (error) {
    // Nesting without end, or aliases that multiply.
    return { problems: [`the file: must be one YAML document: ${reasonOf(error)}`] };
  }
}

/** @returns Every document of a text, without empty ones; a broken one spoils no other. */
export function parseYamlDocuments(text: string): readonly ParsedDocument[] {
  const lines = new LineCounter();
  let documents: readonly Document.Parsed[];
  try {
    documents = parseAllDocuments(text, { ...options, lineCounter: lines });
  } catch (error) {
    // Nesting without end.
    return [broken({ line: 1, column: 1 }, error)];
  }
  return documents.flatMap((document): readonly ParsedDocument[] => {
    const [error] = document.errors;
    if (error !== undefined) return [broken(placeAt(lines, error.pos[0]), error)];
    const { contents } = document;
    if (contents === null || (isScalar(contents) && contents.source === "")) return [];
    try {
      return [locatedYaml(document, lines)];
    } catch (failure) {
      // Aliases that multiply.
      return [broken(placeAt(lines, document.range[0]), failure)];
    }
  });
}

function broken(place: YamlPlace, reason: unknown): ParsedDocument {
  return { problems: [{ ...place, problem: `must be YAML: ${reasonOf(reason)}` }] };
}

/** What the library says is wrong: some of its messages repeat the text. */
function reasonOf(error: unknown): string {
  const reason = messageOf(error);
  return reason.length > yamlReasonCharsMax ? `${reason.slice(0, yamlReasonCharsMax)}…` : reason;
}

/** The library's warnings would go to the console: what matters of them the schemas find. */
const options = { prettyErrors: false, merge: true, logLevel: "error" } as const;

function locatedYaml(document: Document, lines: LineCounter): LocatedYaml {
  const placeOf: LocatedYaml["placeOf"] = (path, part = "value") =>
    placeAt(lines, offsetOf(document, path, part));
  const placed: LocatedYaml["placed"] = (issues, within = []) =>
    issues
      .map((issue) => {
        const inside = (issue.path ?? []).map(({ key }) => key as string | number);
        const part = issue.type === "never" ? "key" : "value";
        const around = within.length === 0 ? undefined : pathText(within);
        const offset = offsetOf(document, [...within, ...inside], part);
        return { offset, problem: problemOf(issue, around) };
      })
      .sort((one, other) => one.offset - other.offset)
      .map(({ offset, problem }) => ({ ...placeAt(lines, offset), problem }));
  return {
    value: document.toJS() as unknown,
    placeOf,
    located: (path, problem, part) => placedText({ ...placeOf(path, part), problem }),
    placed,
    problemsOf: (issues, within) => placed(issues, within).map(placedText),
  };
}

/** `spec.triggers.0`, in one line whatever the keys are. */
export function pathText(path: YamlPath): string {
  return oneLine(path.map((key) => shortened(`${key}`)).join("."));
}

function placeAt(lines: LineCounter, offset: number): YamlPlace {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

/** A problem with its place in front, as `line 3, column 12: `. */
export function placedText({ problem, ...place }: PlacedProblem): string {
  return `${placeText(place)}: ${problem}`;
}

function placeText({ line, column }: YamlPlace): string {
  return `line ${line}, column ${column}`;
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

/** A text as YAML has it, in quotes where another type or a comment would be read without them. */
export function scalarText(text: string): string {
  const isPlain = /^[a-z][-a-z0-9._/]*(:[-a-z0-9._/]+)*$/i.test(text);
  return isPlain && !yamlWords.has(text.toLowerCase()) ? text : JSON.stringify(text);
}
/** Of YAML 1.1 too, which some readers still go by. */
const yamlWords = new Set(["true", "false", "null", "yes", "no", "on", "off", "y", "n"]);
