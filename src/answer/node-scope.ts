import { Fault } from "#core/fault.ts";
import { staleLeastMs } from "#core/limits.ts";
import type { FleetDevice, FleetView } from "#fleet/view.ts";
import type { MetricName } from "#metric/catalogue.ts";
import type { Trigger } from "#trigger/trigger.ts";
import { lateness } from "./node-state.ts";
import { listed, seconds } from "./words.ts";

/** The devices that a trigger of scope `node` is about, read lately enough. */
export interface NodeSelection {
  readonly node: string;
  readonly devices: readonly [FleetDevice, ...FleetDevice[]];
}

interface Surroundings {
  readonly view: FleetView;
  readonly nowMs: number;
  readonly localNode: string | undefined;
}

/**
 * Finds the node that the trigger names, or the local one, and its devices.
 *
 * @throws {Fault} `scope-unavailable` where no node is meant, `device-unknown` where the node or
 * its devices are not there, `data-stale` where nothing was read lately.
 */
export function selectNode(
  trigger: Trigger,
  metric: MetricName,
  { view, nowMs, localNode }: Surroundings,
): NodeSelection {
  const name = trigger.node ?? localNode;
  const known = [...view.nodes.keys()].toSorted();
  if (name === undefined)
    throw new Fault(
      "scope-unavailable",
      `Cannot answer ${metric} for a node: this process reads no devices of its own; ` +
        `set metadata node to one of the known nodes: ${listed(known)}`,
      { scope: "node" },
    );
  const node = view.nodes.get(name);
  if (node === undefined && name === localNode)
    throw new Fault(
      "data-stale",
      `Cannot answer ${metric} for node ${name}: nothing was read of its devices yet; ` +
        "wait for the first sample, or look into this process's log",
      { limitMs: staleLeastMs },
    );
  if (node === undefined)
    throw new Fault(
      "device-unknown",
      `Cannot answer ${metric} for node ${name}: it is not among the known nodes: ` +
        `${listed(known)}; correct metadata node`,
      { asked: `node ${name}`, known },
    );
  const late = lateness(node, nowMs);
  if (late !== undefined)
    throw new Fault(
      "data-stale",
      `Cannot answer ${metric} for node ${name}: its devices were last read ${seconds(late.ageMs)} ` +
        `ago, and the limit is ${seconds(late.limitMs)}; look into the log of the agent on ${name}`,
      { limitMs: late.limitMs, ageMs: late.ageMs },
    );
  return { node: name, devices: withIndex(node.devices, trigger.gpuIndex, metric, name) };
}

function withIndex(
  devices: readonly FleetDevice[],
  gpuIndex: number,
  metric: MetricName,
  node: string,
): NodeSelection["devices"] {
  const [first, ...rest] = devices.filter(({ index }) => gpuIndex === -1 || index === gpuIndex);
  if (first !== undefined) return [first, ...rest];
  const indexes = [...new Set(devices.map(({ index }) => index))].toSorted((a, b) => a - b);
  const known = indexes.map(String);
  throw devices.length === 0
    ? new Fault(
        "device-unknown",
        `Cannot answer ${metric} for node ${node}: it has no devices; ` +
          "check that its driver is loaded and that the agent may see the devices",
        { asked: `any device of node ${node}`, known },
      )
    : new Fault(
        "device-unknown",
        `Cannot answer ${metric} for gpuIndex ${gpuIndex} of node ${node}: ` +
          `its indexes are ${listed(known)}; correct metadata gpuIndex`,
        { asked: `gpuIndex ${gpuIndex} of node ${node}`, known },
      );
}
