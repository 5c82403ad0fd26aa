/**
 * TypeScript files of the repository, parsed.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Comment, type Program, parseSync } from "oxc-parser";

export interface SourceFile {
  /** From the root of the repository: `src/core/fault.ts`. */
  readonly path: string;
  readonly text: string;
  readonly program: Program;
  readonly comments: readonly Comment[];
}

/** One place that breaks a rule. */
export interface Finding {
  /** What breaks the rule, by a name that stays when lines move. */
  readonly key: string;
  /** For the person who repairs it. */
  readonly where: string;
}

/** @throws when a file cannot be parsed. */
export function sourceFiles(root: string, pattern: string): readonly SourceFile[] {
  return [...new Bun.Glob(pattern).scanSync({ cwd: root })].toSorted().map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    const { program, comments, errors } = parseSync(path, text);
    if (errors.length > 0) throw new Error(`Cannot parse ${path}: ${errors[0]?.message}`);
    return { path, text, program, comments };
  });
}

/** The number of the line that an offset of the text is on, from 1. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** The room of a file of `src`, and `main.ts` for itself. */
export function roomOf(path: string): string {
  return path.split("/")[1] ?? path;
}
