import type { MetricName } from "#metric/catalogue.ts";
import type { Trigger } from "#trigger/trigger.ts";

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
  readonly scope: Trigger["scope"];
  /** One sentence: what was reduced, how, over which window. */
  readonly rule: string;
  readonly devices: readonly DeviceShare[];
}

/** The one number for a trigger now. */
export interface Value {
  /** In the metric's unit: finite, never negative. */
  readonly value: number;
  readonly explanation: Explanation;
}

/** Whether the workload is in use now. */
export interface Activity {
  readonly active: boolean;
  readonly explanation: Explanation;
}

/** What `serve` asks. Every call returns at once: what it needs is in memory already. */
export interface Answerer {
  /** @throws {Fault} whenever the value cannot be known; never 0 instead. */
  readonly value: (ref: WorkloadRef, trigger: Trigger) => Value;
  /** @throws {Fault} whenever the activity cannot be known; never false instead. */
  readonly activity: (ref: WorkloadRef, trigger: Trigger) => Activity;
  /** Runs `listener` whenever an answer may have changed; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => () => void;
}
