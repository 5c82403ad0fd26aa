/**
 * The StatefulSet controller, as far as it decides how many pods there are. A LeaderWorkerSet keeps
 * its groups as a StatefulSet of leaders that moves all at once.
 *
 * Source: kubernetes, pkg/controller/statefulset/stateful_set_control.go; kubernetes-sigs/lws,
 * pkg/controllers/leaderworkerset_controller.go.
 *
 * @module
 */
import type { Controller } from "./controller.ts";
import type { Pods } from "./pods.ts";
import { isDeleting, isServing, type ServingReplica } from "./replica.ts";
import type { TargetModel } from "./scenario.ts";

type ByOrdinal = ReadonlyMap<number, ServingReplica>;

export function statefulSet(target: TargetModel, pods: Pods): Controller {
  const isParallel = target.kind === "LeaderWorkerSet" || target.podManagement === "Parallel";
  let revision = 0;

  /** @returns Whether everything else has to wait for one that is not there yet. */
  const create = (spec: number, byOrdinal: ByOrdinal, nowMs: number): boolean => {
    for (let ordinal = 0; ordinal < spec; ordinal += 1) {
      const pod = byOrdinal.get(ordinal);
      if (pod === undefined) pods.create(revision, ordinal, nowMs);
      if (!isParallel && (pod === undefined || !isServing(pod))) return true;
    }
    return false;
  };

  /** @returns Whether everything else has to wait for one that is not gone yet. */
  const shrink = (spec: number, byOrdinal: ByOrdinal, nowMs: number): boolean => {
    const surplus = [...byOrdinal.values()]
      .filter(({ ordinal }) => ordinal >= spec)
      .sort((one, other) => other.ordinal - one.ordinal);
    for (const pod of surplus) {
      if (!isDeleting(pod)) pods.remove(pod, nowMs);
      if (!isParallel) return true;
    }
    return false;
  };

  /** From the highest ordinal down, the next one when the one before serves again. */
  const replace = (spec: number, byOrdinal: ByOrdinal, nowMs: number) => {
    for (let ordinal = spec - 1; ordinal >= 0; ordinal -= 1) {
      const pod = byOrdinal.get(ordinal);
      if (pod === undefined || isDeleting(pod)) return;
      if (pod.revision !== revision) {
        pods.remove(pod, nowMs);
        return;
      }
      if (!isServing(pod)) return;
    }
  };

  return {
    sync: (spec, nowMs) => {
      const byOrdinal = new Map(pods.all().map((pod) => [pod.ordinal, pod]));
      if (create(spec, byOrdinal, nowMs) || shrink(spec, byOrdinal, nowMs)) return;
      replace(spec, byOrdinal, nowMs);
    },
    rollOut: () => {
      revision += 1;
    },
    statusReplicas: () => pods.all().length,
  };
}
