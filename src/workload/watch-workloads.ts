/**
 * Every workload that this service may be asked about, always ready to be looked up.
 *
 * Three kinds of watch: all ScaledObjects, all ScaledJobs, and the pods of each namespace that has
 * one of those that are served: whose trigger names this service, before it ever asks, or which was
 * asked for lately. KEDA's connection may move to this replica at any time.
 *
 * @module
 */
import { setNewest } from "#core/bounded-map.ts";
import type { Clock } from "#core/clock.ts";
import { askedForMax, askedForMs, namespacesMax, resyncMs } from "#core/limits.ts";
import { type Listeners, listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import type { KubernetesClient } from "#kubernetes/client.ts";
import { type Informer, informer } from "#kubernetes/informer.ts";
import { matchesLabels } from "#kubernetes/label-selector.ts";
import { admission, isNotInstalled } from "./admission.ts";
import { type WorkloadInformers, workloadLister } from "./lister.ts";
import { type Pod, podOf } from "./pod.ts";
import { scaleReader } from "./scale.ts";
import { namesService, type ScaledResource, scaledOf } from "./scaled.ts";
import type { WorkloadView } from "./workload.ts";

export interface WorkloadsOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly log: Log;
  /** This service as ScaledObjects name it: `keda-gpu-scaler.keda`, one for each Service. */
  readonly services: readonly string[];
}

/** A trigger that names this service. */
export interface ServedTrigger {
  readonly namespace: string;
  readonly name: string;
  /** As it stands in the object: what KEDA resolves from an environment is not resolved. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The object that has a trigger. */
export type AdmittedObject = Pick<ScaledResource, "kind" | "namespace" | "name" | "uid">;

export interface Workloads {
  /**
   * Lets a call pass that is of a trigger which a ScaledObject or ScaledJob really has.
   *
   * @returns Which object that is.
   * @throws {Fault} `workload-syncing`, `workload-unknown`, `trigger-unmatched`.
   */
  readonly admit: (
    namespace: string,
    name: string,
    metadata: Readonly<Record<string, string>>,
  ) => AdmittedObject;
  readonly view: WorkloadView;
  /** As `view`, without recording that somebody asked. */
  readonly peek: WorkloadView;
  /** Every trigger that may ask at any time; empty before the first list. */
  readonly servedTriggers: () => readonly ServedTrigger[];
  /** What has to be read yet before every served workload can be answered for; then empty. */
  readonly waitingFor: () => readonly string[];
  /** Runs `listener` after every change. */
  readonly subscribe: Listeners["subscribe"];
  readonly stop: () => void;
}

export function watchWorkloads(options: WorkloadsOptions): Workloads {
  const { clock, services } = options;
  const generations = namespaceGenerations();
  const requests = recentRequests(clock);
  const { pods, scales, ...resources } = podsAndScales(options, generations.changed);

  const isServed = (key: string, { triggers }: ScaledResource) =>
    requests.has(key) || triggers.some((trigger) => namesService(trigger, services));
  const scaledInformer = (kind: ScaledResource["kind"], plural: string) =>
    informer({
      ...options,
      path: `/apis/keda.sh/v1alpha1/${plural}`,
      transform: (object) => scaledOf(kind, object),
      changed: ({ key, item }) => {
        if (item !== undefined && isServed(key, item)) resources.watch(key, item);
        if (item === undefined && kind === "ScaledObject") scales.delete(key);
        generations.changed(namespaceOf(key));
      },
    });
  const scaledObjects = scaledInformer("ScaledObject", "scaledobjects");
  const scaledJobs = scaledInformer("ScaledJob", "scaledjobs");
  const served = () =>
    [...scaledObjects.items, ...scaledJobs.items].filter(([key, item]) => isServed(key, item));

  const recordRequest = (key: string) => {
    requests.add(key);
    for (const { items } of [scaledObjects, scaledJobs]) {
      const item = items.get(key);
      if (item !== undefined) resources.watch(key, item);
    }
  };
  const cancel = clock.every(resyncMs, () => {
    requests.expire();
    resources.retain(served());
  });

  const informers = { scaledObjects, scaledJobs, pods, scaleOf: scales.get };
  const find = admission(informers);
  const lookUp = workloadLister(informers, find);
  const admit: Workloads["admit"] = (namespace, name, metadata) =>
    find({ namespace, name, metadata }).scaled;
  const peek: WorkloadView["of"] = (namespace, name, metadata, podFilter = {}) =>
    lookUp({ namespace, name, metadata, podFilter, generation: generations.of(namespace) });
  return {
    admit,
    view: {
      of: (namespace, name, metadata, podFilter) => {
        // What nobody has must not take the place of what somebody does.
        admit(namespace, name, metadata);
        recordRequest(`${namespace}/${name}`);
        return peek(namespace, name, metadata, podFilter);
      },
    },
    peek: { of: peek },
    servedTriggers: () =>
      [...scaledObjects.items.values(), ...scaledJobs.items.values()].flatMap((item) =>
        servedTriggers(item, services),
      ),
    waitingFor: firstSync(() => unread(informers, served())),
    subscribe: generations.subscribe,
    stop: () => {
      cancel();
      scales.stop();
      for (const watched of [scaledObjects, scaledJobs, ...pods.values()]) watched.stop();
    },
  };
}

function servedTriggers(
  { namespace, name, triggers }: ScaledResource,
  services: readonly string[],
): readonly ServedTrigger[] {
  return triggers
    .filter((trigger) => namesService(trigger, services))
    .map(({ metadata }) => ({ namespace, name, metadata }));
}

/** A number for each namespace that is another after every change of anything known of it. */
function namespaceGenerations() {
  const changes = listeners();
  const generations = new Map<string, number>();
  let latest = 0;
  return {
    of: (namespace: string) => generations.get(namespace) ?? 0,
    changed: (namespace: string) => {
      latest += 1;
      generations.set(namespace, latest);
      changes.notify();
    },
    subscribe: changes.subscribe,
  };
}

/** Workloads that somebody asked for in the last `askedForMs`. */
function recentRequests(clock: Clock) {
  const requestedAtMs = new Map<string, number>();
  return {
    has: (key: string) => requestedAtMs.has(key),
    add: (key: string) => setNewest(requestedAtMs, key, clock.monotonicMs(), askedForMax),
    expire: () => {
      const nowMs = clock.monotonicMs();
      for (const [key, atMs] of requestedAtMs)
        if (nowMs - atMs > askedForMs) requestedAtMs.delete(key);
    },
  };
}

/** What an answer needs beside the ScaledObject: the namespace's pods and the target's scale. */
function podsAndScales(options: WorkloadsOptions, changed: (namespace: string) => void) {
  const pods = new Map<string, Informer<Pod>>();
  const scales = scaleReader({
    ...options,
    changed: (key) => changed(namespaceOf(key)),
    isStarting: (namespace, selector) =>
      [...(pods.get(namespace)?.items.values() ?? [])].some(
        ({ state, ready, labels }) =>
          state !== "ending" && !ready && matchesLabels(selector, labels),
      ),
  });

  const podInformer = (namespace: string) =>
    informer({
      ...options,
      path: `/api/v1/namespaces/${namespace}/pods`,
      transform: podOf,
      changed: ({ item, before }) => {
        const labels = (item ?? before)?.labels ?? {};
        if (activeUid(item) !== activeUid(before)) scales.podChanged(namespace, labels);
        else if (item?.ready !== before?.ready) scales.readinessChanged(namespace, labels);
        changed(namespace);
      },
      listed: () => changed(namespace),
    });
  const watch = (key: string, { namespace, target }: ScaledResource) => {
    if (!pods.has(namespace) && pods.size < namespacesMax)
      pods.set(namespace, podInformer(namespace));
    if (target !== undefined) scales.add(key, namespace, target);
  };
  return {
    pods,
    scales,
    watch,
    /** Stops whatever none of these needs. */
    retain: (served: readonly (readonly [key: string, ScaledResource])[]) => {
      scales.retain(new Set(served.map(([key]) => key)));
      const namespaces = new Set(served.map(([, { namespace }]) => namespace));
      for (const [namespace, watched] of pods) {
        if (namespaces.has(namespace)) continue;
        watched.stop();
        pods.delete(namespace);
      }
      // One that did not fit before may fit now.
      for (const [key, item] of served) watch(key, item);
    },
  };
}

/** Which pod it is; one that is being deleted has left its scale target. */
function activeUid(pod: Pod | undefined): string | undefined {
  return pod?.state === "ending" ? undefined : pod?.uid;
}

/** What `unreadNow` returns until that is nothing for the first time, and nothing ever after. */
function firstSync(unreadNow: () => readonly string[]): () => readonly string[] {
  let synced = false;
  return () => {
    if (synced) return [];
    const names = unreadNow();
    synced = names.length === 0;
    return names;
  };
}

function unread(
  { scaledObjects, scaledJobs, pods, scaleOf }: WorkloadInformers,
  served: readonly (readonly [key: string, ScaledResource])[],
): readonly string[] {
  const names = new Set<string>();
  if (!scaledObjects.synced()) names.add("ScaledObjects");
  if (!(scaledJobs.synced() || isNotInstalled(scaledJobs))) names.add("ScaledJobs");
  for (const [key, { namespace, target }] of served) {
    if (pods.get(namespace)?.synced() === false) names.add(`pods of ${namespace}`);
    if (target !== undefined && scaleOf(key) === undefined) names.add(`scale of ${key}`);
  }
  return [...names];
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
