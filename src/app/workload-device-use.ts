/**
 * What each ScaledObject and ScaledJob used of devices while this process looked on: their time, and the
 * energy that they used in it.
 *
 * Reports come by node, every second, and pods by object, in rounds. So what a pod used is kept until a
 * round says whose it is, and from then on goes to that object, also when the pod is gone before the
 * next round.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { decidedTriggersMax } from "#core/limits.ts";
import { podDeviceUse } from "#fleet/pod-device-use.ts";
import type { FleetNode, FleetStore } from "#fleet/view.ts";
import type { ObjectDeviceUse } from "#observe/scaler-metrics.ts";
import type { Pod } from "#workload/pod.ts";

export interface WorkloadDeviceUse {
  /** Takes two states of a node, one after the other. */
  readonly put: (before: FleetNode, after: FleetNode) => void;
  /** Says once in each round whose the pods are. A pod of two objects is the first one's. */
  readonly claim: (object: ObjectRef, pods: readonly Pod[]) => void;
  /** A round is over: what it did not name is forgotten, pods of nobody too. */
  readonly endRound: () => void;
  /** The mean of the round before, in watts; `undefined` where nothing was measured in it. */
  readonly powerWattsOf: (object: ObjectRef) => number | undefined;
  /** Those whose pods held a device. */
  readonly totals: () => readonly ObjectDeviceUse[];
}

type ObjectRef = Pick<ObjectDeviceUse, "namespace" | "name">;

/** Energy is absent until some was measured: a device that tells none is no device that uses none. */
interface DeviceUse {
  readonly joules?: number | undefined;
  readonly deviceSeconds: number;
}

interface KeptObject extends ObjectRef {
  usage?: DeviceUse | undefined;
  round: number;
  /** Its energy when the round before ended. */
  joulesBefore?: number | undefined;
  powerWatts?: number | undefined;
}

interface KeptPod {
  /** While nobody had claimed it. */
  usage?: DeviceUse | undefined;
  owner?: string;
  /** Since somebody claimed it. */
  uid?: string;
  readonly sinceRound: number;
  /** When something of it was heard last. */
  round: number;
}

export function workloadDeviceUse({ monotonicMs }: Pick<Clock, "monotonicMs">): WorkloadDeviceUse {
  const objects = new Map<string, KeptObject>();
  const pods = new Map<string, KeptPod>();
  let round = 0;
  let roundEndedAtMs: number | undefined;

  const claimPod = ({ namespace, name, uid, node, members = [] }: Pod, owner: string): void => {
    for (const member of members) claimPod(member, owner);
    const pod = node === undefined ? undefined : pods.get(podKey({ node, namespace, pod: name }));
    const object = objects.get(owner);
    if (pod === undefined || object === undefined) return;
    pod.uid = uid;
    if (pod.owner !== undefined && objects.has(pod.owner)) return;
    pod.owner = owner;
    object.usage = sum(object.usage, pod.usage);
    pod.usage = undefined;
  };

  const forgetUnclaimed = () => {
    for (const [key, object] of objects) if (object.round < round) objects.delete(key);
    for (const [key, { round: heard, sinceRound, owner }] of pods) {
      const isOwned = owner !== undefined && objects.has(owner);
      // A pod that came in the middle of a round may be claimed in the next one.
      if (heard < round || (!isOwned && sinceRound < round)) pods.delete(key);
    }
  };

  return {
    put: (before, after) => {
      for (const used of podDeviceUse(before, after, (pod) => pods.get(podKey(pod))?.uid)) {
        const key = podKey(used);
        const pod = pods.get(key) ?? { sinceRound: round, round };
        pods.set(key, pod);
        pod.round = round;
        const account = (pod.owner === undefined ? undefined : objects.get(pod.owner)) ?? pod;
        account.usage = sum(account.usage, used);
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
      forgetUnclaimed();
      const nowMs = monotonicMs();
      for (const object of objects.values()) measure(object, nowMs - (roundEndedAtMs ?? nowMs));
      roundEndedAtMs = nowMs;
      round += 1;
    },
    powerWattsOf: ({ namespace, name }) => objects.get(`${namespace}/${name}`)?.powerWatts,
    totals: () =>
      [...objects.values()].flatMap(({ namespace, name, usage }) =>
        usage === undefined ? [] : [{ namespace, name, ...usage }],
      ),
  };
}

function measure(object: KeptObject, lengthMs: number): void {
  const { usage, joulesBefore } = object;
  const joules = usage?.joules;
  const isMeasured = joules !== undefined && joulesBefore !== undefined && lengthMs > 0;
  const grown = isMeasured ? joules - joulesBefore : 0;
  // Every device draws something: no growth is no report.
  object.powerWatts = grown > 0 ? (grown / lengthMs) * 1_000 : undefined;
  object.joulesBefore = joules;
}

/** The store, with `put` told of each node's state before and after a report that was taken. */
export function meteredStore(store: FleetStore, put: WorkloadDeviceUse["put"]): FleetStore {
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

function sum(one: DeviceUse | undefined, other: DeviceUse | undefined): DeviceUse | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const knowsNone = one.joules === undefined && other.joules === undefined;
  return {
    joules: knowsNone ? undefined : (one.joules ?? 0) + (other.joules ?? 0),
    deviceSeconds: one.deviceSeconds + other.deviceSeconds,
  };
}

function podKey({ node, namespace, pod }: Readonly<Record<"node" | "namespace" | "pod", string>>) {
  return `${node}/${namespace}/${pod}`;
}
