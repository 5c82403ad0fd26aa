/**
 * What one device says of a metric, and whether its node can be read at all.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { pendingMostMs, staleAfterMs } from "#core/limits.ts";
import type { FleetDevice, FleetNode, FleetView } from "#fleet/view.ts";
import type { DeviceMetric } from "#metric/catalogue.ts";
import { instanceShare } from "#metric/instance-share.ts";
import { type Absence, costlyReadings, type ReadingName } from "#metric/reading.ts";
import { type DeviceShare, seconds } from "./explanation.ts";
import { type DeviceQuery, windowMsOf } from "./query.ts";

/** What one device says of one metric. */
export type DeviceResult = { readonly device: FleetDevice } & (
  | { readonly state: "known"; readonly value: number }
  /** It never has the metric in its present mode, so nobody waits for it. */
  | { readonly state: "unsupported"; readonly reason: string }
  /** Its slices or partitions have the metric and count in its place, or its GPU counts in that of all of them. */
  | { readonly state: "sliced"; readonly reason: string }
  /** It comes with the next sample. */
  | { readonly state: "pending"; readonly reason: string }
  /** It should be there, and is not. */
  | { readonly state: "missing"; readonly reason: string; readonly sinceMs: number }
);

/** Each device's result; a GPU that is cut into slices counts only where its slices cannot. */
export function deviceResults(
  devices: readonly FleetDevice[],
  query: DeviceQuery,
  view: FleetView,
): DeviceResult[] {
  const results = devices.map((device) => deviceResult(device, query, view));
  const placeOf = ({ node, uuid }: Pick<FleetDevice, "node" | "uuid">) => `${node} ${uuid}`;
  const wholeOf = ({ node, parentUuid = "" }: FleetDevice) => placeOf({ node, uuid: parentUuid });
  const having = results.filter(({ state }) => state !== "unsupported");
  // Shares of what the chip tells are only less than that: all of it is better known.
  const isCounted =
    query.row.instance === "share"
      ? notIn(new Set(having.map(({ device }) => placeOf(device))), wholeOf)
      : notIn(new Set(having.map(({ device }) => wholeOf(device))), placeOf);
  const reason =
    query.row.instance === "share"
      ? "its GPU counts in its place"
      : "its MIG slices or partitions count in its place";
  return results.map((result): DeviceResult => {
    const { device } = result;
    return isCounted(device) ? result : { device, state: "sliced", reason };
  });
}

function notIn(places: ReadonlySet<string>, of: (device: FleetDevice) => string) {
  return (device: FleetDevice) => !places.has(of(device));
}

function deviceResult(device: FleetDevice, query: DeviceQuery, view: FleetView): DeviceResult {
  const { metric, row } = query;
  const { health } = device;
  if (row.instance === "share" && device.parentUuid !== undefined)
    return sharedResult(device, query, view);
  const windowMs = windowMsOf(query);
  const newest = row.of(device.readings);
  if (newest !== undefined && health.state === "ok") {
    const mean = windowMs > 0 ? view.average(device, metric, windowMs) : undefined;
    return { device, state: "known", value: mean ?? newest };
  }
  const absent = absentReadingOf(device, row);
  if (absent?.absence === "unsupported")
    return { device, state: "unsupported", reason: `has no ${metric}` };
  if (health.state !== "ok") {
    const sinceMs = device.unwellSinceMs ?? device.sampledAtMs;
    return { device, state: "missing", sinceMs, reason: `${health.state}: ${health.reason}` };
  }
  assert(absent !== undefined, `a device without ${metric} lacks a reading that it needs`);
  const { absence, reading, sinceMs } = absent;
  if (absence !== "pending")
    return { device, state: "missing", sinceMs, reason: `${reading} is ${absence}` };
  const waitedMs = device.sampledAtMs - sinceMs;
  return waitedMs <= pendingMostMs
    ? { device, state: "pending", reason: `${reading} is pending` }
    : { device, state: "missing", sinceMs, reason: neverTaken(reading, device.node, waitedMs) };
}

/** What a MIG instance or partition has of what its GPU says. */
function sharedResult(device: FleetDevice, query: DeviceQuery, view: FleetView): DeviceResult {
  const { node, parentUuid } = device;
  const whole = view.nodes.get(node)?.devices.find(({ uuid }) => uuid === parentUuid);
  const missing = (reason: string, sinceMs = device.sampledAtMs): DeviceResult => ({
    device,
    state: "missing",
    sinceMs,
    reason,
  });
  if (whole === undefined) return missing(`its GPU ${parentUuid} is not listed`);
  const result = deviceResult(whole, query, view);
  if (result.state !== "known") return { ...result, device };
  const share = instanceShare(device.readings, whole.readings);
  if (share !== undefined) return { device, state: "known", value: result.value * share };
  const absent =
    absentReading(device, "memoryTotalBytes") ?? absentReading(whole, "memoryTotalBytes");
  if (absent?.absence === "unsupported")
    return { device, state: "unsupported", reason: `has no ${query.metric}` };
  const why = absent === undefined ? "" : `: ${absent.reading} is ${absent.absence}`;
  return missing(`its part of GPU ${parentUuid} is not known${why}`, absent?.sinceMs);
}

function neverTaken(reading: ReadingName, node: string, waitedMs: number): string {
  const what = `${reading} has not come in ${seconds(waitedMs)}, and the next sample should have had it`;
  return costlyReadings.has(reading)
    ? `${what}: the agent of node ${node} does not take what is demanded; update it`
    : `${what}; look into the log of the agent of node ${node}`;
}

interface AbsentReading {
  readonly absence: Absence;
  readonly reading: ReadingName;
  readonly sinceMs: number;
}

/** Worst first: what will never come decides over what may come. */
const severity = ["unsupported", "not-permitted", "failed", "implausible", "pending"] as const;
const rank = ({ absence }: AbsentReading) => severity.indexOf(absence);

/** Why a metric cannot be made of what a device has; `undefined` when it can. */
function absentReadingOf(device: FleetDevice, row: DeviceMetric): AbsentReading | undefined {
  const absent = row.needs.flatMap((need) => {
    const candidates = [need, ...(row.fallbacks?.[need] ?? [])];
    const absences = candidates.flatMap((name) => absentReading(device, name) ?? []);
    if (absences.length < candidates.length) return [];
    // Of several that would do, the one that may still come says why, and the latest one since when.
    const [likeliest] = absences.toSorted((one, other) => rank(other) - rank(one));
    const sinceMs = Math.max(...absences.map((one) => one.sinceMs));
    return likeliest === undefined ? [] : { ...likeliest, sinceMs };
  });
  const [worst] = absent.toSorted((one, other) => rank(one) - rank(other));
  return worst && { ...worst, sinceMs: Math.min(...absent.map(({ sinceMs }) => sinceMs)) };
}

function absentReading(device: FleetDevice, reading: ReadingName): AbsentReading | undefined {
  if (device.readings[reading] !== undefined) return undefined;
  return {
    reading,
    absence: device.absences[reading] ?? "failed",
    sinceMs: device.absentSinceMs[reading] ?? device.sampledAtMs,
  };
}

export function deviceShare(result: DeviceResult, nowMs: number): DeviceShare {
  const { node, uuid, index, sampledAtMs } = result.device;
  const identity = { node, uuid, index, ageMs: nowMs - sampledAtMs };
  return result.state === "known"
    ? { ...identity, value: result.value }
    : { ...identity, reason: result.reason };
}

/** A node's readings that are too old to be served. */
export interface Lateness {
  readonly ageMs: number;
  readonly limitMs: number;
}

/** @returns `undefined` for a node whose readings can be served. */
export function lateness(node: FleetNode, nowMs: number): Lateness | undefined {
  const ageMs = nowMs - node.sampledAtMs;
  const limitMs = staleAfterMs(node.sampleIntervalMs);
  return ageMs > limitMs ? { ageMs, limitMs } : undefined;
}

interface UnreadableNode {
  /** For people. */
  readonly problem: string;
  /** When it was last heard, or first known to be silent; absent where nobody knows of it. */
  readonly sinceMs: number | undefined;
}

/** A node whose readings can be served, or why there are none, for people. */
export function readableNode(
  name: string,
  view: FleetView,
  nowMs: number,
): { readonly node: FleetNode } | UnreadableNode {
  const node = view.nodes.get(name);
  const late = node && lateness(node, nowMs);
  if (node !== undefined && late === undefined) return { node };
  const silent = view.unavailable.find((agent) => agent.node === name);
  const why = silent ? `: agent ${silent.address} ${silent.reason}` : "";
  const problem =
    late === undefined
      ? `no agent reports node ${name}${why}`
      : `node ${name} was last read ${seconds(late.ageMs)} ago${why}`;
  return { problem, sinceMs: node?.sampledAtMs ?? silent?.sinceMs };
}

/** For people. */
export function deviceText({ index, uuid, model }: FleetDevice): string {
  return `GPU ${index} (${model}, ${uuid})`;
}
