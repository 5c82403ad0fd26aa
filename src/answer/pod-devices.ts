/**
 * What the devices that a pod holds say of a metric.
 *
 * @module
 */
import { holdersStaleMs, missingGraceMs } from "#core/limits.ts";
import type { FleetDevice, FleetNode, FleetView } from "#fleet/view.ts";
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
    return holder === undefined ? [] : [{ device, holder }];
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
  const sharedBy = new Map(held.map(({ device, holder }) => [device.uuid, holder.sharedBy]));
  const heldDevices = held.map(({ device }) => device);
  const results = deviceResults(heldDevices, query, view).map((result) =>
    divided(result, query, sharedBy.get(result.device.uuid)),
  );
  const holders = new Map(held.map(({ device, holder }) => [device.uuid, holder.pod]));
  const devices = results.map((result) => {
    const { uuid } = result.device;
    return { ...deviceShare(result, nowMs), pod: holders.get(uuid), sharedBy: sharedBy.get(uuid) };
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
 * A device that is shared by pods has one reading, and nobody says whose process made it so. Each
 * holder has an equal part, so that the parts add up to what was measured: counted whole, a saturated
 * device would ask for ever more holders of itself. A temperature or a clock is that of each.
 */
function divided(result: DeviceResult, { row }: DeviceQuery, sharedBy = 1): DeviceResult {
  return result.state === "known" && row.isShared
    ? { ...result, value: result.value / sharedBy }
    : result;
}
