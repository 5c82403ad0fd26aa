/**
 * From the arguments of a command to the values of its flags and operands, by the command's own
 * table.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type Aliases, orList, suggestions } from "#core/closest.ts";
import { Fault } from "#core/fault.ts";
import { flagAliases } from "./aliases.ts";
import { type Flags, type FlagValues, present, type ValueKind } from "./flags.ts";

/** What may stand in the command line without a flag. */
export interface Operands extends ValueKind<string> {
  readonly help: string;
  readonly least: number;
  readonly most: number;
}

/** What a command takes. */
export interface Accepted<F extends Flags> {
  readonly flags: F;
  /** Absent: the command takes none. */
  readonly operands?: Operands | undefined;
}

export interface ParsedArguments<F extends Flags> {
  /** Every flag of the table, defaults filled in. */
  readonly flags: FlagValues<F>;
  readonly operands: readonly string[];
}

/**
 * Reads arguments by a table.
 *
 * @param args What follows the command's name.
 * @throws {Fault} `usage-invalid`, one line that says what is allowed.
 */
export function parseArguments<F extends Flags>(
  command: string,
  { flags, operands }: Accepted<F>,
  args: string[],
): ParsedArguments<F> {
  const texts = textsOf(command, { flags, operands }, args);
  const values = Object.fromEntries(
    Object.entries(flags).map(([name, { fallback, parse, repeats, rule }]) => {
      const parsed = (text: string) => {
        const value = parse(text);
        if (value !== undefined) return value;
        throw usage(command, `--${name} ${rule}, got ${JSON.stringify(text)}`);
      };
      const all = texts.flags.get(name);
      if (all !== undefined && repeats === true) return [name, all.flatMap(parsed)];
      const text = all?.[0] ?? fallback;
      return [name, text === undefined ? undefined : parsed(text)];
    }),
  ) as FlagValues<F>;
  return { flags: values, operands: checkedOperands(command, operands, texts.operands) };
}

function checkedOperands(
  command: string,
  operands: Operands | undefined,
  texts: readonly string[],
): readonly string[] {
  const extra = texts[operands?.most ?? 0];
  if (extra !== undefined) throw usage(command, `unexpected argument ${JSON.stringify(extra)}`);
  if (operands === undefined) return [];
  const { least, value, rule, parse } = operands;
  if (texts.length < least) throw usage(command, `${value} ${rule}, got nothing`);
  for (const text of texts)
    if (parse(text) === undefined)
      throw usage(command, `${value} ${rule}, got ${JSON.stringify(text)}`);
  return texts;
}

interface ArgumentTexts {
  /** The texts of each flag that stands in the arguments, by its name. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

function textsOf(
  command: string,
  { flags, operands }: Accepted<Flags>,
  args: string[],
): ArgumentTexts {
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
  const others: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") others.push(token.value);
    // `--` ends the flags of a command that takes something else, and means nothing elsewhere.
    if (token.kind === "option-terminator" && operands === undefined) others.push("--");
    if (token.kind !== "option") continue;
    const before = texts.get(token.name) ?? [];
    const text = textOf(command, flags, token);
    if (before.length > 0 && flags[token.name]?.repeats !== true)
      throw usage(command, `--${token.name} is given twice`);
    texts.set(token.name, [...before, text]);
  }
  return { flags: texts, operands: others };
}

interface FlagToken {
  readonly name: string;
  /** With its dashes. */
  readonly rawName: string;
  readonly value?: string | undefined;
}

function textOf(command: string, flags: Flags, { name, rawName, value }: FlagToken): string {
  const known = flags[name];
  if (known === undefined) {
    const prefix = rawName.startsWith("--") ? "--" : "-";
    const words = { aliases: flagAliases, prefix } as const;
    throw usage(command, notKnown("flag", name, Object.keys(flags), words));
  }
  if (value === undefined && known.value !== present.value)
    throw usage(command, `--${name} ${known.rule}, got nothing`);
  return value ?? present.value;
}

/** Says that a word is not one of those allowed, which they are, and which was probably meant. */
export function notKnown(
  what: string,
  word: string,
  allowed: readonly string[],
  { aliases, prefix = "" }: { readonly aliases?: Aliases; readonly prefix?: "" | "-" | "--" } = {},
): string {
  const dashes = prefix === "" ? "" : "--";
  const near = suggestions(word, allowed, aliases).map((name) => `${dashes}${name}`);
  const hint = near.length === 0 ? "" : `did you mean ${orList(near)}? `;
  const names = allowed.map((name) => `${dashes}${name}`).join(" ");
  const choice = allowed.length === 0 ? "none is allowed" : `allowed: ${names}`;
  return `unknown ${what} ${prefix}${word}; ${hint}${choice}`;
}

export function usage(command: string, problem: string): Fault {
  return new Fault("usage-invalid", `Cannot run ${command}: ${problem}`, { problems: [problem] });
}
