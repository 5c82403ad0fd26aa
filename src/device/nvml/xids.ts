/**
 * The XIDs of each GPU: the newest, and how many there were since the process started.
 *
 * It outlives a driver session, because the error that ends one is the one to remember.
 *
 * Source: the XIDs that NVIDIA's device plugin takes for an application's fault,
 * NVIDIA/k8s-device-plugin, internal/rm/health.go; every other one is taken for the hardware's.
 *
 * @module
 */
import { setNewest } from "#core/bounded-map.ts";
import { xidApplicationMs, xidDevicesMax, xidHardwareMs, xidsTrackedMax } from "#core/limits.ts";
import type { XidCount, XidKind } from "#metric/sample.ts";
import type { XidEvent } from "./events.ts";

const applicationXids: ReadonlySet<number> = new Set([13, 31, 43, 45, 68, 109]);

export function xidKind(xid: number): XidKind {
  return applicationXids.has(xid) ? "application" : "hardware";
}

/** An XID that is still worth telling. */
export interface RecentXid {
  readonly xid: number;
  readonly gpuInstance: number | undefined;
  readonly atMs: number;
}

export interface XidHistory {
  readonly note: (event: XidEvent, atMs: number) => void;
  /** Of one GPU and kind, by number; each once for each place where it happened. */
  readonly recent: (uuid: string, kind: XidKind, nowMs: number) => readonly RecentXid[];
  /** Of one GPU, by number; the same array until there is another event. */
  readonly counts: (uuid: string) => readonly XidCount[] | undefined;
}

interface DeviceXids {
  /** The last of each number and place. */
  readonly last: Map<string, RecentXid>;
  readonly totals: Map<number, number>;
  counts: readonly XidCount[];
}

const none: readonly RecentXid[] = [];
const lifetimesMs: Readonly<Record<XidKind, number>> = {
  hardware: xidHardwareMs,
  application: xidApplicationMs,
};

export function xidHistory(): XidHistory {
  const devices = new Map<string, DeviceXids>();
  return {
    note: ({ uuid, xid, gpuInstance }, atMs) => {
      const device = devices.get(uuid) ?? { last: new Map(), totals: new Map(), counts: [] };
      const { last, totals } = device;
      setNewest(last, `${xid} ${gpuInstance}`, { xid, gpuInstance, atMs }, xidsTrackedMax);
      setNewest(totals, xid, (totals.get(xid) ?? 0) + 1, xidsTrackedMax);
      device.counts = [...totals]
        .sort(([one], [other]) => one - other)
        .map(([number, count]) => ({ xid: number, kind: xidKind(number), count }));
      setNewest(devices, uuid, device, xidDevicesMax);
    },
    recent: (uuid, kind, nowMs) => {
      const device = devices.get(uuid);
      if (device === undefined) return none;
      return [...device.last.values()]
        .filter(({ xid, atMs }) => xidKind(xid) === kind && nowMs - atMs < lifetimesMs[kind])
        .sort((one, other) => one.xid - other.xid);
    },
    counts: (uuid) => devices.get(uuid)?.counts,
  };
}
