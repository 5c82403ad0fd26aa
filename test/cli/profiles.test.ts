import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { profileUses } from "#trigger/profile-uses.ts";
import { profileNames, profileOf } from "#trigger/profiles.ts";
import { runCommand } from "../support/cli.ts";

const folder = mkdtempSync(join(tmpdir(), "profiles-"));
afterAll(() => rmSync(folder, { recursive: true }));
const own = join(folder, "own.yaml");
writeFileSync(own, "profiles:\n  chat: { metric: queue_depth, target: 4, engine: vllm }\n");

const profiles = (...args: string[]) => runCommand(["profiles", ...args]);
const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));

describe("the table", () => {
  test("has a line for each profile, in 96 columns", async () => {
    const { exitCode, stdout, stderr } = await profiles();
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const [headings = "", ...rows] = stdout.split("\n");
    expect(headings).toMatch(/^PROFILE +METRIC +TARGET +METRICTYPE +ENGINE +TO ZERO$/);
    expect(rows.slice(0, profileNames.length).map((row) => row.split(" ")[0])).toEqual([
      ...profileNames,
    ]);
    expect(rows[2]).toMatch(/^training +gpu_utilization +90 % +AverageValue +- +never$/);
    expect(widest(stdout)).toBeLessThanOrEqual(96);
  });

  test("has those of a file too", async () => {
    expect((await profiles("--profiles", own)).stdout).toMatch(
      /\nchat +queue_depth +4 requests +AverageValue +vllm +yes\n/,
    );
  });
});

describe("one profile", () => {
  test.each(profileNames)("%s says what it is, when and when not, in 96 columns", async (name) => {
    const { exitCode, stdout } = await profiles(name);
    const words = stdout.replaceAll(/\s+/g, " ");
    const { when, whenNot } = profileUses[name];
    const { metric, target } = profileOf(name);
    for (const part of [when, whenNot, ` ${metric}: `, ` target ${target} `])
      expect(words).toContain(part);
    expect(stdout).not.toContain("undefined");
    expect(widest(stdout)).toBeLessThanOrEqual(96);
    expect(exitCode).toBe(0);
  });

  test("of a file has no more than the file says", async () => {
    const { stdout } = await profiles("chat", "--profiles", own);
    expect(stdout).toContain("  engine       vllm\n");
    expect(stdout).not.toContain("when");
  });
});

describe("JSON", () => {
  test("has every profile as an array", async () => {
    const all = JSON.parse((await profiles("--output", "json", "--profiles", own)).stdout);
    expect(all.map(({ name }: { name: string }) => name)).toEqual([...profileNames, "chat"]);
    expect(all.at(-1)).toMatchObject({ target: 4, unit: "requests", isBuiltIn: false });
  });

  test("has one as an object", async () => {
    const one = JSON.parse((await profiles("batch", "--output", "json")).stdout);
    expect(one).toMatchObject({ ...profileOf("batch"), ...profileUses.batch, isBuiltIn: true });
  });
});

test.each([
  [["vllm"], 2, "did you mean vllm-inference, vllm-queue-depth or vllm-kv-cache?"],
  [["tgi-infernce"], 2, "did you mean tgi-inference?"],
  [["zzz"], 2, "; allowed: vllm-inference triton-inference "],
  [["constructor"], 2, 'no profile is named "constructor"; allowed'],
  [["batch", "ollama"], 2, 'unexpected argument "ollama"'],
  [["--profiles", "/nowhere"], 1, "Cannot use profiles file /nowhere: "],
])("%j is exit %d", async (args, exitCode, text) => {
  const { stderr, ...result } = await profiles(...args);
  expect(stderr).toContain(text);
  expect(result).toEqual({ exitCode, stdout: "" });
});
