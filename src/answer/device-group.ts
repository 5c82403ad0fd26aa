/**
 * Answers of scope `node` and `cluster`: all devices are reduced at once, and the result is sent as
 * it is.
 *
 * Nobody knows here how many replicas stand behind the devices, so no floor can protect them: while
 * a device is missing there is no value, and KEDA holds the replicas.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { staleLeastMs } from "#core/limits.ts";
import type { FleetDevice, FleetNode, FleetView } from "#fleet/view.ts";
import type { Activity, Answer } from "./answer.ts";
import {
  type DeviceReduction,
  type DeviceSet,
  missingTexts,
  reduceDevices,
} from "./device-reduction.ts";
import {
  type DeviceResult,
  deviceResults,
  deviceShare,
  lateness,
  readableNode,
} from "./device-result.ts";
import { activationText, type Explanation, listed, seconds, windowText } from "./explanation.ts";
import { type DeviceQuery, windowMsOf } from "./query.ts";

/** The devices of a node or of the cluster, read. */
export interface DeviceGroupReadings extends Required<DeviceSet> {
  readonly scope: "node" | "cluster";
  readonly query: DeviceQuery;
  readonly nowMs: number;
}

export function deviceGroupValue(readings: DeviceGroupReadings): Answer {
  const reduction = reduceDevices(readings, readings.query, readings.nowMs);
  const measured = wholeValue(readings, reduction);
  // KEDA carries nothing below 0. Only a temperature can be, and no target is, so 0 decides alike.
  const value = Math.max(measured, 0);
  const sent = value === measured ? "" : ", sent as 0, for KEDA carries no negative number";
  return { value, explanation: explained(readings, reduction, `${measured}${sent}`) };
}

export function deviceGroupActivity(readings: DeviceGroupReadings): Activity {
  const { query, nowMs } = readings;
  const { trigger } = query;
  const reduction = reduceDevices(readings, query, nowMs);
  const { partial } = reduction;
  const isAbove = partial !== undefined && partial > trigger.activationThreshold;
  // What is not known could be in use. What is left out of the value is left out here too: KEDA
  // drops the value when the activity fails, and one broken device must not block it for ever.
  const measured = isAbove ? partial : wholeValue(readings, reduction);
  const outcome = `${measured}, ${activationText(trigger, isAbove)}`;
  return { active: isAbove, explanation: explained(readings, reduction, outcome) };
}

/** @throws {Fault} `data-missing` where what is known does not make a value. */
function wholeValue({ query, where }: DeviceGroupReadings, reduction: DeviceReduction): number {
  const { value, obstacle, knownCount } = reduction;
  if (value !== undefined) return value;
  const missing = missingTexts(reduction);
  throw new Fault(
    "data-missing",
    `Cannot answer ${query.metric} for ${where}: ${knownCount} of ` +
      `${knownCount + missing.length} devices are known, and ${obstacle}; look into ${listed(missing)}`,
    { known: knownCount, missing },
  );
}

function explained(
  { query, scope, where, results, missingAgents, nowMs }: DeviceGroupReadings,
  { knownCount }: DeviceReduction,
  outcome: string,
): Explanation {
  const { metric, row, trigger } = query;
  const agents = missingAgents.map(({ name }) => name);
  const without = agents.length === 0 ? "" : `, without ${listed(agents)}`;
  return {
    metric,
    scope,
    rule:
      `${trigger.aggregation} of ${metric} in ${row.unit} over ${knownCount} of ${results.length} ` +
      `devices of ${where}${without}, ${windowText(windowMsOf(query))}: ${outcome}`,
    devices: results.map((result) => deviceShare(result, nowMs)),
  };
}

/**
 * Every device of every node. What a silent node had is missing since its last sample, by the rule
 * for any device: waited for, then left out.
 *
 * @throws {Fault} `device-unknown` where there is no such device, and nobody who may have one.
 */
export function clusterReadings(
  query: DeviceQuery,
  view: FleetView,
  nowMs: number,
): DeviceGroupReadings {
  const { gpuIndex } = query.trigger;
  const results = [...view.nodes.values()].flatMap((node) => {
    const own = deviceResults(withIndex(node.devices, gpuIndex), query, view);
    const readable = readableNode(node.name, view, nowMs);
    return "problem" in readable
      ? own.map((result) => outOfReach(result, readable.problem, node.sampledAtMs))
      : own;
  });
  const missingAgents = view.unavailable
    .filter(({ node }) => node === undefined || !view.nodes.has(node))
    .map(({ address, node = "an unknown node", reason, sinceMs }) => {
      return { name: `agent ${address} of ${node}`, reason, sinceMs };
    });
  if (results.length + missingAgents.length === 0) throw noneInCluster(query, view);
  const where = gpuIndex === -1 ? "the cluster" : `every GPU ${gpuIndex} of the cluster`;
  return { scope: "cluster", query, where, results, missingAgents, nowMs };
}

function withIndex(devices: readonly FleetDevice[], gpuIndex: number): readonly FleetDevice[] {
  return gpuIndex === -1 ? devices : devices.filter(({ index }) => index === gpuIndex);
}

function outOfReach(result: DeviceResult, reason: string, sinceMs: number): DeviceResult {
  const { device, state } = result;
  return state === "unsupported" || state === "sliced"
    ? result
    : { device, state: "missing", reason, sinceMs };
}

function noneInCluster({ metric, trigger: { gpuIndex } }: DeviceQuery, view: FleetView): Fault {
  const what = gpuIndex === -1 ? "device" : `device with index ${gpuIndex}`;
  const known = [...view.nodes.keys()].toSorted();
  return new Fault(
    "device-unknown",
    `Cannot answer ${metric} for the cluster: none of its ${known.length} nodes with an agent has ` +
      `a ${what}; see whether agents run on the GPU nodes, or correct metadata gpuIndex`,
    { asked: `any ${what}`, known },
  );
}

/**
 * The devices of the node that the trigger names, or of the local one.
 *
 * @throws {Fault} `scope-unavailable` where no node is meant, `device-unknown` where the node or
 * its devices are not there, `data-stale` where nothing was read lately.
 */
export function nodeReadings(
  query: DeviceQuery,
  view: FleetView,
  nowMs: number,
  localNode: string | undefined,
): DeviceGroupReadings {
  const { metric, trigger } = query;
  const { gpuIndex } = trigger;
  const node = namedNode(query, view, localNode);
  const { name } = node;
  const late = lateness(node, nowMs);
  if (late !== undefined)
    throw new Fault(
      "data-stale",
      `Cannot answer ${metric} for node ${name}: its devices were last read ${seconds(late.ageMs)} ` +
        `ago, and the limit is ${seconds(late.limitMs)}; look into the log of the agent on ${name}`,
      { limitMs: late.limitMs, ageMs: late.ageMs },
    );
  const devices = withIndex(node.devices, gpuIndex);
  if (devices.length === 0) throw noneOnNode(query, node);
  const where = gpuIndex === -1 ? `node ${name}` : `GPU ${gpuIndex} of ${name}`;
  const results = deviceResults(devices, query, view);
  return { scope: "node", query, where, results, missingAgents: [], nowMs };
}

function namedNode(
  { metric, trigger }: DeviceQuery,
  view: FleetView,
  localNode: string | undefined,
): FleetNode {
  const name = trigger.node ?? localNode;
  const node = name === undefined ? undefined : view.nodes.get(name);
  if (node !== undefined) return node;
  const known = [...view.nodes.keys()].toSorted();
  if (name === undefined)
    throw new Fault(
      "scope-unavailable",
      `Cannot answer ${metric} for a node: this process reads no devices of its own; ` +
        `set metadata node to one of the known nodes: ${listed(known)}`,
      { scope: "node" },
    );
  throw name === localNode
    ? new Fault(
        "data-stale",
        `Cannot answer ${metric} for node ${name}: its devices have not been read yet; ` +
          "wait for the first sample, or look into this process's log",
        { limitMs: staleLeastMs },
      )
    : new Fault(
        "device-unknown",
        `Cannot answer ${metric} for node ${name}: it is not among the known nodes: ` +
          `${listed(known)}; correct metadata node`,
        { asked: `node ${name}`, known },
      );
}

function noneOnNode({ metric, trigger }: DeviceQuery, { name, devices }: FleetNode): Fault {
  const { gpuIndex } = trigger;
  const indexes = [...new Set(devices.map(({ index }) => index))].toSorted((a, b) => a - b);
  const known = indexes.map(String);
  return devices.length === 0
    ? new Fault(
        "device-unknown",
        `Cannot answer ${metric} for node ${name}: it has no devices; ` +
          "check that its driver is loaded and that the agent may see the devices",
        { asked: `any device of node ${name}`, known },
      )
    : new Fault(
        "device-unknown",
        `Cannot answer ${metric} for gpuIndex ${gpuIndex} of node ${name}: ` +
          `its indexes are ${listed(known)}; correct metadata gpuIndex`,
        { asked: `gpuIndex ${gpuIndex} of node ${name}`, known },
      );
}
