import * as v from "valibot";
import { closest } from "#core/closest.ts";
import { metadataKeysMax, metadataValueBytesMax } from "#core/limits.ts";
import { type TriggerKeyName, type TriggerValues, triggerKeyNames, triggerKeys } from "./keys.ts";
import { choice, isWithinBytes, type Rule } from "./rules.ts";

/** Longer text is cut in messages, which travel as an HTTP header. */
const shownCharactersMax = 60;
const fromEnv = "FromEnv";

/** What each key says by itself; rules that cross keys come after. */
export interface Parsed {
  readonly values: TriggerValues;
  /** Whether the key was given, with a good value or a bad one. */
  readonly isGiven: (name: TriggerKeyName) => boolean;
  readonly problems: readonly string[];
}

/**
 * Checks each key on its own.
 *
 * KEDA sends `fooFromEnv` under that name with the text it resolved, so it means `foo`.
 *
 * @param metadata `scalerMetadata` as KEDA sends it: text to text.
 * @param profiles Names of the profiles there are now, which may be more than those built in.
 */
export function parseMetadata(
  metadata: Readonly<Record<string, string>>,
  profiles: readonly string[],
): Parsed {
  const entries = Object.entries(metadata);
  const values: { [Name in TriggerKeyName]?: unknown } = {};
  const givenAs = new Map<TriggerKeyName, string>();
  const problems: string[] = [];
  const isGiven = (name: TriggerKeyName) => givenAs.has(name);

  if (entries.length > metadataKeysMax) {
    // Nobody wrote these by hand, and a message as long as they are helps nobody.
    problems.push(`metadata: must have at most ${metadataKeysMax} keys, got ${entries.length}`);
    return { values: {}, isGiven, problems };
  }
  for (const [key, text] of entries) {
    const name = keyName(key);
    if (name === undefined) {
      problems.push(`${shown(key)}: unknown key${didYouMean(key, triggerKeyNames)}`);
      continue;
    }
    const earlier = givenAs.get(name);
    if (earlier !== undefined) {
      problems.push(`${key}: must not be given beside ${earlier}, which means the same`);
      continue;
    }
    givenAs.set(name, key);
    const rule = name === "profile" ? choice(profiles) : triggerKeys[name];
    const problem = keep(values, name, rule, text);
    if (problem !== undefined) problems.push(`${key}: ${problem}`);
  }
  return { values: values as TriggerValues, isGiven, problems };
}

function keyName(key: string): TriggerKeyName | undefined {
  const plain = key.endsWith(fromEnv) ? key.slice(0, -fromEnv.length) : key;
  // `in` would find `constructor`.
  return Object.hasOwn(triggerKeys, plain) ? (plain as TriggerKeyName) : undefined;
}

function keep(
  values: { [Name in TriggerKeyName]?: unknown },
  name: TriggerKeyName,
  { schema, rule, choices = [] }: Rule<unknown>,
  text: string,
): string | undefined {
  if (!isWithinBytes(text))
    return `must have at most ${metadataValueBytesMax} bytes, got ${Buffer.byteLength(text)}`;
  const parsed = v.safeParse(schema, text, { abortEarly: true, abortPipeEarly: true });
  if (!parsed.success) return `must be ${rule}, got ${shown(text)}${didYouMean(text, choices)}`;
  values[name] = parsed.output;
  return undefined;
}

/** Text as a message may carry it: quoted, escaped and short. */
function shown(text: string): string {
  const cut = text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text;
  return JSON.stringify(cut);
}

function didYouMean(text: string, names: readonly string[]): string {
  const near = text.length > shownCharactersMax ? undefined : closest(text, names);
  return near === undefined ? "" : `; did you mean ${near}?`;
}
