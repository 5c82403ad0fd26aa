/**
 * The forms in which device plugins and the DRA driver name accelerators to the kubelet.
 *
 * A form is recognised by the id itself and not by the resource name, which administrators choose,
 * wherever the id alone says that it is an accelerator's.
 *
 * @module
 */

import type { DeviceIdentity, PluginId } from "#metric/sample.ts";

/** Which device an id means. `part` is set when the device is divided and the id is one part. */
export type DeviceRef =
  | { readonly by: "uuid"; readonly uuid: string; readonly part?: string | undefined }
  | {
      readonly by: "instance";
      readonly parentUuid: string;
      readonly gpuInstance: number;
      readonly computeInstance: number;
      readonly part?: string | undefined;
    }
  | {
      readonly by: "minor";
      readonly minor: number;
      readonly gpuInstance?: number | undefined;
      readonly part?: string | undefined;
    }
  | {
      readonly by: "placement";
      readonly minor: number;
      readonly profile: number;
      readonly placementStart: number;
      readonly part?: string | undefined;
    }
  | {
      readonly by: "sysfs";
      /** The device's name in sysfs: a PCI address, of AMD's partitions but the first `amdgpu_xcp_3`. */
      readonly sysfsName: string;
      readonly part?: string | undefined;
    }
  | {
      readonly by: "plugin";
      readonly uuids: readonly string[];
      readonly part?: string | undefined;
    }
  | { readonly by: "all"; readonly part?: string | undefined };

const uuidForm = /^(?:GPU|MIG)-[0-9A-Fa-f-]+$/;
/** Drivers R450 and R460 had no UUID for a slice. */
const oldSliceForm = /^MIG-(GPU-[0-9A-Fa-f-]+)\/(\d+)\/(\d+)$/;
const gkeForm = /^nvidia(\d+)(?:\/gi(\d+))?(?:\/vgpu(\d+))?$/;
const draGpuForm = /^gpu-(\d+)$/;
/** `gpu-<minor>-mig-<profile name>-<profile number>-<placement start>`; the name has no hyphen. */
const draSliceForm = /^gpu-(\d+)-mig-[^-]+-(\d+)-(\d+)$/;
/**
 * AMD's plugin names a GPU by its PCI address, a partition by its platform device, and time slices of
 * both by their numbers: ROCm/k8s-device-plugin, internal/pkg/amdgpu/amdgpu.go (`GetAMDGPUs`) and
 * plugin/timeslice.go.
 */
const amdForm = /^([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|amdgpu_xcp_\d+)(?:-slice-(\d+))?$/i;
/**
 * `gpu-<minor of the card>-<minor of the render node>`, of a GPU or of a partition:
 * ROCm/k8s-gpu-dra-driver, cmd/gpu-kubeletplugin/deviceinfo.go (`CanonicalName`).
 */
const amdDraForm = /^gpu-\d+-(\d+)$/;
/** What the plugin calls the devices of Tegra and WSL, which it cannot tell apart. */
const undividedNames = ["tegra", "all"];

/**
 * Reads an id as a device plugin gives it.
 *
 * @param resource The extended resource it was given under, such as `nvidia.com/gpu`.
 * @returns `undefined` when it is no accelerator's id in any known form.
 */
export function pluginDeviceRef(resource: string, id: string): DeviceRef | undefined {
  const [name = "", part] = id.split("::", 2);
  if (uuidForm.test(name)) return { by: "uuid", uuid: name, part };

  const [, parentUuid, gpuInstance, computeInstance] = oldSliceForm.exec(name) ?? [];
  if (parentUuid !== undefined) {
    const numbers = { gpuInstance: Number(gpuInstance), computeInstance: Number(computeInstance) };
    return { by: "instance", parentUuid, ...numbers, part };
  }
  const [, minor, instance, vgpu] = gkeForm.exec(name) ?? [];
  if (minor !== undefined)
    return {
      by: "minor",
      minor: Number(minor),
      gpuInstance: instance === undefined ? undefined : Number(instance),
      part: vgpu === undefined ? part : `vgpu${vgpu}`,
    };
  // Network cards have such ids too, so here the resource decides.
  const [, sysfsName, timeSlice] = resource.startsWith("amd.com/")
    ? (amdForm.exec(name) ?? [])
    : [];
  if (sysfsName !== undefined)
    return { by: "sysfs", sysfsName: sysfsName.toLowerCase(), part: timeSlice ?? part };
  if (resource.startsWith("nvidia.com/") && undividedNames.includes(name))
    return { by: "all", part };
  return undefined;
}

/** How the devices of a node are found by the names that their vendors' plugins give them. */
export type PluginIds = (resource: string, id: string) => DeviceRef | undefined;

export function pluginIdsOf(devices: readonly DeviceIdentity[]): PluginIds {
  const uuids = new Map<string, string[]>();
  const keyOf = ({ resource, id, endsInPart }: PluginId) =>
    [resource, endsInPart === true ? "part" : "whole", id].join("\n");
  for (const { uuid, pluginIds = [] } of devices)
    for (const one of pluginIds) {
      const key = keyOf(one);
      uuids.set(key, [...(uuids.get(key) ?? []), uuid]);
    }
  if (uuids.size === 0) return () => undefined;
  return (resource, id) => {
    const whole = uuids.get(keyOf({ resource, id }));
    if (whole !== undefined) return { by: "plugin", uuids: whole };
    const [, stem = "", part] = /^(.*?)(\d+)$/.exec(id) ?? [];
    const divided = uuids.get(keyOf({ resource, id: stem, endsInPart: true }));
    return divided && { by: "plugin", uuids: divided, part };
  };
}

/**
 * Reads a device name as a DRA driver gives it. NVIDIA's and AMD's drivers are known: other drivers
 * use the same names for other things.
 */
export function draDeviceRef(
  driver: string,
  device: string,
  shareId: string | undefined,
): DeviceRef | undefined {
  const part = shareId;
  if (driver === "gpu.amd.com") {
    const [, renderMinor] = amdDraForm.exec(device) ?? [];
    return renderMinor === undefined
      ? undefined
      : { by: "minor", minor: Number(renderMinor), part };
  }
  if (driver !== "gpu.nvidia.com") return undefined;
  const [, minor] = draGpuForm.exec(device) ?? [];
  if (minor !== undefined) return { by: "minor", minor: Number(minor), part };

  const [, ofMinor, profile, placementStart] = draSliceForm.exec(device) ?? [];
  if (ofMinor === undefined) return undefined;
  return {
    by: "placement",
    minor: Number(ofMinor),
    profile: Number(profile),
    placementStart: Number(placementStart),
    part,
  };
}
