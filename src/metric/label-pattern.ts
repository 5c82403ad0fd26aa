/**
 * Patterns of label values, as PromQL's `=~` and `!~` have them: RE2's syntax, of the whole value,
 * with `.` for a newline too.
 *
 * Both the pattern and the values come from tenants. RE2 matches with an automaton and never goes
 * back, so the time is at most the value's length times the pattern's steps; it has no lookaround
 * and no backreference, which cannot be matched that way.
 *
 * Source: https://prometheus.io/docs/prometheus/latest/querying/basics and
 * https://github.com/google/re2/wiki/Syntax
 *
 * @module
 */
import { RE2JS, RE2Set } from "re2js";
import { setNewest } from "#core/bounded-map.ts";
import { labelPatternBytesMax, labelPatternStepsMax, labelPatternsMax } from "#core/limits.ts";

export interface LabelPattern {
  readonly matches: (value: string) => boolean;
  /** What one character of a value costs at most, in steps of the automaton. */
  readonly steps: number;
}

export type ParsedPattern =
  | { readonly pattern: LabelPattern; readonly problem?: never }
  /** What is wrong with it, as the end of a sentence. */
  | { readonly problem: string; readonly pattern?: never };

export function parsePattern(text: string): ParsedPattern {
  const set = new RE2Set(RE2Set.ANCHOR_BOTH, RE2JS.DOTALL, labelPatternBytesMax);
  try {
    set.add(text);
    set.compile();
  } catch (error) {
    // Besides its own errors nothing is thrown, and each says what it does not take.
    const { message } = error as Error;
    // A message quotes the pattern with the flag that `DOTALL` puts in front.
    return { problem: message.replace(/^error parsing regexp: /, "").replace("`(?s)", "`") };
  }
  const steps = set.prog.numInst();
  return steps > labelPatternStepsMax
    ? { problem: `it has at most ${labelPatternStepsMax} steps, got ${steps}` }
    : { pattern: { steps, matches: (value) => set.match(value).length > 0 } };
}

export type PatternOf = (text: string) => LabelPattern;

/**
 * Each pattern once: what it has learned of values is kept with it, and most targets are read with
 * the same few.
 */
export function sharedPatterns(): PatternOf {
  const patterns = new Map<string, LabelPattern>();
  return (text) => {
    const pattern = patterns.get(text) ?? knownPattern(text);
    setNewest(patterns, text, pattern, labelPatternsMax);
    return pattern;
  };
}

/** Patterns are checked where the trigger is read. */
function knownPattern(text: string): LabelPattern {
  const { pattern, problem } = parsePattern(text);
  if (pattern === undefined) throw new Error(`A pattern that no trigger can have: ${problem}`);
  return pattern;
}
