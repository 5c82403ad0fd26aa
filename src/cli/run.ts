/**
 * From arguments to an exit code: 0 done, 1 failed, 2 wrong usage.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { commandAliases } from "./aliases.ts";
import { notKnown } from "./arguments.ts";
import { type CommandContext, exitCodes } from "./command.ts";
import { commandNames, commands } from "./commands/all.ts";
import { commandHelp, generalHelp } from "./help.ts";

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
    return await commands[command].start(rest, context);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    stderr(`keda-gpu-scaler: ${error.message}\n`);
    return error.code === "usage-invalid" ? exitCodes.usage : exitCodes.failed;
  }
}

function unknownCommand(name: string | undefined): Fault {
  const problem =
    name === undefined
      ? `no command is given; allowed: ${commandNames.join(" ")}`
      : notKnown("command", name, commandNames, { aliases: commandAliases });
  return new Fault("usage-invalid", `Cannot run: ${problem}; see keda-gpu-scaler --help`, {
    problems: [problem],
  });
}
