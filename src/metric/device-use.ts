/**
 * What processes use of a device, and the parts that pods have of that.
 *
 * A part is of what all processes use together, so that the parts of all pods add up to no more than
 * what the device itself says, whichever of its readings they divide and over whatever time.
 *
 * @module
 */
import type { DeviceMetric } from "./catalogue.ts";
import type { Range, ReadingName } from "./reading.ts";

const percent = { least: 0, most: 100 };

/** What a driver tells of single processes. `memoryPercent` is time in which memory was moved. */
export const useRanges = {
  smPercent: percent,
  memoryPercent: percent,
  encoderPercent: percent,
  decoderPercent: percent,
  memoryUsedBytes: { least: 0, most: Number.MAX_SAFE_INTEGER },
} as const satisfies Record<string, Range>;

export type UseName = keyof typeof useRanges;
export const useNames = Object.keys(useRanges) as UseName[];

/** One process that has something of a device; what could not be read of it is absent. */
export type DeviceProcess = { readonly [Name in UseName]?: number } & {
  /** As the node's own kernel numbers it, outside of all containers. */
  readonly pid: number;
};

/**
 * The part of each pod that shares a device, from 0 to 1, by the pod's UID; a pod that is not in it has
 * no part. A use is absent where nobody knows whose it is, and where nobody uses any. What adds up to
 * less than 1 belongs to processes in no pod.
 */
export type UseShares = { readonly [Name in UseName]?: ReadonlyMap<string, number> };

/** Where it is not how busy a process keeps the SMs; `undefined`: of single processes nobody tells it. */
const usesByReading: { readonly [Name in ReadingName]?: UseName | undefined } = {
  memoryUsedBytes: "memoryUsedBytes",
  memoryUtilizationPercent: "memoryPercent",
  dramBandwidthPercent: "memoryPercent",
  encoderPercent: "encoderPercent",
  decoderPercent: "decoderPercent",
  jpegPercent: undefined,
  ofaPercent: undefined,
};

/** A pod's part of a metric of a device that it shares. */
export interface DevicePart {
  /** From 0 to 1. */
  readonly part: number;
  /** By what its own processes use; else the parts of all holders are equal. */
  readonly isAttributed: boolean;
}

/**
 * @param sharedBy How many pods hold the device.
 * @param podUid Absent where it is not known.
 */
export function devicePart(
  { needs: [need] }: Pick<DeviceMetric, "needs">,
  uses: UseShares | undefined,
  sharedBy: number,
  podUid: string | undefined,
): DevicePart {
  const name = need !== undefined && need in usesByReading ? usesByReading[need] : "smPercent";
  const shares = name && uses?.[name];
  return shares === undefined || podUid === undefined
    ? { part: 1 / sharedBy, isAttributed: false }
    : { part: shares.get(podUid) ?? 0, isAttributed: true };
}
