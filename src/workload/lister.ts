/**
 * One workload out of the informers' copies: no request, no waiting.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { namespacesMax, workloadStaleMs } from "#core/limits.ts";
import type { Informer } from "#kubernetes/informer.ts";
import {
  matchesLabels,
  parseSelector,
  type SelectorRequirement,
} from "#kubernetes/label-selector.ts";
import {
  admission,
  metricTypeOf,
  type ScaledInformers,
  syncing,
  type TriggerRef,
} from "./admission.ts";
import { groupsOf } from "./groups.ts";
import type { Pod } from "./pod.ts";
import type { Scale } from "./scale.ts";
import type { ScaledResource } from "./scaled.ts";
import type { PodFilter, Workload } from "./workload.ts";

/** The copies of the cluster's objects; they change under it. */
export interface WorkloadInformers extends ScaledInformers {
  /** By namespace. */
  readonly pods: ReadonlyMap<string, Informer<Pod>>;
  /** By `namespace/name` of a ScaledObject. */
  readonly scaleOf: (key: string) => Scale | Fault | undefined;
}

export interface WorkloadQuery extends TriggerRef {
  readonly podFilter: PodFilter;
  /** Changes with everything that is known of the namespace. */
  readonly generation: number;
}

/** @param admit Finds the object that asks, and its trigger. */
export function workloadLister(
  informers: WorkloadInformers,
  admit = admission(informers),
): (query: WorkloadQuery) => Workload {
  const podsSelected = podIndexer();
  return (query) => {
    const { namespace, name, podFilter, generation } = query;
    const admitted = admit(query);
    const { scaled, source, triggers } = admitted;
    const metricType = metricTypeOf(admitted);
    const pods = podsOf(informers, query);
    const ageMs = Math.max(source.ageMs(), pods.ageMs());
    if (ageMs > workloadStaleMs) throw stale(query, ageMs);

    const scale = scaleFor(informers, query, scaled);
    const { selector, replicas } = scale;
    const { own, ending } = podsSelected(scaled, selector, pods, generation);
    // Taken to zero, it would seem to be asked for, and be woken again.
    if (own.length === 0 && replicas > 0 && scale.isOutdated === true)
      throw syncing(query, `scale of ${namespace}/${name} after its last pod went`);
    return {
      kind: scaled.kind,
      metricType,
      // A count of 0 beside pods is one that was read before they came.
      replicas: replicas === 0 ? own.length : replicas,
      statusReplicas: own.length + (countsEnding(scaled) ? ending.length : 0),
      readyPods: [...own, ...ending].filter(({ ready }) => ready).length,
      drainingPods: ending.filter(({ ready }) => ready).length,
      isAtZero: scaled.kind === "ScaledJob" ? false : isAtZero(scale, own.length),
      tolerances: scaled.tolerances,
      minReplicas: scaled.minReplicas,
      maxReplicas: scaled.maxReplicas,
      idleReplicas: scaled.idleReplicas,
      otherTriggers: [
        ...scaled.triggers.filter((other) => other !== triggers[0]),
        ...scaled.otherTypes.map((type) => ({ type })),
      ],
      pods: filtered(own, podFilter, `${scaled.kind} ${namespace}/${name}`),
      ageMs,
      generation,
    };
  };
}

/** A controller that is told to have none has fewer than before as soon as the first one goes. */
function isAtZero({ replicas, isOutdated = false }: Scale, own: number): boolean | undefined {
  if (!isOutdated) return replicas === 0;
  return own < replicas || replicas === 0 ? undefined : false;
}

/** The status of a Deployment leaves out pods that are being deleted, that of a StatefulSet does not. */
function countsEnding({ target }: ScaledResource): boolean {
  return target?.kind === "StatefulSet" || target?.kind === "LeaderWorkerSet";
}

interface SelectedPods {
  /** Those that are not being deleted. */
  readonly own: readonly Pod[];
  readonly ending: readonly Pod[];
}

interface KeptPods extends SelectedPods {
  readonly generation: number;
  readonly selector: readonly SelectorRequirement[];
}

/** The pods of each workload, sorted by name; selected once a change and not once a query. */
function podIndexer() {
  const index = new WeakMap<ScaledResource, KeptPods>();
  return (
    scaled: ScaledResource,
    selector: readonly SelectorRequirement[],
    { items }: Informer<Pod>,
    generation: number,
  ): SelectedPods => {
    const earlier = index.get(scaled);
    if (earlier?.generation === generation && earlier.selector === selector) return earlier;
    const pods = [...items.values()]
      .filter(({ labels }) => matchesLabels(selector, labels))
      .sort((one, other) => (one.name < other.name ? -1 : 1));
    const present = pods.filter(({ state }) => state !== "ending");
    const own =
      scaled.target?.kind === "LeaderWorkerSet" ? groupsOf(present, items.values()) : present;
    const ending = pods.filter(({ state }) => state === "ending");
    const kept = { generation, selector, own, ending };
    index.set(scaled, kept);
    return kept;
  };
}

function podsOf({ pods }: WorkloadInformers, { namespace, name }: WorkloadQuery): Informer<Pod> {
  const source = pods.get(namespace);
  if (source === undefined)
    throw new Fault(
      "overloaded",
      `Cannot look up ${namespace}/${name}: pods of ${namespacesMax} namespaces are watched, which ` +
        "is the most; run another keda-gpu-scaler for some of them",
      { limit: namespacesMax },
    );
  if (!source.synced())
    throw syncing({ namespace, name }, `pods of ${namespace}`, source.failure());
  return source;
}

/** What the workload's pods fulfil, and how many it should have. */
function scaleFor(
  { scaleOf }: WorkloadInformers,
  { namespace, name, podFilter }: WorkloadQuery,
  { target, selector }: ScaledResource,
): Scale & { readonly selector: readonly SelectorRequirement[] } {
  if (selector !== undefined) return { selector, replicas: 0 };
  const key = `${namespace}/${name}`;
  if (target === undefined) throw unusable(key, "its spec has no scaleTargetRef; add one");
  const scale = scaleOf(key);
  if (scale === undefined) throw syncing({ namespace, name }, `scale of ${key}`);
  if (scale instanceof Fault) throw scale;
  if (scale.selector !== undefined) return { ...scale, selector: scale.selector };
  const { podSelector = "" } = podFilter;
  if (podSelector === "")
    throw unusable(
      key,
      `${target.kind} ${target.name} does not say which pods are its own; set podSelector`,
    );
  return { ...scale, selector: requirementsOf(podSelector) };
}

function filtered(
  own: readonly Pod[],
  { podSelector = "", container = "" }: PodFilter,
  workload: string,
): readonly Pod[] {
  if (podSelector === "" && container === "") return own;
  const requirements = requirementsOf(podSelector);
  const pods = own
    .filter(({ labels }) => matchesLabels(requirements, labels))
    .map((pod) => (container === "" ? pod : withContainer(pod, container)))
    .filter(({ containers }) => container === "" || containers.length > 0);
  if (pods.length > 0 || own.length === 0) return pods;
  const asked = [
    ...(podSelector === "" ? [] : [`podSelector ${podSelector}`]),
    ...(container === "" ? [] : [`container ${container}`]),
  ].join(" and ");
  throw new Fault(
    "selection-empty",
    `Cannot count the pods of ${workload}: it has ${own.length}, and ${asked} leaves none of them; ` +
      "correct it, or leave it out",
    { asked, pods: own.map(({ name }) => name) },
  );
}

function withContainer(pod: Pod, container: string): Pod {
  return { ...pod, containers: pod.containers.filter(({ name }) => name === container) };
}

function requirementsOf(podSelector: string): readonly SelectorRequirement[] {
  const parsed = parseSelector(podSelector);
  if ("requirements" in parsed) return parsed.requirements;
  const problems = [`podSelector: ${parsed.problem}`];
  throw new Fault("trigger-invalid", `Cannot use trigger metadata: ${problems.join("; ")}`, {
    problems,
  });
}

type Ref = Pick<WorkloadQuery, "namespace" | "name">;

function stale({ namespace, name }: Ref, ageMs: number): Fault {
  const seconds = Math.round(ageMs / 1_000);
  return new Fault(
    "data-stale",
    `Cannot tell the pods of ${namespace}/${name}: the Kubernetes API last answered ${seconds} s ` +
      `ago, and ${workloadStaleMs / 1_000} s is the limit; check that it can be reached`,
    { limitMs: workloadStaleMs, ageMs },
  );
}

function unusable(key: string, problem: string): Fault {
  return new Fault("scale-target-unusable", `Cannot find the pods of ${key}: ${problem}`, {
    target: key,
  });
}
