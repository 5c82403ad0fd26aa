/** Which devices `snapshot` prints. */
import { describe, expect, test } from "bun:test";
import type { JobVariables } from "#device/job.ts";
import { runCommand } from "../support/cli.ts";

const environment = (jobVariables: JobVariables) => ({
  hostname: "node",
  nodeName: undefined,
  kubernetesHost: undefined,
  kubernetesPort: undefined,
  jobVariables,
});
/** The mock collector has four devices of its own. */
const snapshot = (args: readonly string[], variables: JobVariables = {}) =>
  runCommand(["snapshot", "--collector", "mock", ...args], { environment: environment(variables) });
const json = async (args: readonly string[], variables?: JobVariables) => {
  const { stdout } = await snapshot(["--format", "json", ...args], variables);
  const { devices, ...rest } = JSON.parse(stdout);
  return {
    environment: rest.environment,
    indexes: devices.map((one: { index: number }) => one.index),
  };
};

const slurm = { SLURM_JOB_ID: "7", SLURM_JOB_GPUS: "1,3,9" };

describe("the devices of a job", () => {
  test("are those that its scheduler names, and what is not here is said", async () => {
    expect(await json(["--env", "slurm"], slurm)).toEqual({
      indexes: [1, 3],
      environment: {
        kind: "slurm",
        jobId: "7",
        variable: "SLURM_JOB_GPUS",
        devices: ["1", "3", "9"],
        unmatched: ["9"],
      },
    });
    const { stdout } = await snapshot(["--env", "slurm"], slurm);
    expect(stdout.split("\n")[0]).toEndWith("  slurm job 7: SLURM_JOB_GPUS=1,3,9, not here: 9");
  });

  test("are all where nothing is said of them", async () => {
    expect(await json(["--env", "flux"])).toEqual({
      indexes: [0, 1, 2, 3],
      environment: { kind: "flux" },
    });
  });

  test("are none where it has none", async () => {
    const { exitCode, stdout } = await snapshot(["--env", "k8s"], {
      NVIDIA_VISIBLE_DEVICES: "none",
    });
    expect(stdout.trimEnd().split("\n")).toHaveLength(2);
    expect(exitCode).toBe(0);
  });

  test("do not restrict the mock collector by themselves, nor a standalone process", async () => {
    for (const args of [[], ["--env", "standalone"]])
      expect(await json(args, slurm)).toEqual({
        indexes: [0, 1, 2, 3],
        environment: { kind: "standalone" },
      });
  });
});

describe("--device", () => {
  test.each([
    [["--device", "2"], [2]],
    [
      ["--device", "3,0"],
      [0, 3],
    ],
    [
      ["--device", "3", "--device", "GPU-00000000-0000-4000-8000-000000000001"],
      [1, 3],
    ],
  ])("%j", async (args, indexes) => {
    expect((await json(args)).indexes).toEqual(indexes);
  });

  test("selects among the job's", async () => {
    expect((await json(["--env", "slurm", "--device", "3"], slurm)).indexes).toEqual([3]);
    const { exitCode, stdout, stderr } = await snapshot(["--env", "slurm", "--device", "0"], slurm);
    expect(stderr).toStartWith(
      "keda-gpu-scaler: Cannot print device 0: the devices here are 1 (GPU-",
    );
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  });

  test.each(["", "a", "0,", "-1", "0:1"])("refuses %p", async (text) => {
    const { exitCode, stderr } = await snapshot([`--device=${text}`]);
    expect(stderr).toContain("--device must be an index or the beginning of a UUID");
    expect(exitCode).toBe(2);
  });
});
