/**
 * What a command is, and what it is given of the process that it runs in.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { JobVariables } from "#device/job.ts";
import { type Accepted, type ParsedArguments, parseArguments } from "./arguments.ts";
import type { Flags } from "./flags.ts";

/** What a process finds in its environment. */
export interface Environment {
  /** The name of the machine. */
  readonly hostname: string;
  /** `NODE_NAME`, which the chart fills in. */
  readonly nodeName: string | undefined;
  /** `NODE_IP`: the node's addresses with commas between, which the chart fills in. */
  readonly nodeIp?: string | undefined;
  /** `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`: every pod has them. */
  readonly kubernetesHost: string | undefined;
  readonly kubernetesPort: string | undefined;
  /** What schedulers and container runtimes say of the job's devices. */
  readonly jobVariables?: JobVariables | undefined;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface CommandContext {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly version: string;
  readonly revision: string;
  readonly environment: Environment;
  /** Absent: there is nothing to read. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
  readonly stdout: (text: string) => void;
  /** Size of the terminal that standard output is, in characters; absent where it is none. */
  readonly terminal?: (() => TerminalSize) | undefined;
  /** Whether standard output shows colours, and whoever reads it wants them. */
  readonly hasColor: boolean;
  readonly stderr: (text: string) => void;
  /** Resolves with the first SIGTERM or SIGINT. */
  readonly stopSignal: Promise<string>;
}

export const exitCodes = { done: 0, failed: 1, usage: 2 } as const;
type ExitCode = number;

/** One command: what `--help`, completion and the reference document say of it, and what it does. */
export interface Command<F extends Flags = Flags> extends Accepted<F> {
  readonly summary: string;
  /** Whole command lines that show what it is for. */
  readonly examples: readonly [string, ...string[]];
  /** @param args What follows the command's name. */
  readonly start: (args: string[], context: CommandContext) => Promise<ExitCode> | ExitCode;
}

interface CommandRow<F extends Flags> extends Omit<Command<F>, "start"> {
  readonly run: (
    parsed: ParsedArguments<F>,
    context: CommandContext,
  ) => Promise<ExitCode> | ExitCode;
}

/** A row of the table of commands. */
export function command<F extends Flags>(name: string, { run, ...row }: CommandRow<F>): Command<F> {
  return { ...row, start: (args, context) => run(parseArguments(name, row, args), context) };
}

/** Flags that are each right and contradict each other. */
export function contradiction(what: string, problem: string): Fault {
  return new Fault("usage-invalid", `Cannot ${what}: ${problem}`, { problems: [problem] });
}
