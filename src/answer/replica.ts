/**
 * What one replica says of a metric. A signal that is not read from devices enters here: it is
 * another `Signal`, and nothing behind it changes.
 *
 * @module
 */
import { holdersStaleMs } from "#core/limits.ts";
import type { FleetDevice, FleetNode, FleetView } from "#fleet/view.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { DeviceShare, EngineShare } from "./answer.ts";
import { deviceShare, reduceParts } from "./device-value.ts";
import { absences, grouped, obstacle, unsupported } from "./known.ts";
import { nodeTrouble } from "./node-state.ts";
import { type Asked, type Part, partsOf } from "./part.ts";
import { listed, seconds } from "./words.ts";

/** What is seen of a counted pod. */
export type Sight = {
  readonly devices: readonly DeviceShare[];
  readonly engine?: EngineShare;
} & (
  | { readonly state: "known"; readonly value: number }
  | { readonly state: "missing"; readonly reason: string }
  /** All is seen, and there is nothing to measure: it holds no device. */
  | { readonly state: "bare"; readonly reason: string }
);

/** @throws {Fault} when this pod can never have the metric. */
export type Signal = (pod: Pod) => Sight;

/** Reads the devices that a pod holds. */
export function deviceSignal(
  trigger: Trigger,
  asked: Asked,
  view: FleetView,
  nowMs: number,
): Signal {
  return (pod) => {
    const node = pod.node === undefined ? undefined : view.nodes.get(pod.node);
    const trouble = troubleOf(pod, node, view, nowMs);
    if (node === undefined || trouble !== undefined)
      return { state: "missing", reason: trouble ?? "it is on no node", devices: [] };
    const held = heldBy(pod, node, trigger);
    if (held.length === 0) return { state: "bare", reason: bareness(node, trigger), devices: [] };
    return sightOf(pod, held, { trigger, asked, view, nowMs });
  };
}

/**
 * Why it cannot be known what a pod holds. Only its own node counts: a pod of a StatefulSet that
 * moved has the name of the one before it, which the old node's kubelet may still list.
 */
function troubleOf(
  pod: Pod,
  node: FleetNode | undefined,
  view: FleetView,
  nowMs: number,
): string | undefined {
  if (pod.node === undefined) return "it is on no node";
  const trouble = nodeTrouble(pod.node, view, nowMs);
  if (trouble !== undefined || node === undefined) return trouble;
  const { name, holdersAtMs } = node;
  if (holdersAtMs === undefined) return `the kubelet of node ${name} never told who holds what`;
  const ageMs = nowMs - holdersAtMs;
  return ageMs > holdersStaleMs
    ? `the kubelet of node ${name} last told who holds what ${seconds(ageMs)} ago`
    : undefined;
}

type Holder = FleetDevice["holders"][number];

/** A device, and how the pod holds it. */
interface Held {
  readonly device: FleetDevice;
  readonly holder: Holder;
}

function heldBy(pod: Pod, node: FleetNode, { container, gpuIndex }: Trigger): readonly Held[] {
  const isOwn = (holder: Holder) =>
    holder.namespace === pod.namespace &&
    holder.pod === pod.name &&
    (container === undefined || holder.container === container);
  return node.devices.flatMap((device) => {
    if (gpuIndex !== -1 && device.index !== gpuIndex) return [];
    const holder = device.holders.find(isOwn);
    return holder === undefined ? [] : [{ device, holder }];
  });
}

function bareness({ name }: FleetNode, { container, gpuIndex }: Trigger): string {
  const who = container === undefined ? "it" : `its container ${container}`;
  const what = gpuIndex === -1 ? "device" : `device with index ${gpuIndex}`;
  return `${who} holds no ${what} on node ${name}`;
}

interface Circumstances {
  readonly trigger: Trigger;
  readonly asked: Asked;
  readonly view: FleetView;
  readonly nowMs: number;
}

function sightOf(
  pod: Pod,
  held: readonly Held[],
  { trigger, asked, view, nowMs }: Circumstances,
): Sight {
  const sharedBy = new Map(held.map(({ device, holder }) => [device.uuid, holder.sharedBy]));
  const whole = partsOf(
    held.map(({ device }) => device),
    asked,
    view,
  );
  const parts = whole.map((part) => divided(part, asked, sharedBy.get(part.device.uuid)));
  const groups = grouped(parts);
  if (groups.known.length + groups.absent.length === 0)
    throw unsupported(parts, asked, `pod ${pod.name}`);
  const devices = parts.map((part) => {
    const sharers = sharedBy.get(part.device.uuid);
    const sharing = sharers === undefined ? {} : { sharedBy: sharers };
    return { ...deviceShare(part, nowMs), pod: pod.name, ...sharing };
  });
  const value = reduceParts(trigger.aggregation, groups.known);
  return obstacle(groups, nowMs) === undefined && value !== undefined
    ? { state: "known", value, devices }
    : { state: "missing", reason: listed(absences(groups)), devices };
}

/**
 * A device that is divided among pods has one reading. An intensity is every holder's, for that is
 * how busy the device is that each runs on; of a quantity each has an equal part, so that the parts
 * add up to what was measured and nothing counts twice.
 */
function divided(part: Part, { row }: Asked, sharedBy = 1): Part {
  return part.state === "known" && row.kind === "quantity"
    ? { ...part, value: part.value / sharedBy }
    : part;
}
