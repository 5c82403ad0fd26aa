/**
 * The workload as the Kubernetes API shows it.
 *
 * @module
 */
import { scaleEveryMs, scaleSettleMs } from "#core/limits.ts";
import { fieldManager } from "#kubernetes/client.ts";
import { parseSelector } from "#kubernetes/label-selector.ts";
import { isServing, type ServingReplica } from "#simulate/replica.ts";
import type { CompleteScenario } from "#simulate/scenario.ts";
import type { Simulation } from "#simulate/simulation.ts";
import { deletionCostAnnotation, type ManagedMetadata } from "#workload/deletion-cost.ts";
import { workloadLister } from "#workload/lister.ts";
import { type Pod, podOf } from "#workload/pod.ts";
import { scaledOf } from "#workload/scaled.ts";
import type { WorkloadView } from "#workload/workload.ts";
import { addressOf, epochMs, namespace, nodeName, podName, uidOf } from "./names.ts";

/** Label of a group's pods; its leader is 0. */
const workerLabel = "leaderworkerset.sigs.k8s.io/worker-index";

export function workloadView(simulation: Simulation): {
  readonly workloads: WorkloadView;
  readonly watch: () => void;
  /** Pods have other deletion costs than before, which nothing else says. */
  readonly costsChanged: () => void;
} {
  const { target, scaledObject } = simulation.scenario;
  const { triggers, minReplicaCount, maxReplicaCount, idleReplicaCount, behavior } = scaledObject;
  const { name: workload, kind } = target;
  const scaled = scaledOf("ScaledObject", {
    metadata: { namespace, name: workload },
    spec: {
      triggers: triggers.map((trigger) => ({ type: "external", ...trigger })),
      minReplicaCount,
      maxReplicaCount,
      idleReplicaCount,
      advanced: { horizontalPodAutoscalerConfig: { behavior } },
      scaleTargetRef: { name: workload, kind },
    },
  });
  const objects = new Map(scaled === undefined ? [] : [[`${namespace}/${workload}`, scaled]]);
  const pods = new Map<string, Pod>();
  // The target's selector asks for leaders.
  const parsed = parseSelector(`app=${workload},${workerLabel}=0`);
  const requirements = "requirements" in parsed ? parsed.requirements : [];
  const scale = scaleReads(simulation);
  const of = workloadLister({
    scaledObjects: listed(objects),
    scaledJobs: listed(new Map()),
    pods: new Map([[namespace, listed(pods)]]),
    scaleOf: () => ({ selector: requirements, ...scale.latest() }),
  });
  let costChanges = 0;
  let generation = -1;
  const watch = () => {
    scale.watch();
    const latest = simulation.pods.generation() + costChanges;
    if (generation === latest) return;
    generation = latest;
    pods.clear();
    for (const pod of podsOf(simulation)) pods.set(`${namespace}/${pod.name}`, pod);
  };
  return {
    watch,
    costsChanged: () => {
      costChanges += 1;
    },
    workloads: {
      of: (asker, name, metadata, podFilter = {}) => {
        // Pods and the count each change it.
        const version = generation * 1_000 + (scale.latest().replicas % 1_000);
        return of({ namespace: asker, name, metadata, podFilter, generation: version });
      },
    },
  };
}

function listed<Item>(items: ReadonlyMap<string, Item>) {
  const nothing = () => undefined;
  return { items, synced: () => true, ageMs: () => 0, failure: nothing, stop: nothing };
}

/**
 * `/scale` cannot be watched: it is read a while after pods changed, as often while they are not all
 * ready or not as many as they should be, and now and then.
 */
function scaleReads(simulation: Simulation) {
  let replicas = simulation.specReplicas();
  let dueMs = scaleEveryMs;
  let generation = simulation.pods.generation();
  let isOutdated = false;
  return {
    latest: () => ({ replicas, isOutdated }),
    watch: () => {
      const nowMs = simulation.nowMs();
      if (generation !== simulation.pods.generation()) {
        generation = simulation.pods.generation();
        dueMs = Math.min(dueMs, nowMs + scaleSettleMs);
        isOutdated = true;
      }
      if (nowMs < dueMs) return;
      replicas = simulation.specReplicas();
      isOutdated = false;
      const all = simulation.pods.all();
      const isSettled = all.length === replicas && all.every(isServing);
      dueMs = nowMs + (isSettled ? scaleEveryMs : scaleSettleMs);
    },
  };
}

function podsOf({ pods, scenario }: Simulation): Pod[] {
  const size = scenario.target.kind === "LeaderWorkerSet" ? scenario.target.groupSize : 1;
  return pods
    .all()
    .flatMap((replica) =>
      Array.from(
        { length: size },
        (_none, pod) => podOf(rawPod(scenario, replica, pod)) ?? [],
      ).flat(),
    );
}

const ownerOf = {
  Deployment: "ReplicaSet",
  StatefulSet: "StatefulSet",
  LeaderWorkerSet: "StatefulSet",
} as const;

function rawPod(scenario: CompleteScenario, replica: ServingReplica, pod: number): unknown {
  const { phase, scheduledAtMs, readyChangedAtMs, deletingAtMs, nodes } = replica;
  const isReady = phase === "ready";
  const { name: workload } = scenario.target;
  const node = nodes[pod];
  return {
    metadata: {
      namespace,
      name: podName(replica, pod),
      uid: uidOf(replica, pod),
      ownerReferences: [
        { apiVersion: "apps/v1", kind: ownerOf[scenario.target.kind], controller: true },
      ],
      ...costMetadata(replica),
      labels: {
        app: workload,
        [workerLabel]: `${pod}`,
        "leaderworkerset.sigs.k8s.io/name": workload,
        "leaderworkerset.sigs.k8s.io/group-index": `${replica.number}`,
      },
      ...(deletingAtMs === undefined ? {} : { deletionTimestamp: timeText(deletingAtMs) }),
    },
    spec: {
      ...(node === undefined ? {} : { nodeName: nodeName(scenario, node) }),
      containers: [{ name: "server", ports: [{ name: "http", containerPort: 8000 }] }],
    },
    status:
      scheduledAtMs === undefined
        ? { phase: "Pending" }
        : {
            phase: "Running",
            podIP: addressOf(replica, pod),
            startTime: timeText(scheduledAtMs),
            conditions: [
              {
                type: "Ready",
                status: isReady ? "True" : "False",
                lastTransitionTime: timeText(readyChangedAtMs),
              },
            ],
            containerStatuses: [{ name: "server", ready: isReady }],
          },
  };
}

/** The annotation as this scaler applies it. */
function costMetadata({ deletionCost }: ServingReplica): ManagedMetadata {
  if (deletionCost === undefined) return {};
  const owned = { [`f:${deletionCostAnnotation}`]: {} };
  return {
    annotations: { [deletionCostAnnotation]: `${deletionCost}` },
    managedFields: [
      { manager: fieldManager, fieldsV1: { "f:metadata": { "f:annotations": owned } } },
    ],
  };
}

function timeText(ms: number): string {
  return new Date(epochMs + ms).toISOString();
}
