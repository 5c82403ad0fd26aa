/**
 * In which order a ReplicaSet deletes pods that are too many.
 *
 * Source: kubernetes, pkg/controller/controller_utils.go, `ActivePodsWithRanks`, with the feature
 * gates PodDeletionCost and LogarithmicScaleDown as they are by default.
 *
 * @module
 */
import type { ServingReplica } from "./replica.ts";

/** Not assigned, not ready, ready. */
const phaseOrder = { pending: 0, loading: 1, ready: 2, gone: 3 };

/**
 * @param own Those of the ReplicaSet.
 * @param related The active pods of all ReplicaSets of its Deployment.
 * @returns Those to delete first, first.
 */
export function inDeletionOrder(
  own: readonly ServingReplica[],
  related: readonly ServingReplica[],
  nowMs: number,
): readonly ServingReplica[] {
  const onNode = Map.groupBy(related, ({ nodes: [node] }) => node);
  const neighbours = ({ nodes: [node] }: ServingReplica) => onNode.get(node)?.length ?? 0;
  return own.toSorted(
    (one, other) =>
      phaseOrder[one.phase] - phaseOrder[other.phase] ||
      (one.deletionCost ?? 0) - (other.deletionCost ?? 0) ||
      // Those that share a node with most others.
      neighbours(other) - neighbours(one) ||
      youngerFirst(one, other, nowMs),
  );
}

function youngerFirst(one: ServingReplica, other: ServingReplica, nowMs: number): number {
  const [since, otherSince] =
    one.phase === "ready"
      ? [one.readyChangedAtMs, other.readyChangedAtMs]
      : [one.createdAtMs, other.createdAtMs];
  // Where Kubernetes has no order left, the newest number goes.
  if (since === otherSince) return other.number - one.number;
  return ageRank(nowMs - since) - ageRank(nowMs - otherSince) || uidOf(one) - uidOf(other);
}

/** Ages of which neither is twice the other are often alike, so that chance decides and no rule. */
function ageRank(ageMs: number): number {
  return ageMs > 0 ? Math.floor(Math.log2(ageMs * 1e6)) : -1;
}

/** In no order that has to do with age, as random uids are. */
function uidOf({ number }: ServingReplica): number {
  return Math.imul(number + 1, 0x9e37_79b1) >>> 0;
}
