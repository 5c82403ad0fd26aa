/** Completion as the shells see it. bash is everywhere; others are asked where they are installed. */
import { describe, expect, test } from "bun:test";
import { commandNames, commands } from "#cli/commands/all.ts";
import { profileNames } from "#trigger/profiles.ts";
import { runCommand } from "../support/cli.ts";

async function scriptOf(shell: string): Promise<string> {
  const { exitCode, stdout, stderr } = await runCommand(["completion", shell]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  return stdout;
}

/** What bash offers for the last of the words. */
async function offered(...line: readonly string[]): Promise<readonly string[]> {
  const script = `${await scriptOf("bash")}
COMP_WORDS=(keda-gpu-scaler "$@")
COMP_CWORD=$#
_keda_gpu_scaler
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = Bun.spawnSync(["bash", "--norc", "-c", script, "bash", ...line], {
    stderr: "ignore",
  });
  return stdout.toString().trim().split("\n");
}

describe("bash offers", () => {
  test("the commands", async () => {
    expect(await offered("")).toEqual([...commandNames]);
    expect(await offered("val")).toEqual(["validate"]);
  });

  test.each(commandNames)("every flag of %s", async (name) => {
    const flags = [...Object.keys(commands[name].flags), "help"].map((flag) => `--${flag}`);
    expect(await offered(name, "--")).toEqual(flags);
  });

  test.each<[readonly string[], readonly string[]]>([
    [
      ["serve", "--role", ""],
      ["all", "agent", "scaler"],
    ],
    [
      ["snapshot", "--env", "s"],
      ["slurm", "standalone"],
    ],
    [["generate", "--from-zero", "l"], ["litellm"]],
    [["generate", "--profile", ""], profileNames],
    [["profiles", "vllm-k"], ["vllm-kv-cache"]],
    [
      ["completion", ""],
      ["bash", "zsh", "fish"],
    ],
    [["serve", "--port", ""], [""]],
    [["version", ""], [""]],
  ])("%j: %j", async (line, names) => {
    expect(await offered(...line)).toEqual([...names]);
  });
});

test.each([
  ["bash", ["-n"]],
  ["zsh", ["-n"]],
  ["fish", ["--no-execute"]],
])("%s accepts its script, which has every command and flag", async (shell, check) => {
  const script = await scriptOf(shell);
  for (const name of commandNames) {
    expect(script).toContain(name);
    for (const flag of Object.keys(commands[name].flags)) expect(script).toContain(flag);
  }
  expect(script).not.toContain("undefined");
  const path = Bun.which(shell);
  if (path === null) return;
  const { exitCode, stderr } = Bun.spawnSync([path, ...check], { stdin: Buffer.from(script) });
  expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
});

test.each([
  [[], "SHELL must be one of bash, zsh, fish, got nothing"],
  [["tcsh"], 'SHELL must be one of bash, zsh, fish, got "tcsh"'],
  [["bash", "zsh"], 'unexpected argument "zsh"'],
])("%j is wrong usage", async (args, text) => {
  const { stderr, ...result } = await runCommand(["completion", ...args]);
  expect(stderr).toContain(text);
  expect(result).toEqual({ exitCode: 2, stdout: "" });
});
