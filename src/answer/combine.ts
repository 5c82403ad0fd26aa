/**
 * The second reduction: replicas into the one value that the HPA gets.
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
import { desiredReplicas, type HpaSide, keepingValue } from "#kubernetes/hpa.ts";
import { reducers } from "#metric/reduce.ts";

/** The replicas of a workload that has pods. */
export interface Counts {
  readonly known: readonly number[];
  /** Missing, and may come back. */
  readonly awaited: number;
  /** Missing for longer than the grace: each counts as exactly the target. */
  readonly overdue: number;
}

export interface Combined {
  /** Finite, not negative. */
  readonly value: number;
  /** Where the value is not simply the reduction: what was done, for people. */
  readonly notes: readonly string[];
}

export function combine(
  { known, awaited, overdue }: Counts,
  reducer: "sum" | "avg" | "max" | "p95",
  hpa: HpaSide,
): Combined {
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
