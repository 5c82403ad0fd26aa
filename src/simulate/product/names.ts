/** How the simulated things are called where the product sees them. */
import type { ServingReplica } from "#simulate/replica.ts";
import type { CompleteScenario } from "#simulate/scenario.ts";

export const namespace = "ml";
/** When the simulation begins, for those who read dates. */
export const epochMs = Date.UTC(2026, 0, 1);

export function podName({ name }: ServingReplica, pod: number): string {
  return pod === 0 ? name : `${name}-${pod}`;
}

export function nodeName({ cluster }: CompleteScenario, node: number): string {
  return `${cluster.nodePrefix}-${node}`;
}

export function deviceName({ cluster }: CompleteScenario, number: number): string {
  return `GPU-${cluster.nodePrefix}-${number}`;
}

export function addressOf({ number }: ServingReplica, pod = 0): string {
  return `10.${pod}.${number >> 8}.${number & 255}`;
}

export function uidOf({ number }: ServingReplica, pod = 0): string {
  return `uid-${number}-${pod}`;
}
