import { Fault } from "#core/fault.ts";
import type { FleetView } from "#fleet/view.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Absent } from "./known.ts";
import { lateness, nodeTrouble } from "./node-state.ts";
import { type Asked, type Part, partsOf } from "./part.ts";

/** Devices that are reduced all at once. */
export interface Selection {
  /** For people. */
  readonly where: string;
  readonly parts: readonly Part[];
  /** Agents that cannot be heard, behind whom there may be any number of devices. */
  readonly absent: readonly Absent[];
}

/**
 * Every device of every node. What a silent node had is missing since its last sample, by the rule
 * for any device: waited for, then left out.
 *
 * @throws {Fault} `device-unknown` where there is no such device, and nobody who may have one.
 */
export function selectCluster(
  { gpuIndex }: Trigger,
  asked: Asked,
  view: FleetView,
  nowMs: number,
): Selection {
  const parts: Part[] = [];
  for (const node of view.nodes.values()) {
    const devices = node.devices.filter(({ index }) => gpuIndex === -1 || index === gpuIndex);
    const own = partsOf(devices, asked, view);
    const late = lateness(node, nowMs);
    const reason = nodeTrouble(node.name, view, nowMs) ?? "";
    parts.push(...(late ? own.map((part) => gone(part, reason, node.sampledAtMs)) : own));
  }
  const absent = view.silent
    .filter(({ node }) => node === undefined || !view.nodes.has(node))
    .map(({ address, node = "an unknown node", reason, sinceMs }) => {
      return { name: `agent ${address} of ${node}`, reason, sinceMs };
    });
  if (parts.length + absent.length === 0) throw nothing(gpuIndex, asked, view);
  const where = gpuIndex === -1 ? "the cluster" : `every GPU ${gpuIndex} of the cluster`;
  return { where, parts, absent };
}

function gone(part: Part, reason: string, sinceMs: number): Part {
  const { device, state } = part;
  return state === "unsupported" || state === "sliced"
    ? part
    : { device, state: "missing", reason, sinceMs };
}

function nothing(gpuIndex: number, { metric }: Asked, view: FleetView): Fault {
  const what = gpuIndex === -1 ? "device" : `device with index ${gpuIndex}`;
  const known = [...view.nodes.keys()].toSorted();
  return new Fault(
    "device-unknown",
    `Cannot answer ${metric} for the cluster: none of its ${known.length} nodes with an agent has ` +
      `a ${what}; see whether agents run on the GPU nodes, or correct metadata gpuIndex`,
    { asked: `any ${what}`, known },
  );
}
