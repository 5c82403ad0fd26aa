/**
 * What is known of all nodes, and since when what is not known has been missing.
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
import { type Absences, costlyReadings, type ReadingName } from "#metric/reading.ts";
import { type DeviceSince, deviceSince } from "#metric/since.ts";
import { type ValueWindow, valueWindow } from "#metric/window.ts";
import type { NodeReport, ReportedDevice } from "#telemetry/report.ts";
import { hasSameHolders } from "./pod-device-use.ts";
import type { FleetDevice, FleetNode, FleetStore, FleetView, UnavailableAgent } from "./view.ts";

/** A window whose mean nobody read in the time of the longest window is dropped. */
const unreadWindowMs = windowSecondsMax * 1000;

/** The windows of one device, kept for the metrics whose mean is read. */
type DeviceWindows = Map<MetricName, { values: ValueWindow; readAtMs: number }>;

export interface FleetStoreOptions {
  readonly clock: Clock;
  /** Which costly readings are demanded of the agents now; absent: all. */
  readonly demanded?: (() => readonly ReadingName[]) | undefined;
}

export function fleetStore({ clock, demanded }: FleetStoreOptions): FleetStore {
  const nodes = new Map<string, FleetNode>();
  /** By node and by device. */
  const windows = new Map<string, Map<string, DeviceWindows>>();
  const changes = listeners();
  let unavailable: readonly UnavailableAgent[] = [];

  const view: FleetView = {
    nodes,
    get unavailable() {
      return unavailable;
    },
    average: (device, metric, windowMs) => {
      const node = nodes.get(device.node);
      if (node === undefined) return undefined;
      const ofNode = getOrCreate(windows, node.name, () => new Map<string, DeviceWindows>());
      const ofDevice = getOrCreate(ofNode, device.uuid, (): DeviceWindows => new Map());
      const readAtMs = clock.monotonicMs();
      const window = getOrCreate(ofDevice, metric, () => {
        const values = valueWindow();
        extend(values, metric, device, node);
        return { values, readAtMs };
      });
      window.readAtMs = readAtMs;
      return window.values.mean(windowMs);
    },
  };

  return {
    put: (report) => {
      const nowMs = clock.monotonicMs();
      const earlier = nodes.get(report.name);
      const node = nodeOf(report, earlier, nowMs, demanded?.());
      if (node === undefined) return;
      nodes.set(node.name, node);
      const ofNode = windows.get(node.name);
      if (ofNode !== undefined) extendAll(ofNode, node, earlier, nowMs);
      changes.notify();
    },
    remove: (nodeName) => {
      windows.delete(nodeName);
      if (nodes.delete(nodeName)) changes.notify();
    },
    setUnavailable: (agents) => {
      unavailable = agents;
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
  demanded: readonly ReadingName[] | undefined,
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
    const before = sinceBefore(device, known.get(device.uuid), report, nowMs);
    const { unwell, absent } = deviceSince(device, before, sampledAtMs);
    const absentSinceMs = withUndemanded(absent, device.absences, sampledAtMs, demanded);
    return { ...device, node: name, sampledAtMs, absentSinceMs, unwellSinceMs: unwell };
  });
  return {
    name,
    sampleIntervalMs,
    sampledAtMs,
    devices,
    holdersAtMs: report.holdersAgeMs === undefined ? undefined : nowMs - report.holdersAgeMs,
    driverVersion,
    libraryVersion,
  };
}

/** What this process saw itself; of a device that is new to it, what the agent has seen. */
function sinceBefore(
  { uuid, absences }: ReportedDevice,
  before: FleetDevice | undefined,
  { lackingAges }: NodeReport,
  nowMs: number,
): DeviceSince | undefined {
  if (before !== undefined) return { unwell: before.unwellSinceMs, absent: before.absentSinceMs };
  const ages = lackingAges?.get(uuid);
  if (ages === undefined) return undefined;
  const absent = Object.entries(ages.absent)
    // The agent was perhaps never told to read it, and is from now on.
    .filter(([name]) => absences[name as ReadingName] !== "pending")
    .map(([name, ageMs]) => [name, nowMs - ageMs]);
  const unwell = ages.unwell === undefined ? undefined : nowMs - ages.unwell;
  return { unwell, absent: Object.fromEntries(absent) };
}

/** Costly readings that no agent was told to take are pending since now: nobody waits for them yet. */
function withUndemanded(
  absentSinceMs: FleetDevice["absentSinceMs"],
  absences: Absences,
  sampledAtMs: number,
  demanded: readonly ReadingName[] | undefined,
): FleetDevice["absentSinceMs"] {
  let since = absentSinceMs;
  for (const name of costlyReadings)
    if (absences[name] === "pending" && demanded?.includes(name) === false)
      since = { ...since, [name]: sampledAtMs };
  return since;
}

/** Adds the new sample to every window of a node, and drops those that nobody reads any more. */
function extendAll(
  ofNode: Map<string, DeviceWindows>,
  node: FleetNode,
  earlier: FleetNode | undefined,
  nowMs: number,
): void {
  const devices = new Map(node.devices.map((device) => [device.uuid, device]));
  const before = new Map(earlier?.devices.map((device) => [device.uuid, device]));
  for (const [uuid, ofDevice] of ofNode) {
    const device = devices.get(uuid);
    if (device === undefined) {
      ofNode.delete(uuid);
      continue;
    }
    // A device that changed hands starts again, and with this sample in every process: its past is the
    // load of somebody else.
    const changedHands = !hasSameHolders(device.holders, before.get(uuid)?.holders);
    for (const [metric, window] of ofDevice) {
      if (nowMs - window.readAtMs > unreadWindowMs) {
        ofDevice.delete(metric);
        continue;
      }
      if (changedHands) window.values = valueWindow();
      extend(window.values, metric, device, node);
    }
    if (ofDevice.size === 0) ofNode.delete(uuid);
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

function getOrCreate<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
