/**
 * A workload's replicas, and the second reduction: all of them into the one value that the HPA gets.
 *
 * Nothing is taken away for want of knowledge. Three cases would have the HPA remove replicas whose
 * load nobody knows, and get the value at which it keeps what there is: replicas that are missing
 * and may come back; a workload of which no replica is ready yet; and replicas above target beside
 * others that load or have lost readiness, for those add nothing (`AverageValue`) or are not
 * multiplied by (`Value`).
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { Fault } from "#core/fault.ts";
import { desiredReplicas, type HpaInputs, keepingValue } from "#kubernetes/hpa.ts";
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
    | { readonly state: "missing"; readonly reason: string }
    /** All is known of it, and there is nothing to measure. */
    | { readonly state: "without-device"; readonly reason: string }
  );

/** A pod of the workload as it counts. */
export type Replica = PodReadings &
  (
    | { readonly state: "counted"; readonly value: number }
    | { readonly state: "warming" }
    | { readonly state: "missing"; readonly reason: string; readonly sinceMs: number }
  );

/**
 * Makes replicas of pods, and remembers since when those are missing that are.
 *
 * @param where The workload, for people.
 * @throws {Fault} `devices-unheld` when all is known and no pod that counts holds a device.
 */
export function replicasOf(
  results: readonly PodResult[],
  { metric, trigger }: MetricQuery,
  where: string,
  tracker: MissingTracker,
): readonly Replica[] {
  const counted = results.filter(({ state }) => state !== "warming");
  const unheld = counted.flatMap((one) => (one.state === "without-device" ? [one] : []));
  if (counted.length > 0 && unheld.length === counted.length)
    throw devicesUnheld(
      unheld.map(({ pod, reason }) => `${pod.name}: ${reason}`),
      metric,
      where,
    );
  const { gpuIndex, container } = trigger;
  return results.map((result): Replica => {
    const { state, pod, devices, engine } = result;
    if (state === "warming") return { state, pod, devices, engine };
    const key = [pod.uid, metric, gpuIndex, container].join(" ");
    if (state === "known") {
      tracker.present(key);
      return { state: "counted", value: result.value, pod, devices, engine };
    }
    const sinceMs = tracker.missing(key);
    return { state: "missing", reason: result.reason, sinceMs, pod, devices, engine };
  });
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
  /** Finite, not negative. */
  readonly value: number;
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
  const keeping = keepingValue(hpa.replicas, hpa);
  const kept = `sent as ${keeping}, at which the HPA keeps ${hpa.replicas}`;
  if (first === undefined) return { value: keeping, notes: [`no replica is ready yet, ${kept}`] };

  const reduced = reducers[reducer]([first, ...rest]);
  assert(Number.isFinite(reduced), `${reducer} of finite values is finite`);
  // KEDA carries nothing below 0. Only a temperature can be, and no target is, so 0 decides alike.
  const value = Math.max(reduced, awaited > 0 ? keeping : 0);
  const isBusy = reduced > keepingValue(counted.length, hpa);
  if (isBusy && desiredReplicas(value, hpa) < hpa.replicas)
    return {
      value: keeping,
      notes: [...notes, `${reduced} while those that serve are above target, ${kept}`],
    };
  if (value === reduced) return { value, notes };
  const raised =
    awaited > 0
      ? `${reduced} while some are missing, ${kept}`
      : `${reduced}, sent as 0, for KEDA carries no negative number`;
  return { value, notes: [...notes, raised] };
}
