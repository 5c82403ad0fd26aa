/**
 * From arguments to an exit code: 0 done, 1 failed, 2 wrong usage.
 *
 * @module
 */
import { serve } from "#app/serve.ts";
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { lineLog } from "#core/log.ts";
import {
  type CommandName,
  collectorOptions,
  commandNames,
  commands,
  type Environment,
  serveOptions,
  simulateOptions,
} from "./commands.ts";
import { notKnown, parseFlags } from "./flags.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { simulateCommand } from "./simulate.ts";
import { snapshot } from "./snapshot.ts";

/** What the commands are given of the process that they run in. */
export interface CommandContext {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly version: string;
  readonly revision: string;
  readonly environment: Environment;
  readonly stdout: (text: string) => void;
  /** Whether standard output shows colours, and whoever reads it wants them. */
  readonly hasColor: boolean;
  readonly stderr: (text: string) => void;
  /** Resolves with the first SIGTERM or SIGINT. */
  readonly stopSignal: Promise<string>;
}

const exitCodes = { done: 0, failed: 1, usage: 2 } as const;

/** @returns The exit code. What is wrong has been written to stderr by then. */
export async function run(args: readonly string[], context: CommandContext): Promise<number> {
  const { stdout, stderr } = context;
  const [name, ...rest] = args;
  try {
    if (name === "--help" || name === "-h" || name === "help") {
      stdout(generalHelp());
      return exitCodes.done;
    }
    const asked = name === "--version" ? "version" : name;
    const command = commandNames.find((known) => known === asked);
    if (command === undefined) throw unknownCommand(name);
    if (rest.includes("--help") || rest.includes("-h")) {
      stdout(commandHelp(command));
      return exitCodes.done;
    }
    return await runners[command](rest, context);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    stderr(`keda-gpu-scaler: ${error.message}\n`);
    return error.code === "usage-invalid" ? exitCodes.usage : exitCodes.failed;
  }
}

type Runner = (args: string[], context: CommandContext) => Promise<number> | number;

const runners: Readonly<Record<CommandName, Runner>> = {
  serve: (args, context) => {
    const { clock, random, version, revision, environment, stderr, stopSignal } = context;
    const flags = parseFlags("serve", commands.serve.flags, args);
    const { "log-level": level, "log-format": format } = flags;
    const log = lineLog({ level, format, write: stderr, clock });
    return serve(serveOptions(flags, environment), {
      clock,
      log,
      random,
      version,
      revision,
      stopSignal,
    });
  },
  snapshot: (args, { clock, stdout, stderr, stopSignal }) => {
    const flags = parseFlags("snapshot", commands.snapshot.flags, args);
    const { format, interval: intervalMs } = flags;
    const collector = collectorOptions(flags);
    return snapshot({ format, intervalMs, collector, clock, stdout, stderr, stopSignal });
  },
  simulate: async (args, { stdout, hasColor }) => {
    const flags = parseFlags("simulate", commands.simulate.flags, args);
    stdout(await simulateCommand(simulateOptions(flags, hasColor)));
    return exitCodes.done;
  },
  version: (args, { stdout, version, revision }) => {
    parseFlags("version", commands.version.flags, args);
    stdout(`keda-gpu-scaler ${version} (${revision}, bun ${process.versions.bun})\n`);
    return exitCodes.done;
  },
};

function unknownCommand(name: string | undefined): Fault {
  const problem =
    name === undefined
      ? `no command is given; allowed: ${commandNames.join(" ")}`
      : notKnown("command", name, commandNames);
  return new Fault("usage-invalid", `Cannot run: ${problem}; see keda-gpu-scaler --help`, {
    problems: [problem],
  });
}
