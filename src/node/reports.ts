/**
 * One node's truth: what was read of its devices, and who holds them.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import type { Collection } from "#device/collector.ts";
import type { Holder, NodeReport } from "#telemetry/report.ts";
import { type Attribution, attribute, type RankedClaim, rankClaims } from "./attribution.ts";
import type { PodResources } from "./pod-resources.ts";

interface NodeReportFacts {
  readonly name: string;
  readonly sampleIntervalMs: number;
  readonly collection: Collection;
  readonly ageMs: number;
  readonly holders: ReadonlyMap<string, readonly Holder[]>;
  /** Left out when the kubelet has never answered. */
  readonly holdersAgeMs?: number;
}

/** Puts holders to devices. */
function nodeReport({ collection, holders, ...facts }: NodeReportFacts): NodeReport {
  const devices = collection.devices.map((device) => ({
    ...device,
    holders: holders.get(device.uuid) ?? [],
  }));
  return { ...facts, ...collection, devices };
}

/** Where the newest report can be had. */
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

/** Keeps the newest collection joined with the newest allocations. */
export function nodeReports(options: NodeReportsOptions): NodeReports {
  const { name, sampleIntervalMs, clock, log, podResources } = options;
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of [...listeners]) listener();
  };
  let newest: { readonly collection: Collection; readonly sampledAtMs: number } | undefined;
  let deviceSet = "";
  let claims: readonly RankedClaim[] = [];
  let attribution: Attribution | undefined;

  const join = () => {
    attribution = newest && podResources && attribute(newest.collection.devices, claims);
    if (attribution !== undefined) logOddities(attribution, log);
  };
  const stopFollowing = podResources?.subscribe(() => {
    claims = rankClaims(claims, podResources.latest()?.claims ?? []);
    join();
    if (newest !== undefined) tell();
  });

  return {
    put: (collection, sampledAtMs) => {
      newest = { collection, sampledAtMs };
      const nowSet = devicesKey(collection);
      if (nowSet !== deviceSet) {
        deviceSet = nowSet;
        join();
        podResources?.refresh();
      }
      tell();
    },
    latest: () => {
      if (newest === undefined) return undefined;
      const nowMs = clock.monotonicMs();
      const readAtMs = podResources?.latest()?.readAtMs;
      return nodeReport({
        name,
        sampleIntervalMs,
        collection: newest.collection,
        ageMs: nowMs - newest.sampledAtMs,
        holders: attribution?.holders ?? new Map(),
        ...(readAtMs === undefined ? {} : { holdersAgeMs: nowMs - readAtMs }),
      });
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => stopFollowing?.(),
  };
}

/** Which devices there are and what names them; another text means that ids must be joined anew. */
function devicesKey({ session, devices }: Collection): string {
  const names = devices.map(({ uuid, minor, parentUuid, slice }) =>
    [uuid, minor, parentUuid, ...Object.values(slice ?? {})].join(","),
  );
  return [session, ...names].join(";");
}

function logOddities({ unmatchedIds, superseded }: Attribution, log: Log): void {
  if (unmatchedIds.length > 0)
    log("warn", "pods hold devices that the driver does not list", { ids: unmatchedIds });
  if (superseded.length > 0)
    log("info", "pods still listed by the kubelet lost their device to a later pod", {
      pods: superseded,
    });
}
