import { staleAfterMs } from "#core/limits.ts";
import type { FleetNode, FleetView } from "#fleet/view.ts";
import { seconds } from "./words.ts";

/** A node's readings that are too old to be served. */
export interface Lateness {
  readonly ageMs: number;
  readonly limitMs: number;
}

/** @returns `undefined` for a node whose readings can be served. */
export function lateness(node: FleetNode, nowMs: number): Lateness | undefined {
  const ageMs = nowMs - node.sampledAtMs;
  const limitMs = staleAfterMs(node.sampleIntervalMs);
  return ageMs > limitMs ? { ageMs, limitMs } : undefined;
}

/** Why a node's readings cannot be had, for people; `undefined` when they can. */
export function nodeTrouble(name: string, view: FleetView, nowMs: number): string | undefined {
  const node = view.nodes.get(name);
  const late = node && lateness(node, nowMs);
  if (node !== undefined && late === undefined) return undefined;
  const silent = view.silent.find((agent) => agent.node === name);
  const why = silent ? `: agent ${silent.address} ${silent.reason}` : "";
  return late === undefined
    ? `no agent speaks for node ${name}${why}`
    : `node ${name} was last read ${seconds(late.ageMs)} ago${why}`;
}
