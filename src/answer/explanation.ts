/**
 * How an answer came about, enough to check it by hand, and the words that rules and faults share.
 *
 * @module
 */
import { listedNamesMax } from "#core/limits.ts";
import type { Observations, QueueState } from "#engine/signal/result.ts";
import type { MetricName } from "#metric/catalogue.ts";
import type { Scope, Trigger } from "#trigger/trigger.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";
import type { Workload } from "#workload/workload.ts";

/** What one device contributes. */
export interface DeviceShare {
  readonly node: string;
  readonly uuid: string;
  readonly index: number;
  readonly ageMs: number;
  /** The pod in whose value it counts; in scope `workload`. */
  readonly pod?: string | undefined;
  /** How many pods it is divided among; absent when it is not. */
  readonly sharedBy?: number | undefined;
  /** Which part of a shared one counts, from 0 to 1, by the pod's own processes; absent: an equal part. */
  readonly part?: number | undefined;
  /** What it counts for, in the metric's own unit; absent when it does not count. */
  readonly value?: number | undefined;
  /** Why it does not count. */
  readonly reason?: string | undefined;
}

/** Engines' observations as one value. */
export interface MergedReadings {
  /** Absent where each engine's own value counts. */
  readonly value?: number | undefined;
  /** Why each one's own value counts although one of all together should. */
  readonly apart?: string | undefined;
}

/** What one engine contributes. */
export interface EngineShare {
  /** Where it is read. */
  readonly target: string;
  /** Which engine it is, once that is known. */
  readonly engine?: string | undefined;
  /** Of the last good scrape; absent before there was one. */
  readonly ageMs?: number | undefined;
  /** The pod in whose value it counts. */
  readonly pod?: string | undefined;
  /** Its own, in the metric's unit; absent when it has none. */
  readonly value?: number | undefined;
  /** The observations that a latency or a named ratio is made of. */
  readonly observations?: Observations | undefined;
  /** What it is a part of; absent where its own value is to count. */
  readonly merged?: MergedReadings | undefined;
  /** Why a latency is not made of observations. */
  readonly queueState?: QueueState | undefined;
  /** Requests that wait or run in it, or else arrive in a second; absent when it does not tell. */
  readonly activity?: number | undefined;
  /** Why it has no value. */
  readonly reason?: string | undefined;
}

/** What one pod contributes. */
export interface PodShare {
  readonly name: string;
  readonly node?: string | undefined;
  /** `warming`: not ready yet, contributes nothing. `missing`: should have a value and has none. */
  readonly state: "counted" | "warming" | "missing";
  /** The metric's own unit. */
  readonly value?: number | undefined;
  /** Why it is missing. */
  readonly reason?: string | undefined;
  /** For how long it has been missing, as far as anybody asked. */
  readonly missingMs?: number | undefined;
}

/** The workload that the answer is about. */
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
  readonly desiredReplicas?: number | undefined;
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
  readonly engines?: readonly EngineShare[] | undefined;
  /** In scope `workload`. */
  readonly workload?: WorkloadShare | undefined;
  /** What about the trigger will not work as its author hopes. */
  readonly warnings?: readonly TriggerWarning[] | undefined;
}

export function listed(names: readonly string[]): string {
  if (names.length === 0) return "none";
  const more = names.length - listedNamesMax;
  return `${names.slice(0, listedNamesMax).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

export function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

/** Which of a metric's readings count. */
export function windowText(windowMs: number): string {
  return windowMs > 0 ? `means over ${windowMs / 1_000} s` : "newest readings";
}

/** Whether engines' values were reduced one by one, and if not as is usual, why. */
export function mergedText(engines: readonly EngineShare[]): string {
  const [merged] = engines.flatMap((one) => one.merged ?? []);
  if (merged?.value !== undefined) return ", of all their observations together";
  return merged?.apart === undefined ? "" : `, not put together because ${merged.apart}`;
}

/** Why something is active or not. */
export function activationText(
  { activationThreshold }: Trigger,
  isAbove: boolean,
  activity = 0,
): string {
  const compared = `${isAbove ? "above" : "not above"} the activation threshold ${activationThreshold}`;
  return activity > 0 && !isAbove
    ? `${compared}; in use: ${activity} requests wait, run or arrive in a second`
    : compared;
}
