/**
 * One node's reports: what was read of its devices, and which containers hold them.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import type { Collection } from "#device/collector.ts";
import type { NamedHolder } from "#metric/sample.ts";
import { type DeviceSince, deviceSince } from "#metric/since.ts";
import type { Holder, NodeReport } from "#telemetry/report.ts";
import {
  type Attribution,
  attribute,
  type OrderedAllocation,
  orderAllocations,
} from "./attribution.ts";
import type { PodResources } from "./pod-resources.ts";

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
  readonly close: () => void;
}

export interface NodeReportsOptions {
  readonly name: string;
  readonly sampleIntervalMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Left out on a machine without a kubelet: no device has a holder then. */
  readonly podResources?: PodResources | undefined;
}

interface Sampled {
  readonly collection: Collection;
  readonly sampledAtMs: number;
}

/** Keeps the newest collection joined with the newest allocations. */
export function nodeReports(options: NodeReportsOptions): NodeReports {
  const { name, sampleIntervalMs, clock, log, podResources } = options;
  const changes = listeners();
  let newest: Sampled | undefined;
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

  /** Without a kubelet to ask, what exporters name is as old as their readings. */
  const holdersAgeMs = ({ collection, sampledAtMs }: Sampled, nowMs: number) => {
    const namedAtMs = collection.devices.some(({ namedHolders }) => namedHolders !== undefined)
      ? sampledAtMs
      : undefined;
    const atMs = podResources === undefined ? namedAtMs : podResources.latest()?.readAtMs;
    return atMs === undefined ? undefined : nowMs - atMs;
  };

  return {
    put: (collection, sampledAtMs) => {
      newest = { collection, sampledAtMs };
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
        holdersAgeMs: holdersAgeMs(newest, nowMs),
        ...newest.collection,
        devices: newest.collection.devices.map(({ pluginIds, namedHolders, ...device }) => ({
          ...device,
          holders:
            attribution?.holders.get(device.uuid) ??
            (attribution === undefined || pluginIds === undefined ? shared(namedHolders) : []),
        })),
        lackingAges: new Map([...since].map(([uuid, times]) => [uuid, agesOf(times, nowMs)])),
      };
    },
    subscribe: changes.subscribe,
    close: () => stopFollowing?.(),
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
  const names = devices.map(({ uuid, minor, parentUuid, slice, pluginIds = [] }) =>
    [
      ...[uuid, minor, parentUuid, ...Object.values(slice ?? {})],
      ...pluginIds.map(({ resource, id }) => `${resource}/${id}`),
    ].join(","),
  );
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
