import type { Cancel } from "#core/clock.ts";
import type { Observations, QueueState } from "#engine/signal/evaluate.ts";
import type { MetricName } from "#metric/catalogue.ts";
import type { Scope, Trigger } from "#trigger/trigger.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";
import type { Workload } from "#workload/workload.ts";

/** Which ScaledObject asks. The names are empty in a call made by hand. */
export interface WorkloadRef {
  readonly namespace: string;
  readonly name: string;
  /** As KEDA sent it: it tells which of the object's triggers asks. */
  readonly scalerMetadata: Readonly<Record<string, string>>;
}

/** One device's part in an answer. */
export interface DeviceShare {
  readonly node: string;
  readonly uuid: string;
  readonly index: number;
  readonly ageMs: number;
  /** The pod in whose value it counts; in scope `workload`. */
  readonly pod?: string;
  /** How many pods it is divided among; absent when it is not. */
  readonly sharedBy?: number;
  /** What it counts for, in the metric's own unit; absent when it does not count. */
  readonly value?: number;
  /** Why it does not count. */
  readonly reason?: string;
}

/** One engine's part in an answer. */
export interface EngineShare {
  /** Where it is read. */
  readonly target: string;
  /** Which engine it is, once that is known. */
  readonly engine?: string;
  /** Of the last good scrape; absent before there was one. */
  readonly ageMs?: number;
  /** The pod in whose value it counts. */
  readonly pod?: string;
  /** Its own, in the metric's unit; absent when it has none. */
  readonly value?: number;
  /** The observations that a latency is made of. */
  readonly parts?: Observations;
  /** Why a latency is not made of observations. */
  readonly stand?: QueueState;
  /** Requests that it works on, where an empty queue would not tell that it is in use. */
  readonly running?: number;
  /** Why it has no value. */
  readonly reason?: string;
}

/** One pod's part in an answer. */
export interface PodShare {
  readonly name: string;
  readonly node?: string;
  /** `warming`: not ready yet, contributes nothing. `missing`: should have a value and has none. */
  readonly state: "counted" | "warming" | "missing";
  /** The metric's own unit. */
  readonly value?: number;
  /** Why it is missing. */
  readonly reason?: string;
  /** For how long it has been missing, as far as anybody asked. */
  readonly missingMs?: number;
}

/** The workload as the answer saw it. */
export interface WorkloadShare
  extends Pick<
    Workload,
    "kind" | "metricType" | "replicas" | "minReplicas" | "maxReplicas" | "ageMs"
  > {
  readonly pods: readonly PodShare[];
  /**
   * What the HPA computes from the value, before `behavior`, minimum and maximum; absent in an
   * activity, and for a ScaledJob, which has no HPA.
   */
  readonly desiredReplicas?: number;
}

/** How a value came about: enough to check it by hand. */
export interface Explanation {
  readonly metric: MetricName;
  /** `endpoint`: what the trigger's URL leads to counts, whoever's pods these are. */
  readonly scope: Scope | "endpoint";
  /** In words: what was reduced, how, over which window, and what was done about what is missing. */
  readonly rule: string;
  readonly devices: readonly DeviceShare[];
  /** For a metric of engines. */
  readonly engines?: readonly EngineShare[];
  /** In scope `workload`. */
  readonly workload?: WorkloadShare;
  /** What about the trigger will not work as its author hopes. */
  readonly warnings?: readonly TriggerWarning[];
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
  /**
   * Keeps what a trigger's activity is read from as fresh as it can be while somebody waits for it,
   * and runs `listener` after each reading of that.
   */
  readonly watchActivity: (ref: WorkloadRef, trigger: Trigger, listener: () => void) => Cancel;
}
