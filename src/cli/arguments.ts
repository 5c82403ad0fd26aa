/**
 * From the arguments of a command to the values of its flags, by the command's own table.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { closest } from "#core/closest.ts";
import { Fault } from "#core/fault.ts";
import { type Flags, type FlagValues, present } from "./flags.ts";

/**
 * Reads arguments by a table.
 *
 * @param args What follows the command's name.
 * @returns Every flag of the table, defaults filled in.
 * @throws {Fault} `usage-invalid`, one line that says what is allowed.
 */
export function parseFlags<F extends Flags>(
  command: string,
  flags: F,
  args: string[],
): FlagValues<F> {
  const texts = flagTexts(command, flags, args);
  return Object.fromEntries(
    Object.entries(flags).map(([name, { fallback, parse, repeats, ...own }]) => {
      const parsed = (text: string) => {
        const value = parse(text);
        if (value !== undefined) return value;
        throw usage(command, `--${name} ${own.rule}, got ${JSON.stringify(text)}`);
      };
      const all = texts.get(name);
      if (all !== undefined && repeats === true) return [name, all.flatMap(parsed)];
      const text = all?.[0] ?? fallback;
      return [name, text === undefined ? undefined : parsed(text)];
    }),
  ) as FlagValues<F>;
}

/** The texts of each flag that stands in the arguments, by its name. */
function flagTexts(
  command: string,
  flags: Flags,
  args: string[],
): ReadonlyMap<string, readonly string[]> {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { value }]) => {
      const type = value === present.value ? ("boolean" as const) : ("string" as const);
      return [name, { type }];
    }),
  );
  const { tokens } = parseArgs({
    args,
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const texts = new Map<string, readonly string[]>();
  for (const token of tokens) {
    if (token.kind !== "option")
      throw usage(command, `unexpected argument ${JSON.stringify(args[token.index] ?? "--")}`);
    const known = flags[token.name];
    if (known === undefined) {
      const allowed = Object.keys(flags).map((name) => `--${name}`);
      throw usage(command, notKnown("flag", token.rawName, allowed));
    }
    const before = texts.get(token.name) ?? [];
    if (before.length > 0 && known.repeats !== true)
      throw usage(command, `--${token.name} is given twice`);
    if (token.value === undefined && known.value !== present.value)
      throw usage(command, `--${token.name} ${known.rule}, got nothing`);
    texts.set(token.name, [...before, token.value ?? present.value]);
  }
  return texts;
}

/** Says that a word is not one of those allowed, which they are, and which was probably meant. */
export function notKnown(what: string, word: string, allowed: readonly string[]): string {
  const near = closest(word, allowed);
  const hint = near === undefined ? "" : `did you mean ${near}? `;
  const choice = allowed.length === 0 ? "none is allowed" : `allowed: ${allowed.join(" ")}`;
  return `unknown ${what} ${word}; ${hint}${choice}`;
}

function usage(command: string, problem: string): Fault {
  return new Fault("usage-invalid", `Cannot run ${command}: ${problem}`, { problems: [problem] });
}
