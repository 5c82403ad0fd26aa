/**
 * The kinds of value that metadata may hold: each a schema beside its rule in words.
 *
 * The words are what a message and the reference document say, so a schema only decides; it never
 * phrases. Numbers are decimal text alone: `Number("")` is 0 and `Number("NaN")` is a number.
 *
 * @module
 */
import * as v from "valibot";
import { parseSelector, selectorLike } from "#kubernetes/label-selector.ts";
import type { LabelMatcher } from "#metric/engines.ts";

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

export function oneOf<const Name extends string>(choices: readonly Name[]): Rule<Name> {
  return {
    rule: `one of ${choices.join(", ")}`,
    schema: v.pipe(v.string(), v.picklist(choices)),
    choices,
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

/** Metrics are read within the cluster, without TLS. */
export const httpUrl: Rule<string> = {
  rule: "an http URL without user, password and fragment",
  schema: v.pipe(v.string(), v.regex(/^http:\/\/[!-~]+$/i), v.check(isPlainUrl)),
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

/** The name of a series, as Prometheus pages spell it. */
export const seriesName: Rule<string> = {
  rule: "the name of a Prometheus metric: letters, digits, _ and :, at most 200 characters",
  schema: v.pipe(v.string(), v.regex(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$/)),
};

const matcher = String.raw`\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(!?=)\s*"((?:[^"\\\n]|\\["\\n])*)"\s*`;

/**
 * Matchers as PromQL writes them between braces; both kinds that need no regular expression.
 *
 * Source: https://prometheus.io/docs/prometheus/latest/querying/basics
 */
export const labelMatchers: Rule<readonly LabelMatcher[]> = {
  rule: 'label matchers, such as model_name="llama",engine!="1"',
  schema: v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const matchers = readMatchers(dataset.value);
      if (matchers !== undefined) return matchers;
      addIssue();
      return NEVER;
    }),
  ),
  like: new RegExp(`^${matcher}(,${matcher})*$`),
};

function readMatchers(text: string): readonly LabelMatcher[] | undefined {
  const one = new RegExp(`${matcher}(,|$)`, "y");
  const matchers: LabelMatcher[] = [];
  for (let end: string | undefined = ","; end === ","; ) {
    const [, label, op, value, next] = one.exec(text) ?? [];
    if (label === undefined || value === undefined) return undefined;
    matchers.push({ label, op: op === "=" ? "=" : "!=", value: unescaped(value) });
    end = next;
  }
  return matchers;
}

function unescaped(value: string): string {
  return value.replace(/\\(.)/g, (_, escaped) => (escaped === "n" ? "\n" : escaped));
}

/** The name of a key of a Secret or ConfigMap, and so of the file that it is mounted as. */
export const fileName: Rule<string> = {
  rule: "the name of a file: letters, digits, -, _ and ., at most 253 characters, no . in front",
  schema: v.pipe(v.string(), v.regex(/^[a-zA-Z0-9_-][-._a-zA-Z0-9]{0,252}$/)),
};
