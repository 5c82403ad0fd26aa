/**
 * The nodes as their agents report them.
 *
 * @module
 */
import type { FleetStore } from "#fleet/view.ts";
import type { Device } from "#simulate/cluster.ts";
import type { Simulation } from "#simulate/simulation.ts";
import { deviceName, namespace, nodeName, podName } from "./names.ts";

const bytesPerMib = 1024 * 1024;

/**
 * What every agent says of its node.
 *
 * @param isWide Whether devices count that no pod holds; otherwise a node without pods says nothing.
 */
export function report(simulation: Simulation, store: FleetStore, isWide: boolean): void {
  const { cluster, scenario } = simulation;
  const silent: Parameters<FleetStore["setUnavailable"]>[0][number][] = [];
  for (const [node, devices] of cluster.nodes.entries()) {
    const name = nodeName(scenario, node);
    const since = simulation.silentSinceMs(node);
    if (since !== undefined) {
      silent.push({ address: `${name}:6001`, node: name, sinceMs: since, reason: "is silent" });
      continue;
    }
    const before = store.view().nodes.get(name);
    const isHeld = devices.some(({ holders }) => holders.size > 0);
    const wasHeld = before?.devices.some(({ holders }) => holders.length > 0) ?? true;
    if (!(isWide || isHeld || wasHeld)) continue;
    store.put({
      name,
      sampleIntervalMs: scenario.cluster.sampleSeconds * 1000,
      ageMs: 0,
      holdersAgeMs: 0,
      session: 1,
      devices: devices.map((device) => deviceReport(simulation, device)),
    });
  }
  if (silent.length > 0 || store.view().unavailable.length > 0) store.setUnavailable(silent);
}

type DeviceReport = Parameters<FleetStore["put"]>[0]["devices"][number];

function deviceReport({ cluster, scenario }: Simulation, device: Device): DeviceReport {
  const { number, index, parent, memoryMib, holders } = device;
  const utilizationPercent = cluster.utilizationOf(device);
  const memory = {
    memoryUsedBytes: cluster.memoryUsedMib(device) * bytesPerMib,
    memoryTotalBytes: memoryMib * bytesPerMib,
  };
  return {
    uuid: deviceName(scenario, number),
    index,
    vendor: "nvidia",
    model: "H100",
    health: { state: "ok" },
    conditions: [],
    ...(parent === undefined ? {} : { parentUuid: deviceName(scenario, parent) }),
    // As before Hopper: no utilization of a slice, nor ever of a device that is cut into slices.
    readings: parent === undefined && !device.isSliced ? { utilizationPercent, ...memory } : memory,
    absences: parent === undefined && !device.isSliced ? {} : { utilizationPercent: "unsupported" },
    holders: [...holders].map(({ replica, pod }) => ({
      namespace,
      pod: podName(replica, pod),
      container: "server",
      ...(holders.size > 1 ? { sharedBy: holders.size } : {}),
    })),
  };
}
