/**
 * The Deployment controller with its ReplicaSets, as far as it decides how many pods there are.
 *
 * Source: kubernetes, pkg/controller/deployment (sync.go, rolling.go, recreate.go) and
 * pkg/controller/replicaset.
 *
 * @module
 */
import type { Controller } from "./controller.ts";
import { inDeletionOrder } from "./deletion-order.ts";
import type { Pods } from "./pods.ts";
import { isDeleting, isServing, type ServingReplica } from "./replica.ts";
import type { TargetModel } from "./scenario.ts";

interface ReplicaSet {
  readonly revision: number;
  replicas: number;
}

/** The newest is the last; there is always one. */
type ReplicaSets = readonly [...ReplicaSet[], ReplicaSet];

export function deployment(target: TargetModel, pods: Pods): Controller {
  let sets: ReplicaSets = [{ revision: 0, replicas: target.replicas }];
  let lastSpec = target.replicas;
  const newest = () => sets.at(-1) as ReplicaSet;

  return {
    sync: (spec, nowMs) => {
      // A changed count is shared out first, and the next pass goes on with the rollout.
      if (spec !== lastSpec) rescale(sets, target, lastSpec, spec);
      else if (target.strategy === "Recreate") recreate(sets, pods, spec);
      else rollOut(sets, pods, target, spec);
      lastSpec = spec;
      for (const set of sets) syncPods(set, pods, nowMs);
      sets = [...sets.slice(0, -1).filter(({ replicas }) => replicas > 0), newest()];
    },
    rollOut: () => {
      sets = [...sets, { revision: newest().revision + 1, replicas: 0 }];
    },
    statusReplicas: () => {
      let active = 0;
      for (const pod of pods.all()) if (!isDeleting(pod)) active += 1;
      return active;
    },
  };
}

/** Waits until none of the older ones runs, then creates all. */
function recreate(sets: ReplicaSets, pods: Pods, spec: number): void {
  const newest = sets.at(-1) as ReplicaSet;
  for (const set of sets) if (set !== newest) set.replicas = 0;
  if (pods.all().every(({ revision }) => revision === newest.revision)) newest.replicas = spec;
}

/** One step: more of the newest where there is room, else fewer of the older ones. */
function rollOut(sets: ReplicaSets, pods: Pods, target: TargetModel, spec: number): void {
  const newest = sets.at(-1) as ReplicaSet;
  const { surge, unavailable } = limitsOf(target, spec);
  const room = Math.min(spec + surge - total(sets), spec - newest.replicas);
  if (newest.replicas > spec) newest.replicas = spec;
  else if (room > 0) newest.replicas += room;
  else shrinkOlder(sets, pods, spec - unavailable);
}

function shrinkOlder(sets: ReplicaSets, pods: Pods, least: number): void {
  const newest = sets.at(-1) as ReplicaSet;
  const older = sets.filter((set) => set !== newest);
  const available = new Map(
    sets.map(({ revision }) => [revision, activePods(pods, revision).filter(isServing).length]),
  );
  const availableOf = ({ revision }: ReplicaSet) => available.get(revision) ?? 0;
  let spare = total(sets) - least - (newest.replicas - availableOf(newest));
  // Those that do not serve go first, for nothing is lost with them.
  for (const set of older) {
    const fewer = Math.max(0, Math.min(spare, set.replicas - availableOf(set)));
    set.replicas -= fewer;
    spare -= fewer;
  }
  const serving = sets.reduce((sum, set) => sum + availableOf(set), 0);
  let removable = Math.min(spare, serving - least);
  for (const set of older) {
    const fewer = Math.max(0, Math.min(removable, set.replicas));
    set.replicas -= fewer;
    removable -= fewer;
  }
}

/** Shares a changed count out over all sets, in proportion to what each has. */
function rescale(sets: ReplicaSets, target: TargetModel, before: number, spec: number): void {
  const active = sets.filter(({ replicas }) => replicas > 0);
  if (active.length <= 1) {
    (active[0] ?? (sets.at(-1) as ReplicaSet)).replicas = spec;
    return;
  }
  const allowed = spec > 0 ? spec + limitsOf(target, spec).surge : 0;
  const allowedBefore = before + limitsOf(target, before).surge;
  let toAdd = allowed - total(sets);
  const isGrowing = toAdd > 0;
  const bySize = active.toSorted(
    (one, other) =>
      other.replicas - one.replicas || (other.revision - one.revision) * (isGrowing ? 1 : -1),
  );
  for (const set of bySize) {
    const share = Math.round((set.replicas * allowed) / allowedBefore) - set.replicas;
    const change = isGrowing ? clamped(share, 0, toAdd) : clamped(share, toAdd, 0);
    set.replicas += change;
    toAdd -= change;
  }
  const [largest] = bySize;
  if (largest !== undefined) largest.replicas = Math.max(0, largest.replicas + toAdd);
}

function syncPods({ revision, replicas }: ReplicaSet, pods: Pods, nowMs: number): void {
  const own = activePods(pods, revision);
  for (let count = own.length; count < replicas; count += 1)
    if (!pods.create(revision, -1, nowMs)) return;
  if (own.length <= replicas) return;
  const related = pods.all().filter((pod) => !isDeleting(pod));
  for (const pod of inDeletionOrder(own, related, nowMs).slice(0, own.length - replicas))
    pods.remove(pod, nowMs);
}

function activePods(pods: Pods, revision: number): ServingReplica[] {
  return pods.all().filter((pod) => pod.revision === revision && !isDeleting(pod));
}

function total(sets: ReplicaSets): number {
  return sets.reduce((sum, { replicas }) => sum + replicas, 0);
}

function limitsOf({ maxSurge, maxUnavailable }: TargetModel, spec: number) {
  const surge = countOf(maxSurge, spec, Math.ceil);
  const unavailable = countOf(maxUnavailable, spec, Math.floor);
  // Both may round to 0, and then nothing would ever move.
  return surge === 0 && unavailable === 0
    ? { surge, unavailable: 1 }
    : { surge, unavailable: Math.min(unavailable, spec) };
}

function countOf(
  setting: number | `${number}%`,
  spec: number,
  round: (value: number) => number,
): number {
  return typeof setting === "number" ? setting : round((Number.parseFloat(setting) * spec) / 100);
}

function clamped(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
