/**
 * The command line through its door, in this process: what it writes is kept.
 *
 * @module
 */
import type { CommandContext } from "#cli/command.ts";
import { run } from "#cli/run.ts";
import { systemClock } from "#core/clock.ts";

interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a command with what it writes kept; `stop` does what a signal would. */
export function startCommand(args: readonly string[], context: Partial<CommandContext> = {}) {
  const output: string[] = [];
  const errors: string[] = [];
  const stop = Promise.withResolvers<string>();
  const exitCode = run(args, {
    clock: systemClock(),
    random: () => 0.5,
    version: "1.2.3",
    revision: "abc",
    environment: {
      hostname: "laptop",
      nodeName: undefined,
      kubernetesHost: undefined,
      kubernetesPort: undefined,
    },
    stdout: (text) => output.push(text),
    hasColor: false,
    stderr: (text) => errors.push(text),
    stopSignal: stop.promise,
    ...context,
  });
  return { exitCode, output, errors, stop: () => stop.resolve("SIGTERM") };
}

/** Runs a command to its end. */
export async function runCommand(
  args: readonly string[],
  context: Partial<CommandContext> = {},
): Promise<CommandResult> {
  const { exitCode, output, errors } = startCommand(args, context);
  return { exitCode: await exitCode, stdout: output.join(""), stderr: errors.join("") };
}
