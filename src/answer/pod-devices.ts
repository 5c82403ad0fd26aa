/**
 * What the devices that a pod holds say of a metric.
 *
 * @module
 */
import { holdersStaleMs, missingGraceMs } from "#core/limits.ts";
import type { FleetDevice, FleetNode, FleetView } from "#fleet/view.ts";
import { type DevicePart, devicePart } from "#metric/device-use.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import {
  type DeviceReduction,
  missingTexts,
  reduceDevices,
  unsupported,
} from "./device-reduction.ts";
import { type DeviceResult, deviceResults, deviceShare, readableNode } from "./device-result.ts";
import { listed, seconds } from "./explanation.ts";
import type { DeviceQuery } from "./query.ts";
import type { PodResult } from "./replicas.ts";

/**
 * Only the pod's own node counts: a pod of a StatefulSet that moved has the name of the one before
 * it, which the old node's kubelet may still list. Of a group the devices of all its pods count, each
 * on its own node.
 */
export function podDevicesResult(
  pod: Pod,
  query: DeviceQuery,
  view: FleetView,
  nowMs: number,
): PodResult {
  if (pod.state === "warming") return { pod, state: "warming", devices: [] };
  const parts = [pod, ...(pod.members ?? [])].map((one) => heldBy(one, query, view, nowMs));
  const unknown = parts.flatMap((part) => ("problem" in part ? [part] : []));
  const [first] = unknown;
  if (first !== undefined) {
    const { problem: reason, sinceMs } = first;
    return { pod, state: "missing", reason, sinceMs, devices: [] };
  }
  const held = parts.flatMap((part) => ("devices" in part ? part.devices : []));
  if (held.length > 0) return heldDevicesResult(pod, held, query, view, nowMs);
  return { pod, state: "without-device", reason: noneHeld(pod, query.trigger), devices: [] };
}

/** What a pod holds, or why that cannot be known and since when. */
function heldBy(
  pod: Pod,
  { trigger }: DeviceQuery,
  view: FleetView,
  nowMs: number,
):
  | { readonly devices: readonly HeldDevice[] }
  | { readonly problem: string; readonly sinceMs?: number | undefined } {
  if (pod.node === undefined) return { problem: "it is on no node" };
  const readable = readableNode(pod.node, view, nowMs);
  if ("problem" in readable) return readable;
  const { node } = readable;
  const problem = holdersProblem(node, nowMs);
  return problem === undefined
    ? { devices: devicesHeldBy(pod, node, trigger) }
    : { problem, sinceMs: node.holdersAtMs };
}

/** Why it cannot be known which pods hold the node's devices. */
function holdersProblem({ name, holdersAtMs }: FleetNode, nowMs: number): string | undefined {
  if (holdersAtMs === undefined)
    return `the kubelet of node ${name} has not said which pods hold its devices`;
  const ageMs = nowMs - holdersAtMs;
  return ageMs > holdersStaleMs
    ? `the kubelet of node ${name} last said ${seconds(ageMs)} ago which pods hold its devices`
    : undefined;
}

/** A device, and how the pod holds it. */
interface HeldDevice {
  readonly device: FleetDevice;
  readonly holder: FleetDevice["holders"][number];
  readonly podUid: string;
}

function devicesHeldBy(
  pod: Pod,
  node: FleetNode,
  { container, gpuIndex }: Trigger,
): readonly HeldDevice[] {
  const isOwn = (holder: HeldDevice["holder"]) =>
    holder.namespace === pod.namespace &&
    holder.pod === pod.name &&
    (container === undefined || holder.container === container);
  return node.devices.flatMap((device) => {
    if (gpuIndex !== -1 && device.index !== gpuIndex) return [];
    const holder = device.holders.find(isOwn);
    return holder === undefined ? [] : [{ device, holder, podUid: pod.uid }];
  });
}

function noneHeld({ node: name }: Pod, { container, gpuIndex }: Trigger): string {
  const who = container === undefined ? "it" : `its container ${container}`;
  const what = gpuIndex === -1 ? "device" : `device with index ${gpuIndex}`;
  return `${who} holds no ${what} on node ${name}`;
}

function heldDevicesResult(
  pod: Pod,
  held: readonly HeldDevice[],
  query: DeviceQuery,
  view: FleetView,
  nowMs: number,
): PodResult {
  const heldDevices = held.map(({ device }) => device);
  const parts = held.map((one) => partOf(one, query));
  // Results come in the order of the devices.
  const results = deviceResults(heldDevices, query, view).map((result, at) =>
    divided(result, parts[at]),
  );
  const devices = results.map((result, at) => {
    const { pod: holder, sharedBy } = held[at]?.holder ?? {};
    const part = parts[at]?.isAttributed ? parts[at].part : undefined;
    return { ...deviceShare(result, nowMs), pod: holder, sharedBy, part };
  });
  const where = `pod ${pod.name}`;
  if (results.every(({ state }) => state === "unsupported" || state === "sliced"))
    return { pod, state: "unfit", fault: unsupported(results, query, where), devices };
  const reduction = reduceDevices({ where, results }, query, nowMs);
  const { value } = reduction;
  if (value !== undefined) return { pod, state: "known", value, devices };
  const reason = listed(missingTexts(reduction));
  return { pod, state: "missing", reason, sinceMs: missingSinceMs(reduction, nowMs), devices };
}

/** Since when a replica has no value, by its devices: those that are left out by now did not end it. */
function missingSinceMs({ missing }: DeviceReduction, nowMs: number): number | undefined {
  const times = missing.flatMap(({ sinceMs }) => sinceMs ?? []);
  const awaited = times.filter((sinceMs) => nowMs - sinceMs <= missingGraceMs);
  if (awaited.length > 0) return Math.min(...awaited);
  return times.length > 0 ? Math.max(...times) : undefined;
}

/**
 * A device that is shared by pods has one reading. Where its node tells whose processes made it so, each
 * holder has the part of its own; else nobody knows, and each has an equal part. Either way the parts add
 * up to no more than what was measured: counted whole, a saturated device would ask for ever more holders
 * of itself. A temperature or a clock is that of each.
 *
 * Over a window it is the newest part of the mean: of single processes no past is kept.
 *
 * @returns `undefined` where it counts whole.
 */
function partOf(
  { device, holder: { sharedBy = 1 }, podUid }: HeldDevice,
  { row }: DeviceQuery,
): DevicePart | undefined {
  return sharedBy > 1 && row.isShared ? devicePart(row, device.uses, sharedBy, podUid) : undefined;
}

function divided(result: DeviceResult, { part }: Pick<DevicePart, "part"> = { part: 1 }) {
  return result.state === "known" ? { ...result, value: result.value * part } : result;
}
