/**
 * A workload's replicas, and the second reduction: all of them into the one value that the HPA gets.
 *
 * Nothing is taken away for want of knowledge. Three cases would have the HPA remove replicas whose
 * load nobody knows, and get the value at which it keeps `spec.replicas`: replicas that are missing
 * and may come back; a workload of which no replica is ready yet; and replicas above target beside
 * others that load or have lost readiness, for those add nothing (`AverageValue`) or are not
 * multiplied by (`Value`). Nothing is added either because pods surge or end: where the spec fits
 * what was measured, the HPA gets that value too.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { Fault } from "#core/fault.ts";
import { desiredReplicas, type HpaInputs, holdingValue, settledReplicas } from "#kubernetes/hpa.ts";
import { reducers } from "#metric/reduce.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { Workload } from "#workload/workload.ts";
import { type DeviceShare, type EngineShare, listed } from "./explanation.ts";
import type { MissingTracker } from "./missing.ts";
import type { MetricQuery } from "./query.ts";

interface PodReadings {
  readonly pod: Pod;
  readonly devices: readonly DeviceShare[];
  readonly engine?: EngineShare | undefined;
}

/** What the devices or the engine of one pod say of a metric. */
export type PodResult = PodReadings &
  (
    | { readonly state: "known"; readonly value: number }
    /** It is not ready and never was: nobody sends it any work yet, so it is not read. */
    | { readonly state: "warming" }
    | {
        readonly state: "missing";
        readonly reason: string;
        /** When its node, device or engine was last heard; absent where that does not say it. */
        readonly sinceMs?: number | undefined;
      }
    /** All is known of it, and there is nothing to measure. */
    | { readonly state: "without-device"; readonly reason: string }
    /** What it has will never have the metric. */
    | { readonly state: "unfit"; readonly fault: Fault }
  );

/** A pod of the workload as it counts. */
export type Replica = PodReadings &
  (
    | { readonly state: "counted"; readonly value: number }
    | { readonly state: "warming" }
    | { readonly state: "missing"; readonly reason: string; readonly sinceMs: number }
  );

/**
 * Makes replicas of pods, and remembers since when those are missing that are. One that can never
 * have the metric is missing beside others that have it.
 *
 * @param where The workload, for people.
 * @throws {Fault} `devices-unheld` when all is known and no pod that counts holds a device;
 * `metric-unsupported` or `signal-unavailable` when none can ever have the metric.
 */
export function replicasOf(
  results: readonly PodResult[],
  query: MetricQuery,
  where: string,
  tracker: MissingTracker,
): readonly Replica[] {
  const counted = results.filter(({ state }) => state !== "warming");
  const unheld = counted.flatMap((one) => (one.state === "without-device" ? [one] : []));
  if (counted.length > 0 && unheld.length === counted.length)
    throw devicesUnheld(
      unheld.map(({ pod, reason }) => `${pod.name}: ${reason}`),
      query.metric,
      where,
    );
  const unfit = counted.flatMap((one) => (one.state === "unfit" ? [one.fault] : []));
  const [never] = unfit;
  if (never !== undefined && unheld.length + unfit.length === counted.length) throw never;
  const question = questionKey(query);
  return results.map((result): Replica => {
    const { state, pod, devices, engine } = result;
    if (state === "warming") return { state, pod, devices, engine };
    const key = `${pod.uid} ${question}`;
    if (state === "known") {
      tracker.present(key);
      return { state: "counted", value: result.value, pod, devices, engine };
    }
    const sinceMs = (state === "missing" ? result.sinceMs : undefined) ?? tracker.missing(key);
    const reason = state === "unfit" ? result.fault.message : result.reason;
    return { state: "missing", reason, sinceMs, pod, devices, engine };
  });
}

/** Another text for everything that may be known while something else is missing. */
export function questionKey({ purpose, trigger }: MetricQuery): string {
  return `${purpose} ${Bun.hash(JSON.stringify(trigger)).toString(36)}`;
}

function devicesUnheld(pods: readonly string[], metric: string, where: string): Fault {
  return new Fault(
    "devices-unheld",
    `Cannot answer ${metric} for ${where}: its pods hold none of the selected devices ` +
      `(${listed(pods)}); let their containers request a GPU, or correct metadata gpuIndex, ` +
      "container or podSelector",
    { pods },
  );
}

type ReplicaReducer = NonNullable<Trigger["replicaAggregation"]>;

export function replicaReducer(
  { replicaAggregation }: Trigger,
  { metricType }: Workload,
): ReplicaReducer {
  return replicaAggregation ?? (metricType === "Value" ? "avg" : "sum");
}

/** How the replicas of a workload that has pods are known. */
export interface ReplicaCounts {
  readonly known: readonly number[];
  /** How many are missing and may come back. */
  readonly awaited: number;
  /** How many have been missing for longer than the grace: each counts as exactly the target. */
  readonly overdue: number;
}

export interface ReplicaReduction {
  /** Finite, not negative; absent where none makes the HPA keep what there is. */
  readonly value: number | undefined;
  /** Where the value is not simply the reduction: what was done, for people. */
  readonly notes: readonly string[];
}

export function reduceReplicas(
  { known, awaited, overdue }: ReplicaCounts,
  reducer: ReplicaReducer,
  hpa: HpaInputs,
): ReplicaReduction {
  const counted = [...known, ...Array.from({ length: overdue }, () => hpa.target)];
  const notes =
    overdue > 0 ? [`${overdue} long missing, each counted as the target ${hpa.target}`] : [];
  const [first, ...rest] = counted;
  const hold = (why: string) => held(why, hpa, notes);
  if (first === undefined) return hold("no replica is ready yet");

  const reduced = reducers[reducer]([first, ...rest]);
  assert(Number.isFinite(reduced), `${reducer} of finite values is finite`);
  // KEDA carries nothing below 0. Only a temperature can be, and no target is, so 0 decides alike.
  if (reduced < 0 && awaited === 0)
    return {
      value: 0,
      notes: [...notes, `${reduced}, sent as 0, for KEDA carries no negative number`],
    };
  const value = Math.max(0, reduced) * multipliedShare(counted.length, hpa);
  const needed = settledReplicas(value, hpa);
  const isBusy = reduced > (hpa.metricType === "Value" ? 1 : counted.length) * hpa.target;
  if (awaited > 0 && needed <= hpa.replicas) return hold(`${reduced} while some are missing`);
  if (isBusy && needed < hpa.replicas)
    return hold(`${reduced} while those that serve are above target`);
  if (needed === hpa.replicas && desiredReplicas(value, hpa) !== needed)
    return hold(`${reduced} while pods come and go`);
  return value === reduced
    ? { value, notes }
    : {
        value,
        notes: [
          ...notes,
          `${reduced} of ${counted.length}, sent as ${value}, for ${multiplied(hpa)}`,
        ],
      };
}

/** The value at which the HPA keeps what there is. */
function held(why: string, hpa: HpaInputs, notes: readonly string[]): ReplicaReduction {
  const value = holdingValue(hpa);
  const { replicas, statusReplicas } = hpa;
  const outcome =
    value === undefined
      ? `no value keeps spec.replicas ${replicas} while status.replicas is ${statusReplicas}`
      : `sent as ${value}, at which the HPA keeps ${replicas}`;
  return { value, notes: [...notes, `${why}, ${outcome}`] };
}

/**
 * Under `Value` the HPA multiplies by every ready pod, also by those that are missing or end and are
 * not in the mean: they would ask for more on nobody's behalf, and so count as nothing.
 */
function multipliedShare(counted: number, { metricType, readyPods }: HpaInputs): number {
  return metricType === "Value" && readyPods > counted ? counted / readyPods : 1;
}

function multiplied({ readyPods }: HpaInputs): string {
  return `the HPA multiplies by the ${readyPods} pods that are ready`;
}
