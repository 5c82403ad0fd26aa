/** Commands of the compiled binary that need no server: real arguments, input, environment, exit codes. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary, runBinary } from "../support/binary.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "commands-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("what generate prints, validate and simulate take", async () => {
  const generated = await runBinary([
    ...["generate", "--profile", "vllm-queue-depth", "--target", "lws/chat"],
    ...["--namespace", "inference", "--from-zero", "router"],
  ]);
  expect(generated.exitCode).toBe(0);
  const path = join(folder, "chat.yaml");
  writeFileSync(path, generated.stdout);
  expect(await runBinary(["validate", path])).toEqual({
    exitCode: 0,
    stdout: "3 triggers in 1 object checked: 0 errors, 0 warnings\n",
    stderr: "",
  });
  const load = ["--load", "1 rps for 1m"];
  const { exitCode } = await runBinary(["simulate", "--scaledobject", path, ...load]);
  expect(exitCode).toBe(0);
});

test("validate reads standard input, and its exit code tells of errors", async () => {
  const child = Bun.spawn([binary(), "validate", "-", join(folder, "none.yaml")], {
    stdin: Buffer.from("kind: Service\n---\nkind: ScaledObject\n"),
    stdout: "pipe",
  });
  const stdout = await new Response(child.stdout).text();
  expect(stdout).toContain("stdin:3: error: apiVersion: required\n");
  expect(stdout).toContain("none.yaml:1: error: the file: cannot be read: ");
  expect(await child.exited).toBe(1);
});

describe("snapshot takes the job's devices from its environment", () => {
  const environment = async (...args: string[]) => {
    const { stdout } = await runBinary(
      ["snapshot", "--collector", "mock", "--format", "json", ...args],
      { env: { SLURM_JOB_ID: "7", SLURM_STEP_GPUS: "1,9", OTHER: "secret" } },
    );
    expect(stdout).not.toContain("secret");
    return JSON.parse(stdout);
  };

  test("where it is asked to", async () => {
    const { environment: job, devices } = await environment("--env", "slurm");
    expect(job).toMatchObject({ kind: "slurm", jobId: "7", unmatched: ["9"] });
    expect(devices).toHaveLength(1);
  });

  test("and not for the mock collector by itself", async () => {
    const { environment: job } = await environment();
    expect(job).toEqual({ kind: "standalone" });
  });
});

test.each([
  [["profiles", "vllm"], 2, "did you mean vllm-inference, vllm-queue-depth or vllm-kv-cache?"],
  [["generate"], 2, "--profile must be a profile, got nothing"],
  [["validate"], 2, "FILE must be a YAML file"],
  [["completion", "tcsh"], 2, "SHELL must be one of bash, zsh, fish"],
  [["lint", "x.yaml"], 2, "unknown command lint; did you mean validate?"],
])("%j is exit %d and one line", async (args, exitCode, text) => {
  const { stderr, ...result } = await runBinary(args);
  expect(stderr).toContain(text);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(result).toEqual({ exitCode, stdout: "" });
});
