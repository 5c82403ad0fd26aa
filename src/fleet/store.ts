/**
 * What is known of all nodes, and since when the unknown is unknown.
 *
 * One writer a node and many readers, all on one thread, so no lock. A put touches its own node
 * alone, and the view is the store itself: it shows what is known when it is read.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { staleAfterMs, windowSecondsMax } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import type { Absences, ReadingName } from "#metric/reading.ts";
import { type ValueWindow, valueWindow } from "#metric/window.ts";
import type { Holder, NodeReport } from "#telemetry/report.ts";
import type { FleetDevice, FleetNode, FleetStore, FleetView, SilentAgent } from "./view.ts";

/** A past that nobody asked for in the time of the longest window is let go. */
const unaskedMsMax = windowSecondsMax * 1000;

/** The past of one device, kept for the metrics that somebody wants a mean of. */
type Past = Map<MetricName, { readonly values: ValueWindow; askedAtMs: number }>;

export function fleetStore({ clock }: { readonly clock: Clock }): FleetStore {
  const nodes = new Map<string, FleetNode>();
  const pasts = new Map<string, Map<string, Past>>();
  const changes = listeners();
  let silent: readonly SilentAgent[] = [];

  const view: FleetView = {
    nodes,
    get silent() {
      return silent;
    },
    average: (device, metric, windowMs) => {
      const node = nodes.get(device.node);
      if (node === undefined) return undefined;
      const ofNode = entry(pasts, node.name, () => new Map<string, Past>());
      const past = entry(ofNode, device.uuid, (): Past => new Map());
      const askedAtMs = clock.monotonicMs();
      const kept = entry(past, metric, () => {
        const values = valueWindow();
        extend(values, metric, device, node);
        return { values, askedAtMs };
      });
      kept.askedAtMs = askedAtMs;
      return kept.values.mean(windowMs);
    },
  };

  return {
    put: (report) => {
      const nowMs = clock.monotonicMs();
      const earlier = nodes.get(report.name);
      const node = nodeOf(report, earlier, nowMs);
      if (node === undefined) return;
      nodes.set(node.name, node);
      const ofNode = pasts.get(node.name);
      if (ofNode !== undefined) keepPasts(ofNode, node, earlier, nowMs);
      changes.notify();
    },
    remove: (nodeName) => {
      pasts.delete(nodeName);
      if (nodes.delete(nodeName)) changes.notify();
    },
    silent: (agents) => {
      silent = agents;
      changes.notify();
    },
    view: () => view,
    subscribe: changes.subscribe,
  };
}

/** @returns `undefined` for a report that is older than what is known. */
function nodeOf(
  report: NodeReport,
  earlier: FleetNode | undefined,
  nowMs: number,
): FleetNode | undefined {
  const { name, sampleIntervalMs, driverVersion, libraryVersion } = report;
  const reportedMs = nowMs - Math.max(report.ageMs, 0);
  const earlierMs = earlier?.sampledAtMs ?? Number.NEGATIVE_INFINITY;
  // The same sample may come again with new holders, and the network adds its own delay to the age:
  // half an interval tells it from the sample before.
  if (reportedMs < earlierMs - sampleIntervalMs / 2) return undefined;
  const sampledAtMs = Math.max(reportedMs, earlierMs);
  const known = new Map(earlier?.devices.map((device) => [device.uuid, device]));
  const devices = report.devices.map((device): FleetDevice => {
    const before = known.get(device.uuid);
    return {
      ...device,
      node: name,
      sampledAtMs,
      absentSinceMs: absentSince(device.absences, before, sampledAtMs),
      ...(device.health.state !== "ok" && {
        unwellSinceMs: before?.unwellSinceMs ?? sampledAtMs,
      }),
    };
  });
  return {
    name,
    sampleIntervalMs,
    sampledAtMs,
    devices,
    ...(report.holdersAgeMs !== undefined && { holdersAtMs: nowMs - report.holdersAgeMs }),
    ...(driverVersion !== undefined && { driverVersion }),
    ...(libraryVersion !== undefined && { libraryVersion }),
  };
}

function absentSince(
  absences: Absences,
  before: FleetDevice | undefined,
  sampledAtMs: number,
): FleetDevice["absentSinceMs"] {
  const since: { [Name in ReadingName]?: number } = {};
  for (const name of Object.keys(absences) as ReadingName[])
    since[name] = before?.absentSinceMs[name] ?? sampledAtMs;
  return since;
}

/** Adds the new sample to every past, and lets go of those that nobody needs any more. */
function keepPasts(
  ofNode: Map<string, Past>,
  node: FleetNode,
  earlier: FleetNode | undefined,
  nowMs: number,
): void {
  const devices = new Map(node.devices.map((device) => [device.uuid, device]));
  const before = new Map(earlier?.devices.map((device) => [device.uuid, device]));
  for (const [uuid, past] of ofNode) {
    const device = devices.get(uuid);
    // A device that changed hands starts anew: its past is the load of somebody else.
    if (device === undefined || !hasSameHolders(device.holders, before.get(uuid)?.holders)) {
      ofNode.delete(uuid);
      continue;
    }
    for (const [metric, { values, askedAtMs }] of past) {
      if (nowMs - askedAtMs > unaskedMsMax) past.delete(metric);
      else extend(values, metric, device, node);
    }
    if (past.size === 0) ofNode.delete(uuid);
  }
}

function extend(
  values: ValueWindow,
  metric: MetricName,
  device: FleetDevice,
  node: FleetNode,
): void {
  const row = metricOf(metric);
  const value = row.source === "device" ? row.of(device.readings) : undefined;
  values.push(device.sampledAtMs, value, staleAfterMs(node.sampleIntervalMs));
}

function hasSameHolders(holders: readonly Holder[], before: readonly Holder[] = []): boolean {
  return namesOf(holders) === namesOf(before);
}

function namesOf(holders: readonly Holder[]): string {
  return holders
    .map(({ namespace, pod, container }) => `${namespace}/${pod}/${container}`)
    .sort()
    .join();
}

function entry<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
