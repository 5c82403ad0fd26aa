import * as v from "valibot";
import { didYouMean } from "#core/closest.ts";
import { metadataKeysMax, metadataValueBytesMax, quotedCharsMax } from "#core/limits.ts";
import { type TriggerKeyName, type TriggerValues, triggerKeyNames, triggerKeys } from "./keys.ts";
import { oneOf, type Rule } from "./rules.ts";

const fromEnv = "FromEnv";

/** What each key says by itself; rules that cross keys come after. */
export interface ParsedMetadata {
  readonly values: TriggerValues;
  /** Whether the key is there, with a good value or a bad one. */
  readonly has: (name: TriggerKeyName) => boolean;
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
): ParsedMetadata {
  const entries = Object.entries(metadata);
  const values: { [Name in TriggerKeyName]?: unknown } = {};
  const keyOf = new Map<TriggerKeyName, string>();
  const problems: string[] = [];
  const has = (name: TriggerKeyName) => keyOf.has(name);

  if (entries.length > metadataKeysMax) {
    // Nobody wrote these by hand, and a message as long as they are helps nobody.
    problems.push(`metadata: must have at most ${metadataKeysMax} keys, got ${entries.length}`);
    return { values: {}, has, problems };
  }
  for (const [key, text] of entries) {
    const name = keyName(key);
    if (name === undefined) {
      problems.push(`${quoted(key)}: unknown key${guess(key, triggerKeyNames)}`);
      continue;
    }
    const earlier = keyOf.get(name);
    if (earlier !== undefined) {
      problems.push(`${key}: must not be given beside ${earlier}, which means the same`);
      continue;
    }
    keyOf.set(name, key);
    const rule = name === "profile" ? oneOf(profiles) : triggerKeys[name];
    const { value, problem } = parseValue(rule, text);
    if (problem === undefined) values[name] = value;
    else problems.push(`${key}: ${problem}`);
  }
  return { values: values as TriggerValues, has, problems };
}

function keyName(key: string): TriggerKeyName | undefined {
  const plain = key.endsWith(fromEnv) ? key.slice(0, -fromEnv.length) : key;
  // `in` would find `constructor`.
  return Object.hasOwn(triggerKeys, plain) ? (plain as TriggerKeyName) : undefined;
}

function parseValue(
  { schema, rule, choices = [] }: Rule<unknown>,
  text: string,
): { readonly value?: unknown; readonly problem?: string } {
  const bytes = Buffer.byteLength(text);
  // Checked before the rule, so that no pattern meets a long text.
  if (bytes > metadataValueBytesMax)
    return { problem: `must have at most ${metadataValueBytesMax} bytes, got ${bytes}` };
  const parsed = v.safeParse(schema, text, { abortEarly: true, abortPipeEarly: true });
  if (parsed.success) return { value: parsed.output };
  return { problem: `must be ${rule}, got ${quoted(text)}${guess(text, choices)}` };
}

/** Text as a message may carry it: quoted, escaped and short. */
function quoted(text: string): string {
  return JSON.stringify(text.length > quotedCharsMax ? `${text.slice(0, quotedCharsMax)}…` : text);
}

function guess(text: string, names: readonly string[]): string {
  return text.length > quotedCharsMax ? "" : didYouMean(text, names);
}
