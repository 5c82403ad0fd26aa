/**
 * Which deletion costs to change now, of all workloads.
 *
 * Every change is an update of a pod, so a workload's costs change seldom, whichever replica of the
 * scaler changes them, and all workloads share what may be changed at once.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import {
  deletionCostSpacingMs,
  deletionCostsPerCheck,
  deletionCostsPerWorkload,
} from "#core/limits.ts";
import type { ParsedTrigger } from "./answer.ts";
import { type CostChange, costChanges, type PodLoad } from "./deletion-costs.ts";
import { type ScaleInOptions, scaleInLoads } from "./scale-in.ts";

export interface DeletionPlannerOptions extends ScaleInOptions {
  readonly clock: Pick<Clock, "monotonicMs">;
}

export interface DeletionPlanner {
  /**
   * Takes every change that it returns for made; one that was not made is due again later.
   *
   * @param triggers All that may ask at any time.
   */
  readonly next: (triggers: readonly ParsedTrigger[]) => readonly CostChange[];
}

/** What is remembered of a workload. */
interface KnownCosts {
  /** Of each pod's uid. */
  costs: ReadonlyMap<string, number | undefined>;
  notBeforeMs: number;
  changedAtMs: number;
}

export function deletionPlanner(options: DeletionPlannerOptions): DeletionPlanner {
  let known: ReadonlyMap<string, KnownCosts> = new Map();
  return {
    next: (triggers) => {
      const nowMs = options.clock.monotonicMs();
      const objects = Map.groupBy(triggers, ({ ref }) => `${ref.namespace}/${ref.name}`);
      const before = known;
      known = new Map([...objects.keys()].map((key) => [key, before.get(key) ?? unchanged()]));
      // Whose costs changed last waits for the others.
      const turns = [...known].toSorted(
        ([, one], [, other]) => one.changedAtMs - other.changedAtMs,
      );
      const changes: CostChange[] = [];
      for (const [key, own] of turns) {
        const most = Math.min(deletionCostsPerWorkload, deletionCostsPerCheck - changes.length);
        if (most === 0) break;
        if (nowMs < own.notBeforeMs) continue;
        const loads = scaleInLoads(objects.get(key) ?? [], options);
        if (loads !== undefined) changes.push(...dueChanges(own, loads, most, nowMs));
      }
      return changes;
    },
  };
}

function unchanged(): KnownCosts {
  const never = Number.NEGATIVE_INFINITY;
  return { costs: new Map(), notBeforeMs: never, changedAtMs: never };
}

function dueChanges(
  own: KnownCosts,
  loads: readonly PodLoad[],
  most: number,
  nowMs: number,
): readonly CostChange[] {
  const costs = new Map(loads.map(({ pod }) => [pod.uid, pod.deletionCost?.value]));
  const isChangedByOthers = [...costs].some(
    ([uid, cost]) => own.costs.has(uid) && own.costs.get(uid) !== cost,
  );
  own.costs = costs;
  if (isChangedByOthers) {
    own.notBeforeMs = nowMs + deletionCostSpacingMs;
    return [];
  }
  const all = costChanges(loads);
  if (all.length === 0) return [];
  const due = all.slice(0, most);
  for (const { pod, cost } of due) costs.set(pod.uid, cost);
  own.changedAtMs = nowMs;
  // The rest of them may not wait: half an order is none.
  own.notBeforeMs = due.length < all.length ? nowMs : nowMs + deletionCostSpacingMs;
  return due;
}
