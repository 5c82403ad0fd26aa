/** What each trigger key says by itself, in CEL; made of the key's own schema. */
import type * as v from "valibot";
import { metadataValueBytesMax, quotedCharsMax } from "#core/limits.ts";
import { type TriggerKeyName, triggerKeyNames, triggerKeys } from "#trigger/keys.ts";
import { profileNames } from "#trigger/profiles.ts";
import type { Rule } from "#trigger/rules.ts";
import { every, firstOf, list, literal, map, not, re2, says, some } from "./cel.ts";

/** One action of a valibot pipe, by what it decides. */
interface SchemaStep {
  readonly type: string;
  readonly requirement?: unknown;
  readonly options?: unknown;
  readonly pipe?: readonly SchemaStep[];
}

/** Whether a text keeps the key's own rule, as far as CEL can say. */
export function keepsRule(name: TriggerKeyName, text: string): string {
  return every(`size(bytes(${text})) <= ${metadataValueBytesMax}`, ...conditionsOf(name, text));
}

/** A profile may be of `--profiles`, whose names the chart knows unless somebody else mounts them. */
function profileCondition(text: string): string {
  return some(
    "variables.profilesAreOpen",
    `${text} in variables.profiles`,
    `${text} in variables.customProfiles`,
  );
}

const profileWords = `"one of " + (${list(profileNames)} + variables.customProfiles).join(", ")`;

function conditionsOf(name: TriggerKeyName, text: string): readonly string[] {
  if (name === "profile") return [profileCondition(text)];
  const { schema, like, unlike }: Rule<unknown> = triggerKeys[name];
  return [
    ...stepsOf(schema).flatMap((step) => conditionOf(step, text) ?? []),
    ...(like === undefined ? [] : matches(text, like)),
    ...(unlike === undefined ? [] : matches(text, unlike).map(not)),
  ];
}

function stepsOf(schema: v.GenericSchema<string, unknown> | SchemaStep): readonly SchemaStep[] {
  const { pipe } = schema as SchemaStep;
  if (pipe === undefined) return [schema as SchemaStep];
  return pipe.flatMap((step) => (step.pipe === undefined ? [step] : stepsOf(step)));
}

/** @returns `undefined` for what only code can decide, and for what every text keeps. */
function conditionOf(
  { type, requirement, options }: SchemaStep,
  text: string,
): string | readonly string[] | undefined {
  switch (type) {
    case "regex":
      return matches(text, requirement as RegExp);
    case "picklist":
      return `${text} in ${list(options as readonly string[])}`;
    // A double holds at least 300 digits before the point: more of them are above every limit.
    case "min_value":
      return `${text}.matches("^-?0*[0-9]{1,300}([.]|$)") && double(${text}) >= ${double(requirement)}`;
    case "max_value":
      return `double(${text}) <= ${double(requirement)}`;
    case "max_length":
      return `size(${text}) <= ${Number(requirement)}`;
    default:
      return undefined;
  }
}

function matches(text: string, pattern: RegExp): readonly string[] {
  const written = re2(pattern);
  return written === undefined ? [] : [`${text}.matches(${literal(written)})`];
}

/** A number literal with a point in it: without one CEL takes it for an integer. */
function double(requirement: unknown): string {
  const text = String(requirement);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** The words of each key's rule. */
export const ruleWords = map(
  triggerKeyNames.map((name) => [
    name,
    name === "profile" ? profileWords : literal(triggerKeys[name].rule),
  ]),
);

/** What is wrong with the text of a key that breaks its rule, in the words of the parser. */
export function ruleProblem(key: string, text: string): string {
  const bytes = `size(bytes(${text}))`;
  return firstOf(
    [
      [
        `${bytes} > ${metadataValueBytesMax}`,
        says`${key}: must have at most ${literal(String(metadataValueBytesMax))} bytes, got ${`string(${bytes})`}`,
      ],
    ],
    says`${key}: must be ${`variables.rules[${key}]`}, got ${quotedIn(text)}`,
  );
}

/** As `src/core/quoted.ts` quotes a text. */
export function quotedIn(text: string): string {
  const short = `${text}.substring(0, ${quotedCharsMax}) + "…"`;
  return `strings.quote(size(${text}) > ${quotedCharsMax} ? ${short} : ${text})`;
}
