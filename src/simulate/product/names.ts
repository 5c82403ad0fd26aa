/** How the simulated things are called where the product sees them. */
import type { ServingReplica } from "#simulate/replica.ts";

export const namespace = "ml";
/** Of the ScaledObject and of its scale target. */
export const workloadName = "llm";
/** When the simulation begins, for those who read dates. */
export const epochMs = Date.UTC(2026, 0, 1);

export function podName({ name }: ServingReplica, pod: number): string {
  return pod === 0 ? name : `${name}-${pod}`;
}

export function nodeName(node: number): string {
  return `node-${node}`;
}

export function deviceName(number: number): string {
  return `GPU-${number}`;
}

export function addressOf({ number }: ServingReplica, pod = 0): string {
  return `10.${pod}.${number >> 8}.${number & 255}`;
}

export function uidOf({ number }: ServingReplica, pod = 0): string {
  return `uid-${number}-${pod}`;
}
