/**
 * What the schemas of files that people write have in common: every unknown key is named, every
 * problem says the rule and what stands there, and a misspelt word gets a "did you mean".
 *
 * @module
 */
import * as v from "valibot";
import { type Aliases, didYouMean } from "./closest.ts";
import { oneLine } from "./fault.ts";
import { shortened } from "./quoted.ts";

/**
 * An object that names every key it does not know, where `v.strictObject` names one. The message
 * carries the known keys to `problemOf`, which sees the path and so can say what was meant.
 */
export function exact<const Entries extends v.ObjectEntries>(entries: Entries) {
  const known = Object.keys(entries).join(" ");
  const schema = v.pipe(
    v.custom<object>(isMapping, say("must be a mapping of keys")),
    v.objectWithRest(entries, v.never(known)),
  );
  // The rest never has a value, but in the type it would turn every known key into `never`.
  return schema as unknown as v.ObjectSchema<Entries, undefined>;
}

export function isMapping(input: unknown): input is Readonly<Record<string, unknown>> {
  return typeof input === "object" && input !== null && !Array.isArray(input);
}

/** The rule, and what stands there instead: a missing quote makes one value of half a file. */
export function say(rule: string) {
  return ({ received }: { readonly received: string }) => `${rule}, got ${shortened(received)}`;
}

export function choice<const Names extends readonly string[]>(names: Names, aliases?: Aliases) {
  const rule = say(`must be one of ${names.join(", ")}`);
  return v.picklist(names, (issue) => {
    const hint = typeof issue.input === "string" ? didYouMean(issue.input, names, aliases) : "";
    return `${rule(issue)}${hint}`;
  });
}

/** NaN is none. */
export const number = v.number(say("must be a number"));
export function between(least: number, most: number) {
  const rule = say(`must be a number from ${least} to ${most}`);
  return v.pipe(number, v.minValue(least, rule), v.maxValue(most, rule));
}
export function whole(least: number, most: number) {
  const rule = say(`must be a whole number from ${least} to ${most}`);
  return v.pipe(number, v.integer(rule), v.minValue(least, rule), v.maxValue(most, rule));
}

/**
 * `devices.0.modle: unknown key; did you mean model?`, in one line whatever the file has.
 *
 * @param within Path of what the schema is about; absent: the whole file.
 */
export function problemOf(issue: v.BaseIssue<unknown>, within?: string): string {
  const keys = (issue.path ?? []).map(({ key }) => String(key));
  const around = within === undefined ? [] : [within];
  const path = [...around, ...keys.map(shortened)].join(".") || "the file";
  return oneLine(`${path}: ${ruleOf(issue, keys.at(-1) ?? "")}`);
}

function ruleOf(issue: v.BaseIssue<unknown>, key: string): string {
  if (issue.received === "undefined") return "required";
  if (issue.type !== "never") return issue.message;
  const known = issue.message.split(" ");
  const hint = didYouMean(key, known);
  return `unknown key${hint || `; allowed: ${known.join(", ")}`}`;
}
