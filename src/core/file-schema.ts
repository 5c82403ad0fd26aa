/**
 * What the schemas of files that people write have in common: every unknown key is named, every
 * problem says the rule and what stands there, and a misspelt word gets a "did you mean".
 *
 * @module
 */
import * as v from "valibot";
import { type Aliases, didYouMean } from "./closest.ts";

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

/** The rule, and what stands there instead. */
export function say(rule: string) {
  return ({ received }: { readonly received: string }) => `${rule}, got ${received}`;
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
 * `devices.0.modle: unknown key; did you mean model?`
 *
 * @param within Path of what the schema is about; absent: the whole file.
 */
export function problemOf(issue: v.BaseIssue<unknown>, within?: string): string {
  const inside = v.getDotPath(issue) ?? undefined;
  const path = [within, inside].filter((part) => part !== undefined).join(".") || "the file";
  if (issue.received === "undefined") return `${path}: required`;
  if (issue.type !== "never") return `${path}: ${issue.message}`;
  const known = issue.message.split(" ");
  const hint = didYouMean(path.slice(path.lastIndexOf(".") + 1), known);
  return `${path}: unknown key${hint || `; allowed: ${known.join(", ")}`}`;
}
