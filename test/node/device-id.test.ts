import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type DeviceRef, draDeviceRef, pluginDeviceRef } from "#node/device-id.ts";

const gpu = "GPU-6d2f8a3c-8a5b-4f6e-9a51-0c1f2d3e4b5a";
const mig = "MIG-0b1c2d3e-4f50-5a6b-8c7d-9e0f1a2b3c4d";

describe("pluginDeviceRef() reads", () => {
  test.each<[string, string, string, DeviceRef]>([
    ["a whole GPU", "nvidia.com/gpu", gpu, { by: "uuid", uuid: gpu }],
    ["a custom resource", "example.org/a100-large", gpu, { by: "uuid", uuid: gpu }],
    ["a replica", "nvidia.com/gpu", `${gpu}::3`, { by: "uuid", uuid: gpu, part: "3" }],
    ["a shared name", "nvidia.com/gpu.shared", `${gpu}::0`, { by: "uuid", uuid: gpu, part: "0" }],
    ["a slice", "nvidia.com/mig-1g.10gb.me", mig, { by: "uuid", uuid: mig }],
    ["a slice's replica", "nvidia.com/gpu", `${mig}::7`, { by: "uuid", uuid: mig, part: "7" }],
    [
      "a slice of R450",
      "nvidia.com/mig-1g.5gb",
      `MIG-${gpu}/3/0`,
      { by: "instance", parentUuid: gpu, gpuInstance: 3, computeInstance: 0 },
    ],
    [
      "a replica of one",
      "nvidia.com/mig-1g.5gb.shared",
      `MIG-${gpu}/11/1::2`,
      { by: "instance", parentUuid: gpu, gpuInstance: 11, computeInstance: 1, part: "2" },
    ],
    ["GKE's GPU", "nvidia.com/gpu", "nvidia12", { by: "minor", minor: 12 }],
    ["GKE's slice", "nvidia.com/gpu", "nvidia0/gi3", { by: "minor", minor: 0, gpuInstance: 3 }],
    ["GKE's share", "nvidia.com/gpu", "nvidia0/vgpu1", { by: "minor", minor: 0, part: "vgpu1" }],
    [
      "GKE's share of a slice",
      "nvidia.com/gpu",
      "nvidia1/gi3/vgpu0",
      { by: "minor", minor: 1, gpuInstance: 3, part: "vgpu0" },
    ],
    ["Tegra", "nvidia.com/gpu", "tegra", { by: "all" }],
    ["WSL", "nvidia.com/gpu", "all", { by: "all" }],
    ["AMD's GPU", "amd.com/gpu", "0000:c1:00.0", { by: "sysfs", sysfsName: "0000:c1:00.0" }],
    [
      "its address in capitals",
      "amd.com/gpu",
      "0000:C1:00.0",
      { by: "sysfs", sysfsName: "0000:c1:00.0" },
    ],
    [
      "AMD's GPU in one piece, named by its partitioning",
      "amd.com/spx_nps1",
      "0000:c1:00.0",
      { by: "sysfs", sysfsName: "0000:c1:00.0" },
    ],
    [
      "AMD's partition",
      "amd.com/cpx_nps4",
      "amdgpu_xcp_30",
      { by: "sysfs", sysfsName: "amdgpu_xcp_30" },
    ],
    [
      "a time slice of AMD's partition",
      "amd.com/gpu",
      "amdgpu_xcp_3-slice-1",
      { by: "sysfs", sysfsName: "amdgpu_xcp_3", part: "1" },
    ],
    [
      "a time slice of AMD's plugin",
      "amd.com/gpu",
      "0000:c1:00.0-slice-2",
      { by: "sysfs", sysfsName: "0000:c1:00.0", part: "2" },
    ],
  ])("%s", (_form, resource, id, ref) => {
    expect(pluginDeviceRef(resource, id)).toEqual(ref);
  });

  test.each([
    ["a network card", "rdma/hca", "0000:3b:00.0"],
    ["another vendor's all", "example.org/fuse", "all"],
    ["a partition of AMD's under another's resource", "example.org/gpu", "amdgpu_xcp_30"],
    ["a partition of AMD's without its number", "amd.com/cpx_nps4", "amdgpu_xcp_"],
    ["an address with more behind it", "amd.com/gpu", "0000:c1:00.0-slice-"],
    ["a name that goes on", "nvidia.com/gpu", "nvidia0-extra"],
    ["nothing", "nvidia.com/gpu", ""],
    ["a bare prefix", "nvidia.com/gpu", "GPU-"],
    ["a UUID with more behind it", "nvidia.com/gpu", `${gpu}/x`],
    ["a UUID with more before it", "nvidia.com/gpu", `x${gpu}`],
    ["a slice of R450 with more before it", "nvidia.com/gpu", `xMIG-${gpu}/3/0`],
    ["a slice of R450 with more behind it", "nvidia.com/gpu", `MIG-${gpu}/3/0/1`],
    ["GKE's name with more before it", "nvidia.com/gpu", "xnvidia0"],
  ])("not %s", (_form, resource, id) => {
    expect(pluginDeviceRef(resource, id)).toBeUndefined();
  });

  test("any text without throwing", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (resource, id) => {
        pluginDeviceRef(resource, id);
      }),
    );
  });
});

describe("draDeviceRef() reads", () => {
  const nvidia = "gpu.nvidia.com";
  test.each<[string, string, string | undefined, DeviceRef]>([
    ["a GPU", "gpu-3", undefined, { by: "minor", minor: 3 }],
    ["a part of a GPU", "gpu-3", "5ad1", { by: "minor", minor: 3, part: "5ad1" }],
    [
      "a slice",
      "gpu-0-mig-1g.10gb-19-4",
      undefined,
      { by: "placement", minor: 0, profile: 19, placementStart: 4 },
    ],
    [
      "a slice of a profile with a plus",
      "gpu-11-mig-1g.10gb+me-20-0",
      undefined,
      { by: "placement", minor: 11, profile: 20, placementStart: 0 },
    ],
  ])("%s", (_form, device, shareId, ref) => {
    expect(draDeviceRef(nvidia, device, shareId)).toEqual(ref);
  });

  test("AMD's GPU, by its render node", () => {
    const ref = draDeviceRef("gpu.amd.com", "gpu-1-129", undefined);
    expect(ref).toEqual({ by: "minor", minor: 129 });
  });

  test.each([
    ["another driver's device of the same name", "gpu.example.org", "gpu-0"],
    ["NVIDIA's channels", "compute-domain.nvidia.com", "channel-0"],
    ["AMD's device in passthrough", "gpu.amd.com", "gpu-vfio-0"],
    ["AMD's device that has no such node yet", "gpu.amd.com", "gpu-0-cpx-nps4"],
    ["NVIDIA's name of AMD's driver", "gpu.amd.com", "gpu-0"],
    ["a device in passthrough", nvidia, "gpu-vfio-0"],
    ["a name with more before it", nvidia, "xgpu-0"],
    ["a name with more behind it", nvidia, "gpu-0-x"],
    ["a slice with more behind it", nvidia, "gpu-0-mig-1g.10gb-19-4-1"],
  ])("not %s", (_form, driver, device) => {
    expect(draDeviceRef(driver, device, undefined)).toBeUndefined();
  });
});
