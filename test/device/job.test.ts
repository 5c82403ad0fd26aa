/** Whose devices a process may speak of, by the environment of its scheduler. */
import { describe, expect, test } from "bun:test";
import { detectedJob, type JobVariables, jobEnvironment, selectDevices } from "#device/job.ts";

const device = (index: number, more = {}) => ({
  uuid: `GPU-${index}aaa`,
  index,
  vendor: "nvidia",
  model: "H100",
  ...more,
});

test.each<[JobVariables, string]>([
  [{}, "standalone"],
  [{ CUDA_VISIBLE_DEVICES: "0" }, "standalone"],
  [{ KUBERNETES_SERVICE_HOST: "10.0.0.1" }, "k8s"],
  [{ KUBERNETES_SERVICE_HOST: "10.0.0.1", SLURM_JOB_ID: "1" }, "slurm"],
  [{ SLURM_JOB_ID: "1", FLUX_JOB_ID: "ƒ2" }, "flux"],
  [{ SLURM_JOB_ID: "" }, "standalone"],
])("%j is %s", (variables, kind) => expect<string>(detectedJob(variables)).toBe(kind));

describe("the devices of", () => {
  const slurm = { SLURM_JOB_ID: "7", SLURM_JOB_GPUS: "0,1", CUDA_VISIBLE_DEVICES: "0" };
  test.each<[string, Parameters<typeof jobEnvironment>, object]>([
    [
      "a step go before those of its job",
      ["slurm", { ...slurm, SLURM_STEP_GPUS: "1" }],
      { jobId: "7", variable: "SLURM_STEP_GPUS", devices: ["1"] },
    ],
    ["a Slurm job", ["slurm", slurm], { variable: "SLURM_JOB_GPUS", devices: ["0", "1"] }],
    [
      "a Slurm job that says it to CUDA alone",
      ["slurm", { CUDA_VISIBLE_DEVICES: "GPU-a, MIG-b" }],
      { variable: "CUDA_VISIBLE_DEVICES", devices: ["GPU-a", "MIG-b"] },
    ],
    [
      "a Flux job",
      ["flux", { FLUX_JOB_ID: "ƒ2", CUDA_VISIBLE_DEVICES: "2,3", SLURM_JOB_GPUS: "0" }],
      { jobId: "ƒ2", devices: ["2", "3"] },
    ],
    ["a job without any", ["flux", { CUDA_VISIBLE_DEVICES: "" }], { devices: [] }],
    ["a job that hides them", ["slurm", { CUDA_VISIBLE_DEVICES: "NoDevFiles" }], { devices: [] }],
    [
      "a list end where CUDA stops",
      ["flux", { CUDA_VISIBLE_DEVICES: "1,-1,0" }],
      { devices: ["1"] },
    ],
    [
      "a pod",
      ["k8s", { NVIDIA_VISIBLE_DEVICES: "GPU-a,GPU-b", CUDA_VISIBLE_DEVICES: "0" }],
      { variable: "NVIDIA_VISIBLE_DEVICES", devices: ["GPU-a", "GPU-b"] },
    ],
    ["a pod with none", ["k8s", { NVIDIA_VISIBLE_DEVICES: "none" }], { devices: [] }],
  ])("%s", (_what, args, expected) => {
    expect(jobEnvironment(...args)).toMatchObject(expected);
  });

  test.each<Parameters<typeof jobEnvironment>>([
    ["k8s", {}],
    ["k8s", { NVIDIA_VISIBLE_DEVICES: "all" }],
    ["k8s", { NVIDIA_VISIBLE_DEVICES: "void" }],
    ["k8s", { NVIDIA_VISIBLE_DEVICES: "" }],
    ["k8s", { NVIDIA_VISIBLE_DEVICES: "/var/run/nvidia-container-devices" }],
    ["slurm", { SLURM_JOB_ID: "7" }],
    ["standalone", { CUDA_VISIBLE_DEVICES: "0", SLURM_JOB_GPUS: "0" }],
  ])("%s with %j are not restricted", (kind, variables) => {
    const { variable, devices } = jobEnvironment(kind, variables);
    expect({ variable, devices }).toEqual({ variable: undefined, devices: undefined });
  });
});

describe("a name selects", () => {
  const devices = [
    device(0, { minor: 1 }),
    device(1, { minor: 0 }),
    device(2, { uuid: "MIG-c", parentUuid: "GPU-whole" }),
  ];
  const indexes = (names: readonly string[], variable?: "SLURM_JOB_GPUS") => {
    const selected = selectDevices(devices, names, variable);
    return [selected.devices.map(({ index }) => index), selected.unmatched];
  };
  test.each<[string, readonly unknown[], readonly unknown[]]>([
    ["by index", indexes(["1"]), [[1], []]],
    ["by Slurm's number, which is the device file's", indexes(["1"], "SLURM_JOB_GPUS"), [[0], []]],
    ["by UUID", indexes(["GPU-1aaa"]), [[1], []]],
    ["by the beginning of one", indexes(["GPU-0"]), [[0], []]],
    ["the slices of a GPU", indexes(["GPU-whole"]), [[2], []]],
    ["in the driver's order, once", indexes(["1", "GPU-1", "0"]), [[0, 1], []]],
    ["nothing where there is none", indexes(["10", "GPU-x", "0"]), [[0], ["10", "GPU-x"]]],
  ])("%s", (_what, selected, expected) => expect(selected).toEqual(expected));

  test("by index where there is no device file", () => {
    const only = device(3);
    expect(selectDevices([only], ["3"], "SLURM_STEP_GPUS").devices).toEqual([only]);
  });
});
