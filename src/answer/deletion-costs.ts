/**
 * The order of a workload's pods by what they have to do, as costs of deletion.
 *
 * A cost is a level of load, so each pod's follows from its own load alone: two replicas of the scaler
 * with the same data set the same ones. A level is about 40 % above the one before it, and pods that
 * are one level apart are as good as equal, because loads change while somebody writes. Costs change
 * only where they would have a pod go before another that has clearly less to do.
 *
 * @module
 */
import type { Pod } from "#workload/pod.ts";

/** What a pod has to do, in a unit that all pods of the workload have in common. */
export interface PodLoad {
  readonly pod: Pod;
  /** Not negative. */
  readonly load: number;
}

/** A cost that a pod should have in place of the one that it has. */
export interface CostChange {
  readonly pod: Pod;
  readonly cost: number;
}

/** 0 for one that is idle; any load is clearly more than that. */
function levelOf(load: number): number {
  return load <= 0 ? 0 : 2 + Math.max(0, Math.round(2 * Math.log2(load)));
}

/**
 * The costs to change, none where the order is right; those of the busiest pods first, which have the
 * most to lose. A pod whose cost somebody else has set has no part in it.
 */
export function costChanges(loads: readonly PodLoad[]): readonly CostChange[] {
  const levels = loads
    .filter(({ pod: { deletionCost } }) => deletionCost?.isOwn !== false)
    .map(({ pod, load }) => ({ pod, cost: levelOf(load) }))
    .toSorted((one, other) => other.cost - one.cost || (one.pod.uid < other.pod.uid ? -1 : 1));
  if (isInOrder(levels.toReversed())) return [];
  return levels.filter(({ pod, cost }) => cost !== costOf(pod));
}

/** As a ReplicaSet sees it. */
function costOf({ deletionCost }: Pod): number {
  return deletionCost?.value ?? 0;
}

/** @param levels By ascending cost. */
function isInOrder(levels: readonly CostChange[]): boolean {
  let clearlyIdler = 0;
  let highest = Number.NEGATIVE_INFINITY;
  return levels.every(({ pod, cost }) => {
    for (;;) {
      const idler = levels[clearlyIdler];
      if (idler === undefined || idler.cost >= cost - 1) break;
      highest = Math.max(highest, costOf(idler.pod));
      clearlyIdler += 1;
    }
    return highest < costOf(pod);
  });
}
