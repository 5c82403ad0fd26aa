/**
 * `completion`: a script by which a shell completes commands, flags and their values, made of the
 * table of commands.
 *
 * @module
 */
import { type Command, command, exitCodes } from "#cli/command.ts";
import { choice, present } from "#cli/flags.ts";

/** What a shell offers at a place: names, or the files that are there; empty: nothing. */
type Offer = readonly string[] | "file" | "directory";

interface CompletedFlag {
  /** With its dashes. */
  readonly name: string;
  readonly help: string;
  /** Absent: it takes no value. */
  readonly value?: Offer | undefined;
}

interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly CompletedFlag[];
  readonly operands: Offer;
}

function completed(name: string, { summary, flags, operands }: Command): CompletedCommand {
  return {
    name,
    summary,
    flags: [
      ...Object.entries(flags).map(([flag, { help, value, completion }]) => ({
        name: `--${flag}`,
        help,
        value: value === present.value ? undefined : (completion ?? []),
      })),
      { name: "--help", help: "What it takes" },
    ],
    operands: operands?.completion ?? [],
  };
}

const program = "keda-gpu-scaler";

/** In single quotes, for every of the shells. */
const inQuotes = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const words = (offer: Offer) => (typeof offer === "string" ? "" : offer.join(" "));

function bashScript(commands: readonly CompletedCommand[]): string {
  const act = (offer: Offer) => {
    if (offer === "file") return "compopt -o default; COMPREPLY=()";
    if (offer === "directory") return "compopt -o dirnames; COMPREPLY=()";
    if (offer.length === 0) return "COMPREPLY=()";
    return `COMPREPLY=($(compgen -W ${inQuotes(words(offer))} -- "$word"))`;
  };
  const values = commands.flatMap(({ name, flags }) =>
    flags.flatMap(({ name: flag, value }) =>
      value === undefined ? [] : [`    ${name}:${flag}) ${act(value)}; return ;;`],
    ),
  );
  const rest = commands.map(
    ({ name, flags, operands }) => `    ${name})
      if [[ "$word" == -* ]]; then
        ${act(flags.map((flag) => flag.name))}
      else
        ${act(operands)}
      fi ;;`,
  );
  return `# bash completion of ${program}: source <(${program} completion bash)
_keda_gpu_scaler() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}"
  if ((COMP_CWORD == 1)); then
    ${act(commands.map(({ name }) => name))}
    return
  fi
  case "\${COMP_WORDS[1]}:$before" in
${values.join("\n")}
  esac
  case "\${COMP_WORDS[1]}" in
${rest.join("\n")}
  esac
}
complete -F _keda_gpu_scaler ${program}
`;
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const act = (offer: Offer) => {
    if (offer === "file") return "_files";
    if (offer === "directory") return "_files -/";
    return offer.length === 0 ? " " : `(${words(offer)})`;
  };
  /** Between the brackets and colons of _arguments. */
  const escaped = (text: string) => text.replaceAll(/[\\[\]:]/g, "\\$&");
  const specs = ({ flags, operands }: CompletedCommand) => [
    ...flags.map(({ name, help, value }) => {
      const action = value === undefined ? "" : `:value:${act(value)}`;
      return inQuotes(`*${name}[${escaped(help)}]${action}`);
    }),
    ...(operands.length === 0 ? [] : [inQuotes(`*:argument:${act(operands)}`)]),
  ];
  const names = commands.map(({ name, summary }) => inQuotes(`${name}:${escaped(summary)}`));
  const cases = commands.map(
    (one) => `    ${one.name})
      _arguments ${specs(one).join(" \\\n        ")} ;;`,
  );
  return `#compdef ${program}
# zsh completion of ${program}: source <(${program} completion zsh)
_keda_gpu_scaler() {
  if ((CURRENT == 2)); then
    local -a names=(
      ${names.join("\n      ")}
    )
    _describe command names
    return
  fi
  local name="$words[2]"
  shift words
  ((CURRENT--))
  case "$name" in
${cases.join("\n")}
  esac
}
compdef _keda_gpu_scaler ${program}
`;
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const of = (name: string) => `complete -c ${program} -n '__fish_seen_subcommand_from ${name}'`;
  const act = (offer: Offer) => {
    if (offer === "file") return "-F";
    if (offer === "directory") return "-xa '(__fish_complete_directories)'";
    return `-xa ${inQuotes(words(offer))}`;
  };
  const lines = commands.flatMap(({ name, summary, flags, operands }) => [
    `complete -c ${program} -n __fish_use_subcommand -a ${name} -d ${inQuotes(summary)}`,
    ...flags.map(({ name: flag, help, value }) => {
      const action = value === undefined ? "" : ` -r ${act(value)}`;
      return `${of(name)} -l ${flag.slice(2)} -d ${inQuotes(help)}${action}`;
    }),
    ...(operands.length === 0 ? [] : [`${of(name)} ${act(operands)}`]),
  ]);
  return `# fish completion of ${program}: ${program} completion fish | source
complete -c ${program} -f
${lines.join("\n")}
`;
}

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
type ShellName = keyof typeof scripts;
const shells = choice(Object.keys(scripts) as ShellName[]);

/** @param table Every command, with this one as it is passed. */
export function completionCommand(
  table: (completion: Command) => Readonly<Record<string, Command>>,
): Command {
  const own = command("completion", {
    summary: "Print a script by which your shell completes commands and flags",
    flags: {},
    operands: { ...shells, value: "SHELL", help: "bash, zsh or fish", least: 1, most: 1 },
    examples: [
      "source <(keda-gpu-scaler completion bash)",
      "keda-gpu-scaler completion fish | source",
    ],
    run: ({ operands }, { stdout }) => {
      const shell = shells.parse(operands[0] ?? "");
      const all = Object.entries(table(own));
      if (shell !== undefined)
        stdout(scripts[shell](all.map(([name, row]) => completed(name, row))));
      return exitCodes.done;
    },
  });
  return own;
}
