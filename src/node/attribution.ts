/**
 * Which containers hold which device: the kubelet's allocations joined with the driver's devices.
 *
 * Before Kubernetes 1.34 the kubelet may still list pods that have ended, without saying so. A device
 * of a plugin that is not shared goes to a second pod only after the first gave it back, so of two pods
 * the one that was listed first loses. Of pods that appear in the same list, as at the first look, the
 * order says nothing, and all are named: whoever looks for a pod that runs finds it among them.
 *
 * A ResourceClaim is listed while it is prepared, so all that are listed hold. Of several claims on one
 * whole device all but one have `adminAccess`, for the scheduler gives it to no second claim otherwise.
 * The kubelet does not say which, so each claim counts as if it were alone: a monitor takes no device
 * from a workload and no part of one.
 *
 * @module
 */
import type { DeviceIdentity } from "#metric/sample.ts";
import type { Holder } from "#telemetry/report.ts";
import {
  type DeviceRef,
  draDeviceRef,
  type PluginIds,
  pluginDeviceRef,
  pluginIdsOf,
} from "./device-id.ts";
import type { DeviceAllocation } from "./pod-resources.ts";

/** An allocation, and which of all lists had it first. */
export interface OrderedAllocation extends DeviceAllocation {
  readonly order: number;
}

export interface Attribution {
  /** By the device's uuid; a device that nobody holds is not in it. */
  readonly holders: ReadonlyMap<string, readonly Holder[]>;
  /** Ids in a known form that fit no device of this node. */
  readonly unmatchedIds: readonly string[];
  /** How many ids are of things that are no accelerators, or are in no known form. */
  readonly foreignIds: number;
  /** `namespace/pod` of the pods that lost a device to a later one. */
  readonly superseded: readonly string[];
}

/** Gives each allocation the order that it had; those that are new have the next one together. */
export function orderAllocations(
  earlier: readonly OrderedAllocation[],
  listed: readonly DeviceAllocation[],
): readonly OrderedAllocation[] {
  const known = new Map(earlier.map((one) => [allocationKey(one), one.order]));
  const next = earlier.reduce((most, { order }) => Math.max(most, order), 0) + 1;
  return listed.map((one) => ({ ...one, order: known.get(allocationKey(one)) ?? next }));
}

/** One pod's use of one device. */
interface DeviceUse {
  readonly by: OrderedAllocation;
  /** The part, when the device is divided into parts that can be told apart. */
  readonly part?: string | undefined;
  readonly shared: boolean;
}

export function attribute(
  devices: readonly DeviceIdentity[],
  allocations: readonly OrderedAllocation[],
): Attribution {
  const usesByUuid = new Map<string, DeviceUse[]>();
  const unmatchedIds: string[] = [];
  let foreignIds = 0;
  const pluginIds = pluginIdsOf(devices);
  for (const allocation of allocations) {
    const ref = deviceRef(allocation, pluginIds);
    if (ref === undefined) {
      foreignIds += 1;
      continue;
    }
    const meant = devicesMeant(ref, devices);
    if (meant.length === 0) unmatchedIds.push(allocation.id);
    for (const { uuid } of meant)
      usesByUuid.set(uuid, [...(usesByUuid.get(uuid) ?? []), deviceUse(allocation, ref)]);
  }

  const holders = new Map<string, readonly Holder[]>();
  const superseded = new Set<string>();
  for (const [uuid, uses] of usesByUuid) {
    const valid = validUses(uses);
    holders.set(uuid, holdersOf(valid));
    for (const use of uses) if (!valid.includes(use)) superseded.add(podKey(use.by));
  }
  return { holders, unmatchedIds, foreignIds, superseded: [...superseded] };
}

function deviceRef(
  { resource, id, resourceClaim, shareId }: DeviceAllocation,
  pluginIds: PluginIds,
): DeviceRef | undefined {
  return resourceClaim === undefined
    ? (pluginIds(resource, id) ?? pluginDeviceRef(resource, id))
    : draDeviceRef(resource, id, shareId);
}

function deviceUse(by: OrderedAllocation, { part }: DeviceRef): DeviceUse {
  return { by, part, shared: part !== undefined || by.resource.endsWith(".shared") };
}

function devicesMeant(
  ref: DeviceRef,
  devices: readonly DeviceIdentity[],
): readonly DeviceIdentity[] {
  const whole = ({ parentUuid }: DeviceIdentity) => parentUuid === undefined;
  // Of AMD's partitions the first has the names of the whole, and what a pod has of it is no more.
  const isNamed = (device: DeviceIdentity) =>
    device.partitionName !== undefined || (whole(device) && device.isPartitioned === undefined);
  const slicesOf = (minor: number) => {
    const parent = devices.find((device) => whole(device) && device.minor === minor);
    return devices.filter(({ parentUuid }) => parent && parentUuid === parent.uuid);
  };
  switch (ref.by) {
    case "uuid":
      return devices.filter(({ uuid }) => uuid === ref.uuid);
    case "instance": {
      const { parentUuid, gpuInstance, computeInstance } = ref;
      // Drivers of that time report this very text as the slice's uuid.
      const oldUuid = `MIG-${parentUuid}/${gpuInstance}/${computeInstance}`;
      return devices.filter(
        (device) =>
          device.uuid === oldUuid ||
          (device.parentUuid === parentUuid &&
            device.slice?.gpuInstance === gpuInstance &&
            device.slice.computeInstance === computeInstance),
      );
    }
    case "minor":
      return ref.gpuInstance === undefined
        ? devices.filter((device) => isNamed(device) && device.minor === ref.minor)
        : slicesOf(ref.minor).filter(({ slice }) => slice?.gpuInstance === ref.gpuInstance);
    case "placement":
      return slicesOf(ref.minor).filter(
        ({ slice }) =>
          slice?.profile === ref.profile && slice.placementStart === ref.placementStart,
      );
    case "sysfs":
      return devices.filter((device) => {
        const { partitionName, pciBusId } = device;
        return isNamed(device) && (partitionName ?? pciBusId) === ref.sysfsName;
      });
    case "plugin":
      return devices.filter(({ uuid }) => ref.uuids.includes(uuid));
    case "all":
      return devices.filter(whole);
  }
}

/** Leaves out the uses that another pod's newer one shows to be over. */
function validUses(uses: readonly DeviceUse[]): readonly DeviceUse[] {
  const ofPlugin = uses.filter(({ by }) => by.resourceClaim === undefined);
  const isShared = newestOf(ofPlugin).some(({ shared }) => shared);
  return uses.filter(({ by, shared, part }) => {
    if (by.resourceClaim !== undefined) return true;
    if (shared !== isShared) return false;
    // Shared without parts that can be told apart: nobody takes another's place.
    if (isShared && part === undefined) return true;
    const rivals = ofPlugin.filter((use) => use.shared === isShared && use.part === part);
    return newestOf(rivals).some((use) => podKey(use.by) === podKey(by));
  });
}

/** All of the newest list that had any of them first. */
function newestOf(uses: readonly DeviceUse[]): readonly DeviceUse[] {
  const newest = Math.max(...uses.map(({ by }) => by.order));
  return uses.filter(({ by }) => by.order === newest);
}

function holdersOf(uses: readonly DeviceUse[]): readonly Holder[] {
  const holders = new Map<string, Holder>();
  for (const use of uses) {
    const { namespace, pod, container } = use.by;
    const key = `${podKey(use.by)}/${container}`;
    if (!holders.has(key))
      holders.set(key, { namespace, pod, container, sharedBy: sharedBy(use, uses) });
  }
  return [...holders.values()];
}

/** Among how many pods the device is divided, as one of its uses has it. */
function sharedBy({ by, shared }: DeviceUse, uses: readonly DeviceUse[]): number | undefined {
  const { resourceClaim } = by;
  if (!shared && resourceClaim === undefined) return undefined;
  const peers = uses.filter((use) =>
    shared ? use.shared : !use.shared && use.by.resourceClaim === resourceClaim,
  );
  // Of two pods that hold one part, one has ended: they count as one.
  const podOfPart = new Map(peers.map((use) => [use.part ?? podKey(use.by), podKey(use.by)]));
  const pods = new Set(podOfPart.values()).size;
  return shared || pods > 1 ? pods : undefined;
}

function podKey({ namespace, pod }: DeviceAllocation): string {
  return `${namespace}/${pod}`;
}

function allocationKey(allocation: DeviceAllocation): string {
  const { container, resource, id, resourceClaim = "", shareId = "" } = allocation;
  return [podKey(allocation), container, resource, id, resourceClaim, shareId].join("\n");
}
