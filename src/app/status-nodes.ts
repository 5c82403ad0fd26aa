/**
 * The nodes that a process knows, as its status shows them.
 *
 * @module
 */
import type { FleetView, UnavailableAgent } from "#fleet/view.ts";
import type { ReportSource } from "#node/reports.ts";
import type { StatusAgent, StatusNode } from "#observe/status.ts";

/** The one node of an agent; none before its first sample. */
export function reportedNodes({ latest }: Pick<ReportSource, "latest">): readonly StatusNode[] {
  const report = latest();
  if (report === undefined) return [];
  const { name, ageMs, sampleIntervalMs, driverVersion, holdersAgeMs, devices } = report;
  const knowsHolders = holdersAgeMs !== undefined;
  return [{ name, ageMs, sampleIntervalMs, driverVersion, knowsHolders, devices }];
}

export function fleetNodes({ nodes }: FleetView, nowMs: number): readonly StatusNode[] {
  return [...nodes.values()]
    .map(({ name, sampledAtMs, sampleIntervalMs, driverVersion, holdersAtMs, devices }) => ({
      name,
      ageMs: nowMs - sampledAtMs,
      sampleIntervalMs,
      driverVersion,
      knowsHolders: holdersAtMs !== undefined,
      devices,
    }))
    .sort((one, other) => one.name.localeCompare(other.name));
}

export function silentAgents(
  unavailable: readonly UnavailableAgent[],
  nowMs: number,
): readonly StatusAgent[] {
  return unavailable.map(({ address, node, sinceMs, reason }) => ({
    address,
    node,
    silentMs: nowMs - sinceMs,
    reason,
  }));
}
