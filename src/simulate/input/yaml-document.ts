/**
 * YAML documents with the lines of what they say, so that a problem can name the line to correct.
 *
 * @module
 */
import type * as v from "valibot";
import { parseYamlDocuments, type YamlPath } from "#core/yaml-text.ts";
import type { InputResult } from "./input-result.ts";

/** One document of a file. */
export interface YamlDocument {
  readonly value: unknown;
  /** The line in the file of a path, or of the deepest part of it that is there; from 1. */
  readonly lineOf: (path: YamlPath) => number;
  /** What a schema found, by line. */
  readonly problemsOf: (issues: readonly v.BaseIssue<unknown>[]) => readonly string[];
}

/** Splits a file at `---`, and leaves empty documents out. */
export function yamlDocuments(text: string): InputResult<readonly YamlDocument[]> {
  const documents: YamlDocument[] = [];
  for (const document of parseYamlDocuments(text)) {
    if (document.problems !== undefined)
      return { problems: document.problems.map(({ line, problem }) => `line ${line}: ${problem}`) };
    documents.push({
      value: document.value,
      lineOf: (path) => document.placeOf(path, "key").line,
      problemsOf: (issues) =>
        document.placed(issues).map(({ line, problem }) => `line ${line}: ${problem}`),
    });
  }
  return { value: documents };
}
