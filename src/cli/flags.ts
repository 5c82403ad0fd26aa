/**
 * Flags as data: one table serves parsing, `--help`, completion and every refusal.
 *
 * @module
 */
import { isIP } from "node:net";
import { formatDuration, parseDurationMs } from "#core/duration.ts";
import { isObjectName } from "#core/kubernetes-names.ts";
import { requestTokensMax } from "#core/limits.ts";
import { exporterNames, isTablePath } from "#device/exporter/tables.ts";
import type { TokenCount } from "#simulate/scenario.ts";
import { type FrontEndName, frontEndNames, frontEndOf } from "#trigger/front-ends.ts";
import { type TargetKind, targetKinds } from "#trigger/generated-triggers.ts";

/** What values a flag takes. */
export interface ValueKind<Value> {
  /** How `--help` names the value. */
  readonly value: string;
  /** What is allowed, as a refusal says it. */
  readonly rule: string;
  /** @returns `undefined` when the text breaks the rule. */
  readonly parse: (text: string) => Value | undefined;
  /** What a shell offers for it: names, or the files that are there. */
  readonly completion?: readonly string[] | "file" | "directory" | undefined;
}

export interface Flag<Value, Default extends string | undefined = string | undefined>
  extends ValueKind<Value> {
  readonly help: string;
  /** The text that stands for a flag that is left out; without it the flag reads `undefined`. */
  readonly fallback: Default;
  /** It may be given several times, and reads as all values together. */
  readonly repeats?: boolean;
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

/** A flag that may be given several times, and reads as the list of what it was given. */
export function repeatedFlag<Value>(
  kind: ValueKind<Value>,
  { help }: { readonly help: string },
): Flag<readonly Value[], undefined> {
  const parse = (text: string) => {
    const value = kind.parse(text);
    return value === undefined ? undefined : [value];
  };
  return { ...kind, parse, help, fallback: undefined, repeats: true };
}

export function choice<const Name extends string>(names: readonly Name[]): ValueKind<Name> {
  return {
    value: names.join("|"),
    rule: `must be one of ${names.join(", ")}`,
    parse: (text) => names.find((name) => name === text),
    completion: names,
  };
}

/** Some of the names. */
export function choices<const Name extends string>(
  value: string,
  names: readonly Name[],
): ValueKind<readonly Name[]> {
  return {
    value,
    rule: `must be one or several of ${names.join(", ")}, with commas between`,
    parse: (text) => {
      const words = text.split(",");
      const known = names.filter((name) => words.includes(name));
      return known.length === words.length ? known : undefined;
    },
    completion: names,
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

/** @param what How `--help` names it. */
export function decimal(what: string, least: number, most: number): ValueKind<number> {
  return {
    value: what,
    rule: `must be a number from ${least} to ${most}`,
    parse: (text) => {
      const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
      return number !== undefined && number >= least && number <= most ? number : undefined;
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

/** As many each time, or a log-normal distribution by two of its percentiles. */
export const tokenCount: ValueKind<TokenCount> = {
  value: "N|P50/P95",
  rule: `must be a whole number from 1 to ${requestTokensMax}, or the 50th and 95th percentile as P50/P95`,
  parse: (text) => {
    const [, one, other] = /^(\d{1,8})(?:\/(\d{1,8}))?$/.exec(text) ?? [];
    const [p50, p95] = [Number(one), Number(other ?? one)];
    if (!(p50 >= 1 && p95 >= p50 && p95 <= requestTokensMax)) return undefined;
    return other === undefined ? p50 : { p50, p95 };
  },
};

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

export const directory: ValueKind<string> = {
  ...pattern("PATH", "must be the path of a directory", /./),
  completion: "directory",
};
export const file: ValueKind<string> = {
  ...pattern("PATH", "must be the path of a file", /./),
  completion: "file",
};
/** Text that the command reads itself. */
export const loadExpression = pattern("LOAD", "must be a load", /./);
export const presetOrFile: ValueKind<string> = {
  ...pattern("FILE|PRESET", "must be a preset or the path of a file", /./),
  completion: "file",
};

/** A built-in table of an exporter, or a file with one. */
export const exporterOrFile: ValueKind<string> = {
  value: "NAME|FILE",
  rule: `must be ${exporterNames.join(", ")} or the path of a file`,
  parse: (text) =>
    exporterNames.some((name) => name === text) || isTablePath(text) ? text : undefined,
  completion: "file",
};

/** A name that Kubernetes accepts for most things. */
export const kubernetesName: ValueKind<string> = {
  value: "NAME",
  rule: "must be a Kubernetes name: lower case, digits, - and ., at most 253 characters",
  parse: (text) => (isObjectName(text) ? text : undefined),
};

export const addresses = pattern(
  "ADDRESSES",
  "must be HOST:PORT, several with commas between, or dns:///NAME:PORT",
  /^(dns:\/\/\/)?[^,\s]+:\d+(,[^,\s]+:\d+)*$/,
);

const dnsNamePattern = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/i;

/** Names that a certificate carries. */
export const certificateNames: ValueKind<readonly string[]> = {
  value: "NAMES",
  rule: "must be DNS names, several with commas between",
  parse: (text) => {
    const names = text.split(",");
    return names.every((name) => dnsNamePattern.test(name)) ? names : undefined;
  },
};

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

/** Any text that is not empty. */
export function text(value: string, rule: string): ValueKind<string> {
  return pattern(value, rule, /./);
}

interface NamedTarget {
  readonly kind: TargetKind;
  readonly name: string;
}

const kinds = Object.keys(targetKinds) as TargetKind[];
/** kubectl's short names. */
const shortKinds: ReadonlyMap<string, TargetKind> = new Map([
  ["deploy", "Deployment"],
  ["sts", "StatefulSet"],
  ["lws", "LeaderWorkerSet"],
]);

/** Devices as the driver numbers them, or by UUID. */
export const deviceNames: ValueKind<readonly string[]> = {
  value: "INDEX|UUID",
  rule: "must be an index or the beginning of a UUID, several with commas between",
  parse: (text) => {
    const names = text.split(",");
    return names.every((name) => /^(\d{1,5}|[A-Za-z]+-[-\w]*)$/.test(name)) ? names : undefined;
  },
};

/** As kubectl takes it: `deployment/chat`. */
export const scaleTarget: ValueKind<NamedTarget> = {
  value: "KIND/NAME",
  rule: `must be KIND/NAME, with KIND one of ${kinds.join(", ")} in any case`,
  parse: (text) => {
    const [word = "", name = "", ...more] = text.split("/");
    const lower = word.toLowerCase();
    const kind = kinds.find((known) => known.toLowerCase() === lower) ?? shortKinds.get(lower);
    const isName = more.length === 0 && isObjectName(name);
    return kind === undefined || !isName ? undefined : { kind, name };
  },
};

/** What stands in front of engines; also by the name that a trigger gives it. */
export const frontEnd: ValueKind<FrontEndName> = {
  ...choice(frontEndNames),
  parse: (text) => frontEndNames.find((name) => name === text || frontEndOf(name).engine === text),
};

function pattern(value: string, rule: string, shape: RegExp): ValueKind<string> {
  return { value, rule, parse: (text) => (shape.test(text) ? text : undefined) };
}
