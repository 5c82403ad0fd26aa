/**
 * What the devices that a pod holds say of a metric.
 *
 * @module
 */
import { holdersStaleMs } from "#core/limits.ts";
import type { FleetDevice, FleetNode, FleetView } from "#fleet/view.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import { missingTexts, reduceDevices } from "./device-reduction.ts";
import { type DeviceResult, deviceResults, deviceShare, readableNode } from "./device-result.ts";
import { listed, seconds } from "./explanation.ts";
import type { DeviceQuery } from "./query.ts";
import type { PodResult } from "./replicas.ts";

/**
 * Only the pod's own node counts: a pod of a StatefulSet that moved has the name of the one before
 * it, which the old node's kubelet may still list.
 *
 * @throws {Fault} `metric-unsupported` when the pod can never have the metric.
 */
export function podDevicesResult(
  pod: Pod,
  query: DeviceQuery,
  view: FleetView,
  nowMs: number,
): PodResult {
  if (pod.state === "warming") return { pod, state: "warming", devices: [] };
  const missing = (reason: string): PodResult => ({ pod, state: "missing", reason, devices: [] });
  if (pod.node === undefined) return missing("it is on no node");
  const readable = readableNode(pod.node, view, nowMs);
  if ("problem" in readable) return missing(readable.problem);
  const { node } = readable;
  const problem = holdersProblem(node, nowMs);
  if (problem !== undefined) return missing(problem);
  const held = devicesHeldBy(pod, node, query.trigger);
  if (held.length === 0)
    return { pod, state: "without-device", reason: noneHeld(node, query.trigger), devices: [] };
  return heldDevicesResult(pod, held, query, view, nowMs);
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

function noneHeld({ name }: FleetNode, { container, gpuIndex }: Trigger): string {
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
  const reduction = reduceDevices({ where: `pod ${pod.name}`, results }, query, nowMs);
  const devices = results.map((result) => {
    const { uuid } = result.device;
    return { ...deviceShare(result, nowMs), pod: pod.name, sharedBy: sharedBy.get(uuid) };
  });
  const { value } = reduction;
  return value === undefined
    ? { pod, state: "missing", reason: listed(missingTexts(reduction)), devices }
    : { pod, state: "known", value, devices };
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
