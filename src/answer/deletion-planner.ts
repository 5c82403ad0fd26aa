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
  deletionCostCheckMs,
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
   * @param objects The triggers of each object that is looked at now.
   */
  readonly next: (objects: readonly ObjectTriggers[]) => readonly CostChange[];
  /** Forgets every object but these. */
  readonly retain: (objects: readonly ObjectTriggers[]) => void;
}

/** All triggers of one object that may ask at any time; at least one. */
export type ObjectTriggers = readonly ParsedTrigger[];

export function byObject(triggers: readonly ParsedTrigger[]): readonly ObjectTriggers[] {
  return [...Map.groupBy(triggers, ({ ref }) => keyOf(ref)).values()];
}

function keyOf({ namespace, name }: ParsedTrigger["ref"]): string {
  return `${namespace}/${name}`;
}

/** What is remembered of a workload. */
interface KnownCosts {
  /** Of each pod's uid. */
  costs: ReadonlyMap<string, number | undefined>;
  notBeforeMs: number;
  changedAtMs: number;
}

export function deletionPlanner(options: DeletionPlannerOptions): DeletionPlanner {
  const known = new Map<string, KnownCosts>();
  const allowance = changeAllowance();
  return {
    next: (objects) => {
      const nowMs = options.clock.monotonicMs();
      const changes: CostChange[] = [];
      for (const { triggers, own } of inTurn(objects, known)) {
        const most = Math.min(deletionCostsPerWorkload, allowance.left(nowMs));
        if (most === 0) break;
        if (nowMs < own.notBeforeMs) continue;
        const loads = scaleInLoads(triggers, options);
        const due = loads === undefined ? [] : dueChanges(own, loads, most, nowMs);
        allowance.take(due.length);
        changes.push(...due);
      }
      return changes;
    },
    retain: (objects) => {
      const kept = new Set(objects.map(objectKey));
      for (const key of known.keys()) if (!kept.has(key)) known.delete(key);
    },
  };
}

function objectKey([first]: ObjectTriggers): string {
  return first === undefined ? "" : keyOf(first.ref);
}

/** Whose costs changed last waits for the others. */
function inTurn(objects: readonly ObjectTriggers[], known: Map<string, KnownCosts>) {
  return objects
    .map((triggers) => {
      const key = objectKey(triggers);
      const own = known.get(key) ?? unchanged();
      known.set(key, own);
      return { triggers, own };
    })
    .toSorted((one, other) => one.own.changedAtMs - other.own.changedAtMs);
}

/** Changes that all workloads may have now; what was taken comes back in a check's time. */
function changeAllowance() {
  const perMs = deletionCostsPerCheck / deletionCostCheckMs;
  let level = deletionCostsPerCheck;
  let atMs = 0;
  return {
    left: (nowMs: number) => {
      level = Math.min(deletionCostsPerCheck, level + (nowMs - atMs) * perMs);
      atMs = nowMs;
      return Math.floor(level);
    },
    take: (changes: number) => {
      level -= changes;
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
