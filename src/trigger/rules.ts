/**
 * The kinds of value that metadata may hold: each a schema beside its rule in words.
 *
 * The words are what a message and the reference document say, so a schema only decides; it never
 * phrases. Numbers are decimal text alone: `Number("")` is 0 and `Number("NaN")` is a number.
 *
 * @module
 */
import { isIP } from "node:net";
import * as v from "valibot";
import type { Aliases } from "#core/closest.ts";
import { jsonPath } from "#core/json-path.ts";
import { labelPatternCharsMax } from "#core/limits.ts";
import { quoted } from "#core/quoted.ts";
import { parseSelector, selectorLike } from "#kubernetes/label-selector.ts";
import type { LabelMatcher, NamedSeries } from "#metric/engines.ts";
import { parsePattern } from "#metric/label-pattern.ts";

/** A kind of value: `rule` completes the sentence "must be …". */
export interface Rule<Value> {
  readonly rule: string;
  readonly schema: v.GenericSchema<string, Value>;
  /** What can be chosen, for "did you mean". */
  readonly choices?: readonly string[];
  /**
   * Where the schema decides by code: a pattern for readers without that code, such as the API
   * server. It takes whatever the schema takes, and some texts more.
   */
  readonly like?: RegExp;
  /** A pattern that no text has which the schema takes. */
  readonly unlike?: RegExp;
  /** Other words that people have for the choices. */
  readonly aliases?: Aliases | undefined;
  /** What is wrong with a text that the schema refuses, where the rule alone does not say it. */
  readonly problemOf?: (text: string) => string | undefined;
}

/** The problem of a text that a rule's schema refuses, as the end of a sentence. */
export function ruleProblem({ rule, problemOf }: Rule<unknown>, text: string): string {
  const why = problemOf?.(text);
  return `must be ${rule}, got ${quoted(text)}${why === undefined ? "" : `: ${why}`}`;
}

/** Text that is not looked into. */
export const anyText: Rule<string> = { rule: "any text", schema: v.string() };

export function decimal(least: number, most: number): Rule<number> {
  return {
    rule: `a decimal number from ${least} to ${most}`,
    schema: number(/^-?\d+(\.\d+)?$/, least, most),
  };
}

export function integer(least: number, most: number): Rule<number> {
  return { rule: `an integer from ${least} to ${most}`, schema: number(/^-?\d+$/, least, most) };
}

function number(pattern: RegExp, least: number, most: number): Rule<number>["schema"] {
  return v.pipe(
    v.string(),
    v.regex(pattern),
    v.transform((digits) => Number(digits) + 0), // -0 becomes 0
    v.minValue(least),
    v.maxValue(most),
  );
}

export function oneOf<const Name extends string>(
  choices: readonly Name[],
  aliases?: Aliases,
): Rule<Name> {
  return {
    rule: `one of ${choices.join(", ")}`,
    schema: v.pipe(v.string(), v.picklist(choices)),
    choices,
    aliases,
  };
}

const dnsLabel = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?";

/** A name that Kubernetes gives to containers, and a path segment of the metrics API takes. */
export const labelName: Rule<string> = {
  rule: "1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends",
  schema: v.pipe(v.string(), v.regex(new RegExp(`^${dnsLabel}$`))),
};

/** A name that Kubernetes gives to nodes. */
export const domainName: Rule<string> = {
  rule: "a DNS name: labels of a-z, 0-9 and - joined by dots, at most 253 characters",
  schema: v.pipe(
    v.string(),
    v.maxLength(253),
    v.regex(new RegExp(`^${dnsLabel}(?:\\.${dnsLabel})*$`)),
  ),
};

export const httpUrl: Rule<string> = {
  rule: "an http or https URL without user, password and fragment",
  schema: v.pipe(v.string(), v.regex(/^https?:\/\/[!-~]+$/i), v.check(isPlainUrl)),
  // A URL parser takes \ for /, any number of them, and leaves out a user without a name.
  like: /^[a-z]+:[/\\]*(:?@)?[^@/?#\\]+([/?\\][^#]*)?$/i,
};

function isPlainUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && url.username === "" && url.password === "" && !text.includes("#");
}

/** A URL parser leaves such parts out, however they are written. */
const dotSegment = /^[^?]*\/(\.|%2e){1,2}(\/|\?|$)/i;

export const urlPath: Rule<string> = {
  rule: "a URL path that starts with / and has no spaces, no fragment and no . or .. in it",
  schema: v.pipe(
    v.string(),
    v.regex(/^\/([!-"$-.0-~][!-"$-~]*)?$/),
    v.check((text) => !dotSegment.test(text)),
  ),
  unlike: dotSegment,
};

export const jsonQuery: Rule<string> = {
  rule:
    "a JSONPath (RFC 9535) such as $.models[*].size_vram: names, indices, slices, * and filters that compare " +
    "a value of @ with one that is written, without .. and functions",
  schema: v.pipe(
    v.string(),
    v.check((text) => jsonPath(text) !== undefined),
  ),
  like: /^\$/,
};

const octet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

/** What a certificate can be verified for beside an address, which needs no key. */
export const serverName: Rule<string> = {
  rule: "a DNS name and no address: labels of a-z, 0-9 and - joined by dots, at most 253 characters",
  schema: v.pipe(
    domainName.schema,
    v.check((text) => isIP(text) === 0),
  ),
  unlike: new RegExp(`^${octet}(\\.${octet}){3}$`),
};

/** Kept as text: the room that has the pods parses it again. */
export const labelSelector: Rule<string> = {
  rule: 'a label selector, such as "app=llm,tier in (web,batch),!canary"',
  schema: v.pipe(v.string(), v.check(isLabelSelector)),
  like: selectorLike,
};

/** An empty selector matches every object at the API server, and is a mistake in a trigger. */
function isLabelSelector(text: string): boolean {
  return text.trim() !== "" && "requirements" in parseSelector(text);
}

const seriesName = "[a-zA-Z_:][a-zA-Z0-9_:]{0,199}";
const seriesPattern = new RegExp(`^(${seriesName})(?: ?/ ?(${seriesName}))?$`);

/** The name of a series, as Prometheus pages spell it, or of two that are divided. */
export const namedSeries: Rule<NamedSeries> = {
  rule: "the name of a Prometheus metric: letters, digits, _ and :, at most 200 characters; or two of them as a ratio, a / b",
  schema: v.pipe(
    v.string(),
    v.regex(seriesPattern),
    v.transform((text) => {
      const [, metric = "", denominator] = seriesPattern.exec(text) ?? [];
      return denominator === undefined ? { metric } : { metric, denominator };
    }),
  ),
};

const matcher = String.raw`\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\\n]|\\["\\n])*)"|${"`"}([^${"`"}]*)${"`"})\s*`;

/**
 * Matchers as PromQL writes them between braces, with its double quotes and backquotes.
 *
 * Source: https://prometheus.io/docs/prometheus/latest/querying/basics
 */
export const labelMatchers: Rule<readonly LabelMatcher[]> = {
  rule: `label matchers, such as model_name="llama",engine!="1" or model_name=~"llama-.+", with RE2 patterns of at most ${labelPatternCharsMax} characters together`,
  schema: v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const { matchers } = readMatchers(dataset.value);
      if (matchers !== undefined) return matchers;
      addIssue();
      return NEVER;
    }),
  ),
  like: new RegExp(`^${matcher}(,${matcher})*$`),
  problemOf: (text) => readMatchers(text).problem,
};

interface ReadMatchers {
  readonly matchers?: readonly LabelMatcher[];
  /** Where the rule does not say what is wrong. */
  readonly problem?: string;
}

function readMatchers(text: string): ReadMatchers {
  const one = new RegExp(`${matcher}(,|$)`, "y");
  const matchers: LabelMatcher[] = [];
  for (let end: string | undefined = ","; end === ","; ) {
    const [, label, op, escaped, raw, next] = one.exec(text) ?? [];
    const value = escaped === undefined ? raw : unescaped(escaped);
    if (label === undefined || value === undefined) return {};
    matchers.push({ label, op: op as LabelMatcher["op"], value });
    end = next;
  }
  const problem = patternProblem(matchers);
  return problem === undefined ? { matchers } : { problem };
}

function patternProblem(matchers: readonly LabelMatcher[]): string | undefined {
  const patterns = matchers.filter(({ op }) => op === "=~" || op === "!~");
  const chars = patterns.reduce((sum, { value }) => sum + value.length, 0);
  if (chars > labelPatternCharsMax) return `its patterns have ${chars} characters`;
  for (const { label, value } of patterns) {
    const { problem } = parsePattern(value);
    if (problem !== undefined) return `the pattern of ${label} is none of RE2's, ${problem}`;
  }
  return undefined;
}

function unescaped(value: string): string {
  return value.replace(/\\(.)/g, (_, escaped) => (escaped === "n" ? "\n" : escaped));
}

/** The name of a key of a Secret or ConfigMap, and so of the file that it is mounted as. */
export const fileName: Rule<string> = {
  rule: "the name of a file: letters, digits, -, _ and ., at most 253 characters, no . in front",
  schema: v.pipe(v.string(), v.regex(/^[a-zA-Z0-9_-][-._a-zA-Z0-9]{0,252}$/)),
};
