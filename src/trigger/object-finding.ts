/**
 * What is found in a ScaledObject or ScaledJob, and what the rules look at.
 *
 * @module
 */
import type { ScaledKind, ScaledSpec } from "./scaled-spec.ts";
import type { Trigger } from "./trigger.ts";

/** What is wrong with a part of an object, or will not work as hoped. */
export interface ObjectFinding {
  readonly severity: "error" | "warning";
  /** From the whole object inwards. */
  readonly path: readonly (string | number)[];
  /** Whether the place is that of the key, as for one that nobody knows. */
  readonly part?: "key" | "value";
  /** Of a warning: what it is about, for programs. */
  readonly code?: string | undefined;
  /** With the path in front where it is about a field. */
  readonly message: string;
}

/** One of the object's triggers that is this scaler's, with its place in `spec.triggers`. */
export interface OwnTrigger {
  readonly index: number;
  readonly trigger: Trigger;
}

export interface CheckedObject {
  readonly kind: ScaledKind;
  readonly spec: ScaledSpec;
  /** Those whose metadata is right. */
  readonly own: readonly OwnTrigger[];
}

export type FieldPath = ObjectFinding["path"];

export function error(path: FieldPath, rule: string): ObjectFinding {
  return { severity: "error", path, message: `${path.join(".")}: ${rule}` };
}
export function warning(code: string, path: FieldPath, message: string): ObjectFinding {
  return { severity: "warning", code, path, message: `${path.join(".")}: ${message}` };
}

/** Some of what is wrong with an object. */
export type ObjectRule = (object: CheckedObject) => readonly ObjectFinding[];

/** Replicas while nobody uses the workload. */
export function idleReplicas({ idleReplicaCount, minReplicaCount = 0 }: ScaledSpec): number {
  return idleReplicaCount ?? minReplicaCount;
}
