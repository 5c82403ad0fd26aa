/** A fleet as tests see it: one node at one instant, without a store behind it. */
import type { Clock } from "#core/clock.ts";
import type { FleetDevice, FleetNode, FleetView } from "#fleet/view.ts";

export const nowMs = 1_000_000;

export function gpu(changes: Partial<FleetDevice> = {}): FleetDevice {
  const { index = 0 } = changes;
  return {
    uuid: `GPU-${index}`,
    index,
    vendor: "nvidia",
    model: "H200",
    node: "a",
    sampledAtMs: nowMs - 400,
    health: { state: "ok" },
    conditions: [],
    readings: {},
    absences: {},
    absentSinceMs: {},
    holders: [],
    ...changes,
  };
}

/** GPUs that each have one reading: its utilization. */
export function loads(...percents: readonly number[]): FleetDevice[] {
  return percents.map((utilizationPercent, index) =>
    gpu({ index, readings: { utilizationPercent } }),
  );
}

export function node(devices: readonly FleetDevice[], changes: Partial<FleetNode> = {}): FleetNode {
  return { name: "a", sampleIntervalMs: 1_000, sampledAtMs: nowMs - 400, devices, ...changes };
}

export function storeOf(nodes: readonly FleetNode[], average: FleetView["average"] = () => -1) {
  const view = {
    nodes: new Map(nodes.map((known) => [known.name, known])),
    unavailable: [],
    average,
  };
  return { view: () => view, subscribe: () => () => undefined };
}

const unused = () => {
  throw new Error("An answer sets no timer and reads no calendar");
};
export const clock: Clock = {
  wallMs: unused,
  monotonicMs: () => nowMs,
  after: unused,
  every: unused,
};
