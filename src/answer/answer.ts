import type { Cancel } from "#core/clock.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Explanation } from "./explanation.ts";

/** Which ScaledObject asks. The names are empty in a call made by hand. */
export interface WorkloadRef {
  readonly namespace: string;
  readonly name: string;
  /** As KEDA sent it: it tells which of the object's triggers asks. */
  readonly scalerMetadata: Readonly<Record<string, string>>;
}

/** A trigger of an object, as it is asked about. */
export interface ParsedTrigger {
  readonly ref: WorkloadRef;
  readonly trigger: Trigger;
}

/** The one number for a trigger now. */
export interface Answer {
  /** In the metric's unit: finite, never negative. */
  readonly value: number;
  readonly explanation: Explanation;
}

/** Whether the workload is in use now, and so may not be taken to zero replicas. */
export interface Activity {
  readonly active: boolean;
  /** Of the activation metric. */
  readonly explanation: Explanation;
}

/**
 * What KEDA's calls are answered with. Every call returns at once, for every reading is in memory.
 *
 * Size and activity are two questions: what is known can already be above the threshold while the
 * value still lacks a replica, and a profile without scale to zero is active on a dead node.
 */
export interface Answerer {
  /** @throws {Fault} whenever the value cannot be known; never 0 instead. */
  readonly value: (ref: WorkloadRef, trigger: Trigger) => Answer;
  /** @throws {Fault} whenever it cannot be known; never false instead. */
  readonly activity: (ref: WorkloadRef, trigger: Trigger) => Activity;
  /** Runs `listener` whenever an answer may have changed; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => Cancel;
  /**
   * Keeps what a trigger's activity is read from as fresh as it can be while somebody waits for it,
   * and runs `listener` after each reading of that.
   */
  readonly watchActivity: (ref: WorkloadRef, trigger: Trigger, listener: () => void) => Cancel;
}
