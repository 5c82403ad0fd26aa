import { type CommandName, commandNames, commands } from "./commands/all.ts";
import type { Flags } from "./flags.ts";

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

/** `COMMAND --help`: every flag, its value, its default. */
export function commandHelp(name: CommandName): string {
  const { summary, flags }: { summary: string; flags: Flags } = commands[name];
  const rows = Object.entries(flags).map(([flag, { value, help, fallback }]) => ({
    left: `  --${flag} ${value}`.trimEnd(),
    right: `${help}${fallback === undefined ? "" : ` (default ${fallback})`}`,
  }));
  const width = Math.max(0, ...rows.map(({ left }) => left.length));
  return [
    `keda-gpu-scaler ${name}: ${summary}`,
    "",
    `usage: keda-gpu-scaler ${name}${rows.length === 0 ? "" : " [FLAGS]"}`,
    ...(rows.length === 0
      ? []
      : ["", ...rows.map((row) => `${row.left.padEnd(width)}  ${row.right}`)]),
    "",
  ].join("\n");
}
