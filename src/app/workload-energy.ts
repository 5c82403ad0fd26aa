/**
 * Energy of each ScaledObject and ScaledJob: what the devices that its pods hold used while this process
 * looked on.
 *
 * Reports come by node, every second, and pods by object, in rounds. So what a pod used is kept until a
 * round says whose it is, and from then on goes to that object, also when the pod is gone before the
 * next round.
 *
 * @module
 */
import { decidedTriggersMax } from "#core/limits.ts";
import { podEnergy } from "#fleet/pod-energy.ts";
import type { FleetNode, FleetStore } from "#fleet/view.ts";
import type { ObjectEnergy } from "#observe/scaler-metrics.ts";
import type { Pod } from "#workload/pod.ts";

export interface WorkloadEnergy {
  /** Takes two states of a node, one after the other. */
  readonly put: (before: FleetNode, after: FleetNode) => void;
  /** Says once in each round whose the pods are. A pod of two objects is the first one's. */
  readonly claim: (object: ObjectRef, pods: readonly Pod[]) => void;
  /** A round is over: what it did not name is forgotten, pods of nobody too. */
  readonly endRound: () => void;
  /** Those of whose devices something was measured. */
  readonly totals: () => readonly ObjectEnergy[];
}

type ObjectRef = Pick<ObjectEnergy, "namespace" | "name">;

interface KeptObject extends ObjectRef {
  joules?: number;
  round: number;
}

interface KeptPod {
  /** Used while nobody had claimed it. */
  joules: number;
  owner?: string;
  readonly sinceRound: number;
  /** When something of it was heard last. */
  round: number;
}

export function workloadEnergy(): WorkloadEnergy {
  const objects = new Map<string, KeptObject>();
  const pods = new Map<string, KeptPod>();
  let round = 0;

  const claimPod = ({ namespace, name, node, members = [] }: Pod, owner: string): void => {
    for (const member of members) claimPod(member, owner);
    const pod = node === undefined ? undefined : pods.get(podKey({ node, namespace, pod: name }));
    const object = objects.get(owner);
    if (pod === undefined || object === undefined) return;
    if (pod.owner !== undefined && objects.has(pod.owner)) return;
    pod.owner = owner;
    object.joules = (object.joules ?? 0) + pod.joules;
    pod.joules = 0;
  };

  return {
    put: (before, after) => {
      for (const used of podEnergy(before, after)) {
        const key = podKey(used);
        const pod = pods.get(key) ?? { joules: 0, sinceRound: round, round };
        pods.set(key, pod);
        pod.round = round;
        const object = pod.owner === undefined ? undefined : objects.get(pod.owner);
        if (object === undefined) pod.joules += used.joules;
        else object.joules = (object.joules ?? 0) + used.joules;
      }
    },
    claim: ({ namespace, name }, theirs) => {
      const key = `${namespace}/${name}`;
      const known = objects.get(key);
      if (known === undefined && objects.size >= decidedTriggersMax) return;
      objects.set(key, { ...known, namespace, name, round });
      for (const pod of theirs) claimPod(pod, key);
    },
    endRound: () => {
      for (const [key, object] of objects) if (object.round < round) objects.delete(key);
      for (const [key, { round: heard, sinceRound, owner }] of pods) {
        const isOwned = owner !== undefined && objects.has(owner);
        // A pod that came in the middle of a round may be claimed in the next one.
        if (heard < round || (!isOwned && sinceRound < round)) pods.delete(key);
      }
      round += 1;
    },
    totals: () =>
      [...objects.values()].flatMap(({ namespace, name, joules }) =>
        joules === undefined ? [] : [{ namespace, name, joules }],
      ),
  };
}

/** The store, with `put` told of each node's state before and after a report that was taken. */
export function meteredStore(store: FleetStore, put: WorkloadEnergy["put"]): FleetStore {
  const { nodes } = store.view();
  return {
    ...store,
    put: (report) => {
      const before = nodes.get(report.name);
      store.put(report);
      const after = nodes.get(report.name);
      if (before !== undefined && after !== undefined && after !== before) put(before, after);
    },
  };
}

function podKey({ node, namespace, pod }: Readonly<Record<"node" | "namespace" | "pod", string>>) {
  return `${node}/${namespace}/${pod}`;
}
