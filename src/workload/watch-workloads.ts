/**
 * Every workload that this service may be asked about, always ready to be looked up.
 *
 * Three kinds of watch: all ScaledObjects, all ScaledJobs, and the pods of each namespace that has a
 * prepared one. Prepared are those whose trigger calls this service, before they ever ask, and those
 * that asked lately: KEDA's connection may move to this replica at any time.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { askedForMax, askedForMs, namespacesMax } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { KubernetesClient } from "#kubernetes/client.ts";
import { type Informer, type InformerChange, informer } from "#kubernetes/informer.ts";
import { isAbsent, lookUps } from "./look-up.ts";
import { type Pod, podOf } from "./pod.ts";
import { scaleReader } from "./scale.ts";
import { callsUs, type ScaledResource, scaledOf, triggerCallsUs } from "./scaled.ts";
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

/** A trigger that calls this service. */
export interface PreparedTrigger {
  readonly namespace: string;
  readonly name: string;
  /** As it stands in the object: what KEDA resolves from an environment is not resolved. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Workloads {
  readonly view: WorkloadView;
  /** As `view`, without remembering that anybody asked. */
  readonly glance: WorkloadView;
  /** Every trigger that may ask at any time; empty before the first list. */
  readonly prepared: () => readonly PreparedTrigger[];
  /** What has to be read yet before every prepared workload can be answered for; then empty. */
  readonly waitingFor: () => readonly string[];
  /** Runs `listener` after every change of a namespace; returns the way to stop it. */
  readonly subscribe: (listener: (namespace: string) => void) => () => void;
  readonly stop: () => void;
}

/** How often what is no longer needed is let go. */
const tidyMs = 60_000;

export function watchWorkloads(options: WorkloadsOptions): Workloads {
  const { client, clock, random, log, services } = options;
  const listeners = new Set<(namespace: string) => void>();
  const revisions = new Map<string, number>();
  const asked = new Map<string, number>();
  const pods = new Map<string, Informer<Pod>>();
  let revision = 0;
  let everReady = false;

  const bump = (namespace: string) => {
    revision += 1;
    revisions.set(namespace, revision);
    for (const listener of [...listeners]) listener(namespace);
  };

  const scales = scaleReader({
    client,
    clock,
    random,
    log,
    changed: (key) => bump(namespaceOf(key)),
  });
  const shared = { client, clock, random, log };
  const scaledChanged = (
    kind: ScaledResource["kind"],
    { key, item }: InformerChange<ScaledResource>,
  ) => {
    if (key === undefined) return;
    if (item !== undefined && isWanted(key, item)) prepare(key, item);
    if (item === undefined && kind === "ScaledObject") scales.forget(key);
    bump(namespaceOf(key));
  };
  const followScaled = (kind: ScaledResource["kind"], resource: string) =>
    informer({
      ...shared,
      path: `/apis/keda.sh/v1alpha1/${resource}`,
      trim: (object) => scaledOf(kind, object),
      changed: (change) => scaledChanged(kind, change),
    });
  const objects = followScaled("ScaledObject", "scaledobjects");
  const jobs = followScaled("ScaledJob", "scaledjobs");
  const isWanted = (key: string, item: ScaledResource) => asked.has(key) || callsUs(item, services);

  const prepare = (key: string, { namespace, target }: ScaledResource) => {
    if (!pods.has(namespace) && pods.size < namespacesMax)
      pods.set(namespace, followPods(namespace));
    if (target !== undefined) scales.want(key, namespace, target);
  };

  const followPods = (namespace: string) =>
    informer({
      ...shared,
      path: `/api/v1/namespaces/${namespace}/pods`,
      trim: podOf,
      changed: ({ item, before }) => {
        if (item?.uid !== before?.uid) scales.touch(namespace, (item ?? before)?.labels ?? {});
        bump(namespace);
      },
    });

  const remember = (key: string) => {
    asked.delete(key);
    asked.set(key, clock.monotonicMs());
    const [oldest] = asked.keys();
    if (asked.size > askedForMax && oldest !== undefined) asked.delete(oldest);
    for (const { items } of [objects, jobs]) {
      const item = items.get(key);
      if (item !== undefined) prepare(key, item);
    }
  };

  const wanted = () =>
    [...objects.items, ...jobs.items].filter(([key, item]) => isWanted(key, item));

  const tidy = () => {
    const nowMs = clock.monotonicMs();
    for (const [key, atMs] of asked) if (nowMs - atMs > askedForMs) asked.delete(key);
    const kept = wanted();
    scales.keep(new Set(kept.map(([key]) => key)));
    const namespaces = new Set(kept.map(([, { namespace }]) => namespace));
    for (const [namespace, followed] of pods) {
      if (namespaces.has(namespace)) continue;
      followed.stop();
      pods.delete(namespace);
    }
    // One that did not fit before may fit now.
    for (const [key, item] of kept) prepare(key, item);
  };
  const cancel = clock.every(tidyMs, tidy);

  const waitingFor = () => {
    if (everReady) return [];
    const kinds = [
      ...(objects.synced() ? [] : ["ScaledObjects"]),
      ...(jobs.synced() || isAbsent(jobs) ? [] : ["ScaledJobs"]),
    ];
    const parts = wanted().flatMap(([key, { namespace, target }]) => [
      ...(pods.get(namespace)?.synced() === false ? [`pods of ${namespace}`] : []),
      ...(target !== undefined && scales.of(key) === undefined ? [`scale of ${key}`] : []),
    ]);
    const waiting = [...new Set([...kinds, ...parts])];
    everReady = waiting.length === 0;
    return waiting;
  };

  const lookUp = lookUps({ objects, jobs, pods, scaleOf: scales.of });
  const glance: WorkloadView["of"] = (namespace, name, metadata, narrowing = {}) => {
    const generation = revisions.get(namespace) ?? 0;
    return lookUp({ namespace, name, metadata, narrowing, generation });
  };
  return {
    view: {
      of: (namespace, name, metadata, narrowing) => {
        remember(`${namespace}/${name}`);
        return glance(namespace, name, metadata, narrowing);
      },
    },
    glance: { of: glance },
    prepared: () =>
      [...objects.items.values(), ...jobs.items.values()].flatMap(({ namespace, name, triggers }) =>
        triggers
          .filter((trigger) => triggerCallsUs(trigger, services))
          .map(({ metadata }) => ({ namespace, name, metadata })),
      ),
    waitingFor,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: () => {
      cancel();
      scales.stop();
      for (const followed of [objects, jobs, ...pods.values()]) followed.stop();
    },
  };
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
