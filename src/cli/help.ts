import type { Operands } from "./arguments.ts";
import type { Command } from "./command.ts";
import { type CommandName, commandNames, commands } from "./commands/all.ts";

/** `--help`: what there is, and where to ask for more. */
export function generalHelp(): string {
  const width = Math.max(...commandNames.map((name) => name.length));
  const lines = commandNames.map((name) => `  ${name.padEnd(width)}  ${commands[name].summary}`);
  return [
    "keda-gpu-scaler: a KEDA External Scaler that reads accelerators through the vendor's library",
    "",
    "usage: keda-gpu-scaler COMMAND [FLAGS]",
    "",
    ...lines,
    "",
    "keda-gpu-scaler COMMAND --help lists the flags of a command.",
    "Try it without a GPU: keda-gpu-scaler serve --collector mock",
    "",
  ].join("\n");
}

/** `COMMAND --help`: what it takes, every flag with its value and default, and examples. */
export function commandHelp(name: CommandName): string {
  const { summary, flags, operands, examples }: Command = commands[name];
  const hasFlags = Object.keys(flags).length > 0;
  const usage = [
    `keda-gpu-scaler ${name}`,
    ...(operands === undefined ? [] : [operandText(operands)]),
    ...(hasFlags ? ["[FLAGS]"] : []),
  ];
  const rows = [
    ...(operands === undefined ? [] : [{ left: `  ${operands.value}`, right: operands.help }]),
    ...Object.entries(flags).map(([flag, { value, help, fallback }]) => ({
      left: `  --${flag} ${value}`.trimEnd(),
      right: `${help}${fallback === undefined ? "" : ` (default ${fallback})`}`,
    })),
  ];
  const width = Math.max(0, ...rows.map(({ left }) => left.length));
  const lines = rows.map(({ left, right }) => `${left.padEnd(width)}  ${right}`);
  return [
    `keda-gpu-scaler ${name}: ${summary}`,
    "",
    `usage: ${usage.join(" ")}`,
    "",
    ...(lines.length === 0 ? [] : [...lines, ""]),
    ...examples.map((example, index) => `${index === 0 ? "example: " : "         "}${example}`),
    "",
  ].join("\n");
}

/** `FILE…`, `[NAME]`. */
export function operandText({ value, least, most }: Operands): string {
  const several = most > 1 ? `${value}…` : value;
  return least === 0 ? `[${several}]` : several;
}
