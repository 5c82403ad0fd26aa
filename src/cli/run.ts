/**
 * From arguments to an exit code: 0 done, 1 failed, 2 asked for wrongly.
 *
 * @module
 */

import { serve } from "#app/serve.ts";
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { type CommandName, collectorOptions, commandNames, commands } from "./commands.ts";
import { notKnown, parseFlags } from "./flags.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { snapshot } from "./snapshot.ts";

/** All that the commands know of the world. */
export interface World {
  readonly clock: Clock;
  readonly version: string;
  readonly revision: string;
  readonly hostname: string;
  readonly environment: {
    /** `NODE_NAME`, which the chart fills in. */
    readonly nodeName: string | undefined;
    /** `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`: every pod has them. */
    readonly kubernetesHost: string | undefined;
    readonly kubernetesPort: string | undefined;
  };
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Resolves with the first SIGTERM or SIGINT. */
  readonly stopSignal: Promise<string>;
}

const exitCodes = { done: 0, failed: 1, usage: 2 } as const;

/** @returns The exit code. Whatever is wrong is told on stderr before. */
export async function run(args: readonly string[], world: World): Promise<number> {
  const [name, ...rest] = args;
  try {
    if (name === "--help" || name === "-h" || name === "help") {
      world.stdout(generalHelp());
      return exitCodes.done;
    }
    const command = commandNames.find(
      (known) => known === (name === "--version" ? "version" : name),
    );
    if (command === undefined) throw unknownCommand(name);
    if (rest.includes("--help") || rest.includes("-h")) {
      world.stdout(commandHelp(command));
      return exitCodes.done;
    }
    return await runners[command](rest, world);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    world.stderr(`keda-gpu-scaler: ${error.message}\n`);
    return error.code === "usage-invalid" ? exitCodes.usage : exitCodes.failed;
  }
}

const runners: Readonly<
  Record<CommandName, (args: string[], world: World) => Promise<number> | number>
> = {
  serve: (args, world) => {
    const flags = parseFlags("serve", commands.serve.flags, args);
    return serve(flags, collectorOptions(flags), world);
  },
  snapshot: (args, world) => {
    const flags = parseFlags("snapshot", commands.snapshot.flags, args);
    return snapshot(flags, collectorOptions(flags), world);
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
