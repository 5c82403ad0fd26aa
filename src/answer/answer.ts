import type { MetricName } from "#metric/catalogue.ts";
import type { Scope, Trigger } from "#trigger/trigger.ts";

/** Which ScaledObject asks. Both are empty in a call made by hand. */
export interface WorkloadRef {
  readonly namespace: string;
  readonly name: string;
}

/** One device's part in an answer. */
export interface DeviceShare {
  readonly node: string;
  readonly uuid: string;
  readonly index: number;
  readonly ageMs: number;
  /** The metric's own unit; absent when the device did not count. */
  readonly value?: number;
  /** Why it did not count. */
  readonly reason?: string;
}

/** How a value came about: enough to check it by hand. */
export interface Explanation {
  readonly metric: MetricName;
  readonly scope: Scope;
  /** One sentence: what was reduced, how, over which window. */
  readonly rule: string;
  readonly devices: readonly DeviceShare[];
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
 * What `serve` asks. Every call returns at once, for every value is in memory already.
 *
 * Size and activity are two questions: what is known can already be above the threshold while the
 * value is still missing a part, and a profile without scale to zero is active on a dead node.
 */
export interface Answerer {
  /** @throws {Fault} whenever the value cannot be known; never 0 instead. */
  readonly value: (ref: WorkloadRef, trigger: Trigger) => Answer;
  /** @throws {Fault} whenever it cannot be known; never false instead. */
  readonly activity: (ref: WorkloadRef, trigger: Trigger) => Activity;
  /** Runs `listener` whenever an answer may have changed; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => () => void;
}
