import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArguments } from "#cli/arguments.ts";
import { type CommandName, commandNames, commands } from "#cli/commands/all.ts";
import { runCommand } from "../support/cli.ts";
import { type CodeBlock, codeBlocks, commandLines, scaledYaml } from "./document-blocks.ts";

const root = join(import.meta.dir, "..", "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const documents = ["README.md", "deploy/README.md", "bench/README.md"].concat(
  [...new Bun.Glob("docs/*.md").scanSync({ cwd: root })].toSorted(),
);
const blocks = documents.flatMap((document) => codeBlocks(document, read(document)));
const named = (chosen: readonly CodeBlock[]) =>
  chosen.map((block) => [block.place, block] as const);

const validated = blocks.filter((block) => scaledYaml(block) !== undefined);
describe("validate finds no error in", () => {
  test.each(named(validated))("%s", async (_place, block) => {
    const stdin = new Blob([scaledYaml(block) ?? ""]).stream();
    const { exitCode, stdout } = await runCommand(["validate", "--all", "-"], { stdin });
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining(" 0 errors")]);
  });

  test("a block that names our Service, wherever one stands", () => {
    const others = blocks.filter(
      ({ language, code }) => language === "yaml" && code.includes("scalerAddress:"),
    );
    expect(others.filter((block) => !validated.includes(block))).toEqual([]);
    expect(validated.length).toBeGreaterThan(4);
  });
});

const shell = blocks.filter(({ language }) => language === "sh");
const calls = shell.flatMap(({ place, code }) =>
  commandLines(code, "keda-gpu-scaler").map((args) => [place, args] as const),
);
describe("the program takes the arguments of", () => {
  test.each(calls)("%s: %p", (_place, [name = "", ...args]) => {
    const isCommand = (commandNames as readonly string[]).includes(name);
    if (!isCommand) throw new Error(`keda-gpu-scaler has no command ${name}`);
    parseArguments(name, commands[name as CommandName], args);
  });
  test("calls that are there", () => expect(calls.length).toBeGreaterThan(5));
});

const chartValues = Bun.YAML.parse(read("deploy/helm/keda-gpu-scaler/values.yaml"));
const settings = shell.flatMap(({ place, code }) =>
  commandLines(code, "helm").flatMap((args) =>
    args.flatMap((word, at) => (args[at - 1] === "--set" ? [[place, word] as const] : [])),
  ),
);
describe("the chart has the value that is set by", () => {
  test.each(settings)("%s: %s", (_place, setting) => {
    const [path = ""] = setting.split("=");
    const keys = path.split(/(?<!\\)\./).map((key) => key.replaceAll("\\", ""));
    const found = keys.reduce<unknown>(
      (at, key) => (at as Record<string, unknown>)?.[key],
      chartValues,
    );
    expect(found).toBeDefined();
  });
});

describe("a block", () => {
  test("is found where it stands, also in a list", () => {
    const text = "1. A step:\n\n   ```sh\n   a\n     b\n   ```\n\n```yaml\nc: 1\n```\n";
    expect(codeBlocks("x.md", text)).toEqual([
      { place: "x.md:4", language: "sh", code: "a\n  b\n" },
      { place: "x.md:9", language: "yaml", code: "c: 1\n" },
    ]);
  });

  const block = (code: string, language = "yaml") => ({ place: "x.md:1", language, code });

  test("of triggers or metadata alone gets an object around it", () => {
    expect(scaledYaml(block("triggers:\n  - type: external\n"))).toContain(
      "  triggers:\n    - type: external\n",
    );
    expect(scaledYaml(block("metadata:\n  scalerAddress: a:1\n"))).toContain(
      "    - type: external\n      metadata:\n        scalerAddress: a:1\n",
    );
    expect(scaledYaml(block("image:\n  tag: a\n"))).toBeUndefined();
  });

  test("of shell gives the calls of a program, and what they are given", () => {
    const code = `dist/program a --x "b c"  # program d\nprogram e \\\n  --y f | other\nsource <(program g)\nsrun program h\nx -- /bin/program i\nA=b/program\nother program\n`;
    expect(commandLines(code, "program")).toEqual([
      ["a", "--x", "b c"],
      ["e", "--y", "f"],
      ["g"],
      ["h"],
      ["i"],
    ]);
  });
});
