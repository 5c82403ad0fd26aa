/**
 * The command line as data: one table of flags serves parsing, `--help` and every refusal.
 *
 * @module
 */
import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { closest } from "#core/closest.ts";
import { formatDuration, parseDurationMs } from "#core/duration.ts";
import { Fault } from "#core/fault.ts";

/** What values a flag takes. */
interface ValueKind<Value> {
  /** How `--help` names the value. */
  readonly value: string;
  /** What is allowed, as a refusal says it. */
  readonly rule: string;
  /** @returns `undefined` when the text breaks the rule. */
  readonly parse: (text: string) => Value | undefined;
}

export interface Flag<Value, Default extends string | undefined = string | undefined>
  extends ValueKind<Value> {
  readonly help: string;
  /** The text that stands for a flag that is left out; without it the flag reads `undefined`. */
  readonly fallback: Default;
}
// biome-ignore lint/suspicious/noExplicitAny: only `any` accepts every Flag<Value> in a table.
export type Flags = Readonly<Record<string, Flag<any>>>;

/** What a table of flags reads, by the flags' own names. */
export type FlagValues<F extends Flags> = {
  readonly [Name in keyof F]: F[Name] extends Flag<infer Value, infer Default>
    ? Value | (undefined extends Default ? undefined : never)
    : never;
};

/** A row of a table: one flag that may be left out. */
export function flag<Value>(
  kind: ValueKind<Value>,
  row: { readonly help: string; readonly fallback: string },
): Flag<Value, string>;
export function flag<Value>(
  kind: ValueKind<Value>,
  row: { readonly help: string },
): Flag<Value, undefined>;
export function flag<Value>(
  kind: ValueKind<Value>,
  { help, fallback }: { readonly help: string; readonly fallback?: string },
): Flag<Value> {
  return { ...kind, help, fallback };
}

export function choice<const Name extends string>(names: readonly Name[]): ValueKind<Name> {
  return {
    value: names.join("|"),
    rule: `must be one of ${names.join(", ")}`,
    parse: (text) => names.find((name) => name === text),
  };
}

export function duration(leastMs: number, mostMs: number): ValueKind<number> {
  const range = `from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}`;
  return {
    value: "DURATION",
    rule: `must be a duration such as 500ms, 1s or 2m, ${range}`,
    parse: (text) => {
      const ms = parseDurationMs(text);
      return ms !== undefined && ms >= leastMs && ms <= mostMs ? ms : undefined;
    },
  };
}

/** A flag that takes no value: it is there, or it reads `undefined`. */
export const present: ValueKind<true> = {
  value: "",
  rule: "takes no value",
  parse: (text) => (text === "" ? true : undefined),
};

export function wholeNumber(least: number, most: number): ValueKind<number> {
  return {
    value: "NUMBER",
    rule: `must be a whole number from ${least} to ${most}`,
    parse: (text) => {
      const number = /^\d{1,9}$/.test(text) ? Number(text) : undefined;
      return number !== undefined && number >= least && number <= most ? number : undefined;
    },
  };
}

export const port: ValueKind<number> = {
  value: "PORT",
  rule: "must be a port from 0 to 65535, 0 for a free one",
  parse: (text) => {
    const number = /^\d{1,5}$/.test(text) ? Number(text) : undefined;
    return number !== undefined && number <= 65_535 ? number : undefined;
  },
};

export const ipAddress: ValueKind<string> = {
  value: "ADDRESS",
  rule: "must be an IP address of this machine, or localhost",
  parse: (text) => (text === "localhost" || isIP(text) !== 0 ? text : undefined),
};

export const directory = pattern("PATH", "must be the path of a directory", /./);
export const file = pattern("PATH", "must be the path of a file", /./);

/** A name that Kubernetes accepts for most things. */
export const kubernetesName = pattern(
  "NAME",
  "must be a Kubernetes name: lower case, digits, - and ., at most 253 characters",
  /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/,
);

export const addresses = pattern(
  "ADDRESSES",
  "must be HOST:PORT, several with commas between, or dns:///NAME:PORT",
  /^(dns:\/\/\/)?[^,\s]+:\d+(,[^,\s]+:\d+)*$/,
);

const hostPattern =
  /^(?:(?:\*\.)?[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?:\d{1,5}|\*))?$/i;

/** Hosts that `src/engine/scrape/address-policy.ts` compares with. */
export const hostPatterns: ValueKind<readonly string[]> = {
  value: "HOSTS",
  rule: "must be HOST, HOST:PORT, *.DOMAIN or an IP address, several with commas between",
  parse: (text) => {
    const hosts = text.split(",");
    return hosts.every((host) => isIP(host) !== 0 || hostPattern.test(host)) ? hosts : undefined;
  },
};

function pattern(value: string, rule: string, shape: RegExp): ValueKind<string> {
  return { value, rule, parse: (text) => (shape.test(text) ? text : undefined) };
}

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
    Object.entries(flags).map(([name, { rule, fallback, parse }]) => {
      const text = texts.get(name) ?? fallback;
      if (text === undefined) return [name, undefined];
      const value = parse(text);
      if (value !== undefined) return [name, value];
      throw usage(command, `--${name} ${rule}, got ${JSON.stringify(text)}`);
    }),
  ) as FlagValues<F>;
}

/** The text of each flag that stands in the arguments, by its name. */
function flagTexts(command: string, flags: Flags, args: string[]): ReadonlyMap<string, string> {
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
  const texts = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind !== "option")
      throw usage(command, `unexpected argument ${JSON.stringify(args[token.index] ?? "--")}`);
    const known = flags[token.name];
    if (known === undefined) {
      const allowed = Object.keys(flags).map((name) => `--${name}`);
      throw usage(command, notKnown("flag", token.rawName, allowed));
    }
    if (texts.has(token.name)) throw usage(command, `--${token.name} is given twice`);
    if (token.value === undefined && known.value !== present.value)
      throw usage(command, `--${token.name} ${known.rule}, got nothing`);
    texts.set(token.name, token.value ?? present.value);
  }
  return texts;
}

/** Says that a word is not one of those allowed, which they are, and which was probably meant. */
export function notKnown(what: string, word: string, allowed: readonly string[]): string {
  const near = closest(word, allowed);
  const hint = near === undefined ? "" : `did you mean ${near}? `;
  return `unknown ${what} ${word}; ${hint}allowed: ${allowed.join(" ")}`;
}

function usage(command: string, problem: string): Fault {
  return new Fault("usage-invalid", `Cannot run ${command}: ${problem}`, { problems: [problem] });
}
