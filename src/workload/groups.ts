/**
 * Replicas that are groups of pods: those of a LeaderWorkerSet.
 *
 * Source: kubernetes-sigs/lws, api/leaderworkerset/v1/leaderworkerset_types.go.
 *
 * @module
 */
import type { Pod } from "./pod.ts";

const groupLabels = [
  "leaderworkerset.sigs.k8s.io/name",
  "leaderworkerset.sigs.k8s.io/group-index",
] as const;
/** 0 is the leader. */
const workerLabel = "leaderworkerset.sigs.k8s.io/worker-index";

/**
 * The leaders with the other pods of their groups, which the scale's selector leaves out. A group
 * serves when all its pods do.
 */
export function groupsOf(selected: readonly Pod[], all: Iterable<Pod>): readonly Pod[] {
  const groupOf = ({ labels }: Pod) => groupLabels.map((label) => labels[label]).join(" ");
  const isLeader = ({ labels }: Pod) => (labels[workerLabel] ?? "0") === "0";
  const workers = Map.groupBy(
    [...all].filter((pod) => !isLeader(pod) && pod.state !== "ending"),
    groupOf,
  );
  return selected.filter(isLeader).map((leader): Pod => {
    const members = (workers.get(groupOf(leader)) ?? []).toSorted((one, other) =>
      one.name < other.name ? -1 : 1,
    );
    const isWarming = members.some(({ state }) => state === "warming");
    return { ...leader, members, state: isWarming ? "warming" : leader.state };
  });
}
