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

export interface Flag<Value> {
  /** How `--help` names the value. */
  readonly value: string;
  readonly help: string;
  /** What is allowed, as a refusal says it. */
  readonly rule: string;
  /** The text that stands for a flag not given; without it the flag reads `undefined`. */
  readonly fallback: string | undefined;
  /** @returns `undefined` when the text breaks the rule. */
  readonly parse: (text: string) => Value | undefined;
}
// biome-ignore lint/suspicious/noExplicitAny: only `any` accepts every Flag<Value> in a table.
export type Flags = Readonly<Record<string, Flag<any>>>;

/** What a table of flags reads: `--http-port` becomes `http-port`. */
export type Parsed<F extends Flags> = {
  readonly [Name in keyof F]: F[Name] extends OptionalFlag<infer Value>
    ? Value | undefined
    : F[Name] extends Flag<infer Value>
      ? Value
      : never;
};
type OptionalFlag<Value> = Flag<Value> & { readonly fallback: undefined };
interface Described {
  readonly help: string;
}

export function choice<const Names extends readonly string[]>(
  names: Names,
  { fallback, help }: Described & { readonly fallback: Names[number] },
): Flag<Names[number]> & { readonly fallback: string } {
  return {
    value: names.join("|"),
    help,
    rule: `must be one of ${names.join(", ")}`,
    fallback,
    parse: (text) => names.find((name) => name === text),
  };
}

export function duration(
  leastMs: number,
  mostMs: number,
  { fallback, help }: Described & { readonly fallback: string },
): Flag<number> & { readonly fallback: string } {
  return { ...durationFlag(leastMs, mostMs, help), fallback };
}

export function optionalDuration(
  leastMs: number,
  mostMs: number,
  { help }: Described,
): OptionalFlag<number> {
  return { ...durationFlag(leastMs, mostMs, help), fallback: undefined };
}

function durationFlag(leastMs: number, mostMs: number, help: string) {
  const range = `from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}`;
  return {
    value: "DURATION",
    help,
    rule: `must be a duration such as 500ms, 1s or 2m, ${range}`,
    parse: (text: string) => {
      const ms = parseDurationMs(text);
      return ms !== undefined && ms >= leastMs && ms <= mostMs ? ms : undefined;
    },
  };
}

export function port({
  fallback,
  help,
}: Described & { readonly fallback: string }): Flag<number> & { readonly fallback: string } {
  return {
    value: "PORT",
    help,
    rule: "must be a port from 0 to 65535, 0 for a free one",
    fallback,
    parse: (text) => {
      const number = /^\d{1,5}$/.test(text) ? Number(text) : undefined;
      return number !== undefined && number <= 65_535 ? number : undefined;
    },
  };
}

export function address({
  fallback,
  help,
}: Described & { readonly fallback: string }): Flag<string> & { readonly fallback: string } {
  return {
    value: "ADDRESS",
    help,
    rule: "must be an IP address of this machine, or localhost",
    fallback,
    parse: (text) => (text === "localhost" || isIP(text) !== 0 ? text : undefined),
  };
}

export function directory({ help }: Described): OptionalFlag<string> {
  return { ...text("PATH", "must be the path of a directory", /./, help), fallback: undefined };
}

export function path({ help }: Described): OptionalFlag<string> {
  return { ...text("PATH", "must be the path of a file", /./, help), fallback: undefined };
}

/** A name that Kubernetes accepts for most things, or none. */
export function name({ help }: Described): OptionalFlag<string> {
  return { ...nameFlag(help), fallback: undefined };
}

export function namedBy({
  fallback,
  help,
}: Described & { readonly fallback: string }): Flag<string> & { readonly fallback: string } {
  return { ...nameFlag(help), fallback };
}

export function addresses({ help }: Described): OptionalFlag<string> {
  const rule = "must be HOST:PORT, several with commas between, or dns:///NAME:PORT";
  return {
    ...text("ADDRESSES", rule, /^(dns:\/\/\/)?[^,\s]+:\d+(,[^,\s]+:\d+)*$/, help),
    fallback: undefined,
  };
}

/** Hosts that `src/engine/scrape/address-policy.ts` compares with, several with commas between. */
export function hostPatterns({ help }: Described): OptionalFlag<readonly string[]> {
  return {
    value: "HOSTS",
    help,
    rule: "must be HOST, HOST:PORT, *.DOMAIN or an IP address, several with commas between",
    fallback: undefined,
    parse: (text) => {
      const hosts = text.split(",");
      return hosts.every((host) => isIP(host) !== 0 || hostPattern.test(host)) ? hosts : undefined;
    },
  };
}
const hostPattern =
  /^(?:(?:\*\.)?[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?:\d{1,5}|\*))?$/i;

function nameFlag(help: string) {
  const rule = "must be a Kubernetes name: lower case, digits, - and ., at most 253 characters";
  return text("NAME", rule, /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/, help);
}

function text(value: string, rule: string, shape: RegExp, help: string) {
  const parse = (given: string) => (shape.test(given) ? given : undefined);
  return { value, help, rule, parse };
}

/**
 * Reads arguments by a table.
 *
 * @param args What follows the command's name.
 * @returns Every flag of the table, defaults filled in.
 * @throws {Fault} `usage-invalid`, one line that says what is allowed.
 */
export function parseFlags<F extends Flags>(command: string, flags: F, args: string[]): Parsed<F> {
  const options = Object.fromEntries(
    Object.keys(flags).map((name) => [name, { type: "string" as const }]),
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
    const flag = flags[token.name];
    if (flag === undefined) {
      const allowed = Object.keys(flags).map((name) => `--${name}`);
      throw usage(command, notKnown("flag", token.rawName, allowed));
    }
    if (texts.has(token.name)) throw usage(command, `--${token.name} is given twice`);
    if (token.value === undefined)
      throw usage(command, `--${token.name} ${flag.rule}, got nothing`);
    texts.set(token.name, token.value);
  }
  return Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => {
      const text = texts.get(name) ?? flag.fallback;
      if (text === undefined) return [name, undefined];
      const value = flag.parse(text);
      if (value !== undefined) return [name, value];
      throw usage(command, `--${name} ${flag.rule}, got ${JSON.stringify(text)}`);
    }),
  ) as Parsed<F>;
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
