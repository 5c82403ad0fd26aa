import type { Absences, Readings } from "./reading.ts";

export interface DeviceIdentity {
  /** The vendor's stable id (`GPU-…`, `amd-…`), which survives a reboot; a PCI address without one. */
  readonly uuid: string;
  /** Position in the driver's list now; it may change when a device comes or goes. */
  readonly index: number;
  readonly vendor: string;
  /** The vendor's product name. */
  readonly model: string;
  /** `/dev/nvidia<minor>`, of AMD `/dev/dri/renderD<minor>`; not the index. */
  readonly minor?: number | undefined;
  /** `0000:3b:00.0`, as sysfs writes it. */
  readonly pciBusId?: string | undefined;
  /** The whole GPU that a slice (MIG) or a partition (AMD) is part of. */
  readonly parentUuid?: string | undefined;
  readonly slice?: MigSlice | undefined;
  /** How device plugins name it to the kubelet, where that is none of the forms that are known. */
  readonly pluginIds?: readonly PluginId[] | undefined;
  /** Of an AMD partition, the name of its device in sysfs: `amdgpu_xcp_3`, of the first the GPU's address. */
  readonly partitionName?: string | undefined;
  /** An AMD GPU that is cut into partitions, the first of which has the names of the whole. */
  readonly isPartitioned?: true | undefined;
}

/** What a device plugin calls a device when it gives it to a container. */
export interface PluginId {
  /** The extended resource, as in `habana.ai/gaudi`. */
  readonly resource: string;
  /** The whole id; of one that ends in the number of a part, what stands before that. */
  readonly id: string;
  readonly endsInPart?: true | undefined;
}

/** A container as an exporter names it in labels. */
export interface NamedHolder {
  readonly namespace: string;
  readonly pod: string;
  /** Empty where the exporter names the pod alone. */
  readonly container: string;
}

/** A MIG slice as the driver numbers it on its GPU: some device plugins name slices by these. */
export interface MigSlice {
  readonly gpuInstance: number;
  readonly computeInstance: number;
  /** The profile's number and the first memory slice it lies on; drivers before R470 say neither. */
  readonly profile?: number | undefined;
  readonly placementStart?: number | undefined;
}

/** `reason` is for people: what the driver said, and what to do. */
export type DeviceHealth =
  | { readonly state: "ok" }
  | { readonly state: "lost" | "reset-required" | "failing"; readonly reason: string };

export const conditionKinds = [
  "xid-hardware",
  "xid-application",
  "ecc-uncorrected",
  "row-remap-pending",
  "row-remap-failed",
  "recovery-action",
  "thermal-slowdown",
  "hardware-slowdown",
  "power-brake",
] as const;
export type ConditionKind = (typeof conditionKinds)[number];

/**
 * What a person should know of a device. Readings stand beside it: what makes them worthless is its
 * health.
 */
export interface DeviceCondition {
  readonly kind: ConditionKind;
  /** For people: what the driver said, and what to do. */
  readonly detail: string;
}

/** An application's fault, or one of the GPU, its links or its driver. */
export type XidKind = "hardware" | "application";

/** How often NVIDIA's driver reported an error of one number since the process started. */
export interface XidCount {
  readonly xid: number;
  readonly kind: XidKind;
  readonly count: number;
}

/** One device at one instant. Every reading is either in `readings` or in `absences`. */
export interface DeviceSample extends DeviceIdentity {
  readonly health: DeviceHealth;
  /** At most one of a kind; empty where the vendor tells none. */
  readonly conditions: readonly DeviceCondition[];
  /** Of a whole GPU, in the process that reads it; absent where there were none. */
  readonly xidCounts?: readonly XidCount[] | undefined;
  readonly readings: Readings;
  readonly absences: Absences;
  /** Who holds it as its exporter says, which counts where the kubelet's list cannot tell. */
  readonly namedHolders?: readonly NamedHolder[] | undefined;
}
