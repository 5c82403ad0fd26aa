/**
 * A replica: a pod with an engine, or a group of pods that serve as one. From its creation over
 * scheduling and loading to readiness, and through a drain to its end.
 *
 * @module
 */
import type { Engine } from "./engine.ts";

/** `gone`: nothing of it is left. */
export type ReplicaPhase = "pending" | "loading" | "ready" | "gone";

export interface ServingReplica {
  /** Unique in the run, ascending by creation. */
  readonly number: number;
  readonly name: string;
  /** Of its pod template. */
  readonly revision: number;
  /** Of a StatefulSet and what is built on one; elsewhere -1. */
  readonly ordinal: number;
  readonly createdAtMs: number;
  phase: ReplicaPhase;
  /** Absent while it is pending. */
  scheduledAtMs?: number;
  /** When it loads no more. */
  loadedAtMs: number;
  /** When it last became ready, or unready. */
  readyChangedAtMs: number;
  /** When it was first asked to end. */
  deletingAtMs?: number;
  /** The annotation that says which pods a ReplicaSet should delete first; absent: 0. */
  deletionCost?: number;
  /** Node of each of its pods; empty while it is pending. */
  nodes: readonly number[];
  /** Devices of each of its pods, by their numbers in the cluster. */
  devices: readonly (readonly number[])[];
  /** Mean share of its slots in use over the last second. */
  busyShare: number;
  engine: Engine;
}

export function isDeleting({ deletingAtMs }: ServingReplica): boolean {
  return deletingAtMs !== undefined;
}

/** Whether new requests go there. */
export function isServing(replica: ServingReplica): boolean {
  return replica.phase === "ready" && replica.deletingAtMs === undefined;
}
