/**
 * Which series a query's matchers choose, and what it may cost to find out.
 *
 * @module
 */
import { labelPatternWorkMax } from "#core/limits.ts";
import type { SeriesLabels } from "#engine/page/series.ts";
import type { LabelMatcher } from "#metric/engines.ts";
import type { LabelPattern, PatternOf } from "#metric/label-pattern.ts";

/** For one evaluation: what it found is not kept. */
export interface LabelChoice {
  /** @returns The first matcher that excludes a series; `undefined` when it is chosen. */
  readonly excluding: (labels: SeriesLabels) => LabelMatcher | undefined;
  /** Why it is not known which series are chosen; `undefined` when it is. */
  readonly refusal: () => string | undefined;
}

/**
 * Matchers without a pattern are tried first: what they exclude is compared with no pattern. Of a
 * label each value is compared once, however many series have it.
 */
export function labelChoice(match: readonly LabelMatcher[], patternOf: PatternOf): LabelChoice {
  let work = 0;
  let overrun: string | undefined;
  const compared = (pattern: LabelPattern, label: string, value: string): boolean => {
    work += value.length * pattern.steps;
    if (work <= labelPatternWorkMax) return pattern.matches(value);
    overrun ??= label;
    return false;
  };
  const passes = match
    .toSorted((one, other) => Number(isPattern(one)) - Number(isPattern(other)))
    .map((matcher) => ({ matcher, isPassed: passOf(matcher, patternOf, compared) }));
  return {
    excluding: (labels) =>
      passes.find(({ matcher, isPassed }) => !isPassed(labels[matcher.label] ?? ""))?.matcher,
    refusal: () =>
      overrun === undefined
        ? undefined
        : `its label ${overrun} has too many or too long values to compare with a pattern; choose series by other labels with = first, or take a shorter pattern`,
  };
}

function isPattern({ op }: LabelMatcher): boolean {
  return op === "=~" || op === "!~";
}

/** @returns Whether a value of the label passes. A label that a series lacks is the empty text, as in PromQL. */
function passOf(
  matcher: LabelMatcher,
  patternOf: PatternOf,
  compared: (pattern: LabelPattern, label: string, value: string) => boolean,
): (value: string) => boolean {
  const { label, op, value: text } = matcher;
  const isWhere = op === "=" || op === "=~";
  if (!isPattern(matcher)) return (value) => (value === text) === isWhere;
  const pattern = patternOf(text);
  const verdicts = new Map<string, boolean>();
  return (value) => {
    const verdict = verdicts.get(value) ?? compared(pattern, label, value);
    verdicts.set(value, verdict);
    return verdict === isWhere;
  };
}
