/**
 * One node's reports: what was read of its devices, and which containers hold them.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { listedNamesMax } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import type { CollectedDevice, Collection } from "#device/collector.ts";
import type { UseShares } from "#metric/device-use.ts";
import type { NamedHolder } from "#metric/sample.ts";
import { type DeviceSince, deviceSince } from "#metric/since.ts";
import type { Holder, NodeReport, ReportedDevice } from "#telemetry/report.ts";
import {
  type Attribution,
  attribute,
  type OrderedAllocation,
  orderAllocations,
} from "./attribution.ts";
import type { PodResources } from "./pod-resources.ts";
import type { OwnerOf } from "./process-owners.ts";
import { useShares } from "./use-shares.ts";

/** Gives the newest report. */
export interface ReportSource {
  /** With ages as of now; `undefined` before the first collection. */
  readonly latest: () => NodeReport | undefined;
  /** Runs `listener` after every change; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => () => void;
}

export interface NodeReports extends ReportSource {
  /** Takes what the devices gave, read at `sampledAtMs` on the monotonic clock. */
  readonly put: (collection: Collection, sampledAtMs: number) => void;
  /** UUIDs of the devices that several pods hold, in the order of the devices. */
  readonly sharedDevices: () => readonly string[];
  readonly close: () => void;
}

export interface NodeReportsOptions {
  readonly name: string;
  readonly sampleIntervalMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Left out on a machine without a kubelet: no device has a holder then. */
  readonly podResources?: PodResources | undefined;
  /** Left out where the uses of shared devices are not told apart. */
  readonly ownerOf?: OwnerOf | undefined;
}

interface Sampled {
  readonly collection: Collection;
  readonly sampledAtMs: number;
}

/** Keeps the newest collection joined with the newest allocations. */
export function nodeReports(options: NodeReportsOptions): NodeReports {
  const { name, sampleIntervalMs, clock, log, podResources } = options;
  const usesOf = deviceUses(options);
  const changes = listeners();
  let newest: Sampled | undefined;
  let uses: ReadonlyMap<string, UseShares> = new Map();
  let deviceSet = "";
  let since: ReadonlyMap<string, DeviceSince> = new Map();
  let allocations: readonly OrderedAllocation[] = [];
  let attribution: Attribution | undefined;

  const join = () => {
    attribution = newest && podResources && attribute(newest.collection.devices, allocations);
    if (attribution !== undefined) logDoubts(attribution, log);
  };
  const stopFollowing = podResources?.subscribe(() => {
    allocations = orderAllocations(allocations, podResources.latest()?.allocations ?? []);
    join();
    if (newest !== undefined) changes.notify();
  });

  return {
    put: (collection, sampledAtMs) => {
      newest = { collection, sampledAtMs };
      uses = usesOf(collection.devices);
      since = new Map(
        collection.devices.map((device) => [
          device.uuid,
          deviceSince(device, since.get(device.uuid), sampledAtMs),
        ]),
      );
      const nowSet = devicesKey(collection);
      if (nowSet !== deviceSet) {
        deviceSet = nowSet;
        join();
        podResources?.refresh();
      }
      changes.notify();
    },
    latest: () => {
      if (newest === undefined) return undefined;
      const nowMs = clock.monotonicMs();
      return {
        name,
        sampleIntervalMs,
        ageMs: nowMs - newest.sampledAtMs,
        holdersAgeMs: holdersAgeMs(newest, podResources, nowMs),
        ...newest.collection,
        devices: newest.collection.devices.map((device) => ({
          ...reported(device, attribution),
          uses: uses.get(device.uuid),
        })),
        lackingAges: new Map([...since].map(([uuid, times]) => [uuid, agesOf(times, nowMs)])),
      };
    },
    sharedDevices: () => {
      const devices = newest?.collection.devices ?? [];
      const isShared = ({ sharedBy = 1 }: Holder) => sharedBy > 1;
      return devices
        .map(({ uuid }) => uuid)
        .filter((uuid) => attribution?.holders.get(uuid)?.some(isShared));
    },
    subscribe: changes.subscribe,
    close: () => stopFollowing?.(),
  };
}

/** Without a kubelet to ask, what exporters name is as old as their readings. */
function holdersAgeMs(
  { collection, sampledAtMs }: Sampled,
  podResources: PodResources | undefined,
  nowMs: number,
): number | undefined {
  const namedAtMs = collection.devices.some(({ namedHolders }) => namedHolders !== undefined)
    ? sampledAtMs
    : undefined;
  const atMs = podResources === undefined ? namedAtMs : podResources.latest()?.readAtMs;
  return atMs === undefined ? undefined : nowMs - atMs;
}

/** A device with who holds it, without what stays on the node. */
function reported(
  { processes, pluginIds, namedHolders, ...device }: CollectedDevice,
  attribution: Attribution | undefined,
): ReportedDevice {
  const named = attribution === undefined || pluginIds === undefined ? shared(namedHolders) : [];
  return { ...device, holders: attribution?.holders.get(device.uuid) ?? named };
}

/** Says once when it cannot be told whose processes are, and once when it can again. */
function deviceUses({ ownerOf, log }: Pick<NodeReportsOptions, "ownerOf" | "log">) {
  let isDoubtful = false;
  return (devices: readonly CollectedDevice[]): ReadonlyMap<string, UseShares> => {
    if (ownerOf === undefined) return new Map();
    const unknown = new Set<number>();
    const known: OwnerOf = (pid) => {
      const owner = ownerOf(pid);
      if (owner === undefined) unknown.add(pid);
      return owner;
    };
    const uses = devices.flatMap(({ uuid, processes }) =>
      processes === undefined ? [] : [[uuid, useShares(processes, known)] as const],
    );
    if (unknown.size > 0 && !isDoubtful)
      log("warn", "processes of shared devices belong to nobody who is known", {
        pids: [...unknown].slice(0, listedNamesMax).join(", "),
        advice: "run the agent in the node's pid namespace (hostPID); their pods count equal parts",
      });
    if (unknown.size === 0 && isDoubtful)
      log("info", "processes of shared devices are known again");
    isDoubtful = unknown.size > 0;
    return new Map(uses);
  };
}

/** Of several pods each has a part: labels do not tell which. */
function shared(holders: readonly NamedHolder[] = []): readonly Holder[] {
  const pods = new Set(holders.map(({ namespace, pod }) => `${namespace}/${pod}`)).size;
  return pods > 1 ? holders.map((holder) => ({ ...holder, sharedBy: pods })) : holders;
}

function agesOf({ unwell, absent }: DeviceSince, nowMs: number): DeviceSince {
  const ages = Object.entries(absent).map(([name, sinceMs]) => [name, nowMs - sinceMs]);
  return {
    unwell: unwell === undefined ? undefined : nowMs - unwell,
    absent: Object.fromEntries(ages),
  };
}

/** Which devices there are and what names them; with another text, ids must be joined again. */
function devicesKey({ session, devices }: Collection): string {
  const names = devices.map((device) => {
    const { uuid, minor, parentUuid, partitionName, isPartitioned, slice = {} } = device;
    const { pluginIds = [] } = device;
    const names = [uuid, minor, parentUuid, partitionName, isPartitioned];
    const ids = pluginIds.map(({ resource, id }) => `${resource}/${id}`);
    return [...names, ...Object.values(slice), ...ids].join(",");
  });
  return [session, ...names].join(";");
}

function logDoubts({ unmatchedIds, superseded }: Attribution, log: Log): void {
  if (unmatchedIds.length > 0)
    log("warn", "pods hold devices that the driver does not list", { ids: unmatchedIds });
  if (superseded.length > 0)
    log("info", "pods still listed by the kubelet lost their device to a later pod", {
      pods: superseded,
    });
}
