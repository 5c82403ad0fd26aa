/**
 * Which containers hold which device: the kubelet's allocations joined with the driver's devices.
 *
 * The kubelet may still list pods that have ended, without saying so. A device that is not shared
 * goes to a second pod only after the first gave it back, so of two pods the one whose allocation
 * was listed first loses. When the first list had both, the later one in it wins, for want of
 * anything better.
 *
 * @module
 */
import type { DeviceIdentity } from "#metric/sample.ts";
import type { Holder } from "#telemetry/report.ts";
import { type DeviceRef, draDeviceRef, pluginDeviceRef } from "./device-id.ts";
import type { DeviceAllocation } from "./pod-resources.ts";

/** An allocation, and the place of its first listing in the order of all. */
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

/** Gives each allocation the order that it had, or the next ones in the order of the list. */
export function orderAllocations(
  earlier: readonly OrderedAllocation[],
  listed: readonly DeviceAllocation[],
): readonly OrderedAllocation[] {
  const known = new Map(earlier.map((one) => [allocationKey(one), one.order]));
  let newest = earlier.reduce((most, { order }) => Math.max(most, order), 0);
  return listed.map((one) => ({ ...one, order: known.get(allocationKey(one)) ?? ++newest }));
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
  for (const allocation of allocations) {
    const ref = deviceRef(allocation);
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

function deviceRef({
  resource,
  id,
  resourceClaim,
  shareId,
}: DeviceAllocation): DeviceRef | undefined {
  return resourceClaim === undefined
    ? pluginDeviceRef(resource, id)
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
        ? devices.filter((device) => whole(device) && device.minor === ref.minor)
        : slicesOf(ref.minor).filter(({ slice }) => slice?.gpuInstance === ref.gpuInstance);
    case "placement":
      return slicesOf(ref.minor).filter(
        ({ slice }) =>
          slice?.profile === ref.profile && slice.placementStart === ref.placementStart,
      );
    case "all":
      return devices.filter(whole);
  }
}

/** Leaves out the uses that another pod's newer one shows to be over. */
function validUses(uses: readonly DeviceUse[]): readonly DeviceUse[] {
  const newest = newestOf(uses);
  if (newest === undefined) return [];
  if (!newest.shared) return uses.filter(({ shared, by }) => !shared && sameOwner(by, newest.by));
  return uses.filter((use) => {
    if (!use.shared) return false;
    if (use.part === undefined) return true;
    const ofPart = uses.filter(({ shared, part }) => shared && part === use.part);
    return sameOwner(use.by, newestOf(ofPart)?.by ?? use.by);
  });
}

function newestOf(uses: readonly DeviceUse[]): DeviceUse | undefined {
  return uses.reduce<DeviceUse | undefined>(
    (newest, use) => (newest && newest.by.order > use.by.order ? newest : use),
    undefined,
  );
}

/** One pod, or several pods that came by one ResourceClaim. */
function sameOwner(one: DeviceAllocation, other: DeviceAllocation): boolean {
  return one.resourceClaim === undefined || other.resourceClaim === undefined
    ? podKey(one) === podKey(other)
    : one.resourceClaim === other.resourceClaim;
}

function holdersOf(uses: readonly DeviceUse[]): readonly Holder[] {
  const pods = new Set(uses.map(({ by }) => podKey(by))).size;
  const isShared = pods > 1 || uses.some(({ shared }) => shared);
  const sharedBy = isShared ? pods : undefined;
  const holders = new Map<string, Holder>();
  for (const { by } of uses) {
    const { namespace, pod, container } = by;
    holders.set(`${podKey(by)}/${container}`, { namespace, pod, container, sharedBy });
  }
  return [...holders.values()];
}

function podKey({ namespace, pod }: DeviceAllocation): string {
  return `${namespace}/${pod}`;
}

function allocationKey(allocation: DeviceAllocation): string {
  const { container, resource, id, resourceClaim = "", shareId = "" } = allocation;
  return [podKey(allocation), container, resource, id, resourceClaim, shareId].join("\n");
}
