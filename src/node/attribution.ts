/**
 * Which containers hold which device: the kubelet's claims joined with the driver's devices.
 *
 * The kubelet may still list pods that have ended, without saying so. A device that is not shared
 * goes to a second pod only after the first gave it back, so of two pods the one whose claim was
 * seen first loses. When both were there at the first look, the later in the kubelet's list wins,
 * for want of anything better.
 *
 * @module
 */

import type { DeviceIdentity } from "#metric/sample.ts";
import type { Holder } from "#telemetry/report.ts";
import { type DeviceRef, draDeviceRef, pluginDeviceRef } from "./device-id.ts";
import type { DeviceClaim } from "./pod-resources.ts";

/** A claim and when it was first seen, as a number that only grows. */
export interface RankedClaim extends DeviceClaim {
  readonly rank: number;
}

export interface Attribution {
  /** By the device's uuid; a device that nobody holds is not in it. */
  readonly holders: ReadonlyMap<string, readonly Holder[]>;
  /** Ids in a known form that fit no device of this node. */
  readonly unmatchedIds: readonly string[];
  /** How many claims are of things that are no accelerators, or are in no known form. */
  readonly foreignIds: number;
  /** `namespace/pod` of the pods that lost a device to a later one. */
  readonly superseded: readonly string[];
}

/** Gives each claim the rank that it had, or the next ones in the order of the list. */
export function rankClaims(
  earlier: readonly RankedClaim[],
  claims: readonly DeviceClaim[],
): readonly RankedClaim[] {
  const known = new Map(earlier.map((claim) => [claimKey(claim), claim.rank]));
  let newest = earlier.reduce((most, { rank }) => Math.max(most, rank), 0);
  return claims.map((claim) => {
    const rank = known.get(claimKey(claim)) ?? ++newest;
    return { ...claim, rank };
  });
}

/** A claim on one device, and how the device is divided. */
interface Stake {
  readonly claim: RankedClaim;
  /** The part, when the device is divided into parts that can be told apart. */
  readonly part?: string;
  readonly shared: boolean;
}

export function attribute(
  devices: readonly DeviceIdentity[],
  claims: readonly RankedClaim[],
): Attribution {
  const stakes = new Map<string, Stake[]>();
  const unmatchedIds: string[] = [];
  let foreignIds = 0;
  for (const claim of claims) {
    const ref = deviceRef(claim);
    if (ref === undefined) {
      foreignIds += 1;
      continue;
    }
    const meant = devicesMeant(ref, devices);
    if (meant.length === 0) unmatchedIds.push(claim.id);
    for (const { uuid } of meant)
      stakes.set(uuid, [...(stakes.get(uuid) ?? []), stakeOf(claim, ref)]);
  }

  const holders = new Map<string, readonly Holder[]>();
  const superseded = new Set<string>();
  for (const [uuid, all] of stakes) {
    const valid = validStakes(all);
    holders.set(uuid, holdersOf(valid));
    for (const stake of all) if (!valid.includes(stake)) superseded.add(podKey(stake.claim));
  }
  return { holders, unmatchedIds, foreignIds, superseded: [...superseded] };
}

function deviceRef({ resource, id, resourceClaim, shareId }: DeviceClaim): DeviceRef | undefined {
  return resourceClaim === undefined
    ? pluginDeviceRef(resource, id)
    : draDeviceRef(resource, id, shareId);
}

function stakeOf(claim: RankedClaim, { part }: DeviceRef): Stake {
  const shared = part !== undefined || claim.resource.endsWith(".shared");
  return { claim, shared, ...(part === undefined ? {} : { part }) };
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

/** Leaves out the claims that another pod's newer claim shows to be over. */
function validStakes(stakes: readonly Stake[]): readonly Stake[] {
  const newest = newestOf(stakes);
  if (newest === undefined) return [];
  if (!newest.shared)
    return stakes.filter(({ shared, claim }) => !shared && sameOwner(claim, newest.claim));
  return stakes.filter((stake) => {
    if (!stake.shared) return false;
    if (stake.part === undefined) return true;
    const rivals = stakes.filter(({ shared, part }) => shared && part === stake.part);
    return sameOwner(stake.claim, newestOf(rivals)?.claim ?? stake.claim);
  });
}

function newestOf(stakes: readonly Stake[]): Stake | undefined {
  return stakes.reduce<Stake | undefined>(
    (best, stake) => (best && best.claim.rank > stake.claim.rank ? best : stake),
    undefined,
  );
}

/** One pod, or several pods that came by one ResourceClaim. */
function sameOwner(one: DeviceClaim, other: DeviceClaim): boolean {
  return one.resourceClaim === undefined || other.resourceClaim === undefined
    ? podKey(one) === podKey(other)
    : one.resourceClaim === other.resourceClaim;
}

function holdersOf(stakes: readonly Stake[]): readonly Holder[] {
  const pods = new Set(stakes.map(({ claim }) => podKey(claim))).size;
  const isShared = pods > 1 || stakes.some(({ shared }) => shared);
  const holders = new Map<string, Holder>();
  for (const { claim } of stakes) {
    const { namespace, pod, container } = claim;
    const holder = { namespace, pod, container, ...(isShared ? { sharedBy: pods } : {}) };
    holders.set(`${podKey(claim)}/${container}`, holder);
  }
  return [...holders.values()];
}

function podKey({ namespace, pod }: DeviceClaim): string {
  return `${namespace}/${pod}`;
}

function claimKey(claim: DeviceClaim): string {
  const { container, resource, id, resourceClaim = "", shareId = "" } = claim;
  return [podKey(claim), container, resource, id, resourceClaim, shareId].join("\n");
}
