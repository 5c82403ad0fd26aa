/**
 * One question about one workload, from what is known: no request, no waiting.
 *
 * @module
 */
import { Fault, type FaultFacts } from "#core/fault.ts";
import { namespacesMax, workloadStaleMs } from "#core/limits.ts";
import type { Informer } from "#kubernetes/informer.ts";
import { matchesTerms, parseSelector, type Term } from "#kubernetes/label-selector.ts";
import type { Pod } from "./pod.ts";
import type { Scale } from "./scale.ts";
import { type ScaledResource, sentBy, triggerFor } from "./scaled.ts";
import type { PodFilter, Workload } from "./workload.ts";

/** What is known now; the maps change under it. */
export interface Known {
  readonly objects: Informer<ScaledResource>;
  readonly jobs: Informer<ScaledResource>;
  /** By namespace. */
  readonly pods: ReadonlyMap<string, Informer<Pod>>;
  readonly scaleOf: (key: string) => Scale | Fault | undefined;
}

export interface Question {
  readonly namespace: string;
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly narrowing: PodFilter;
  /** Changes with everything that is known of the namespace. */
  readonly generation: number;
}

interface Owned {
  readonly generation: number;
  readonly terms: readonly Term[];
  readonly pods: readonly Pod[];
}

/** A kind that the cluster has not is as good as an empty list. */
export function isAbsent(followed: Informer<ScaledResource>): boolean {
  const failure = followed.failure();
  return failure?.code === "kubernetes-failed" && statusOf(failure) === 404;
}

export function lookUps(known: Known): (question: Question) => Workload {
  /** A namespace's pods are gone through once a change, not once a question. */
  const owned = new WeakMap<ScaledResource, Owned>();

  const ownedBy = (
    scaled: ScaledResource,
    terms: readonly Term[],
    source: Informer<Pod>,
    generation: number,
  ) => {
    const earlier = owned.get(scaled);
    if (earlier?.generation === generation && earlier.terms === terms) return earlier.pods;
    const pods = [...source.items.values()]
      .filter(({ labels }) => matchesTerms(terms, labels))
      .sort((one, other) => (one.name < other.name ? -1 : 1));
    owned.set(scaled, { generation, terms, pods });
    return pods;
  };

  return (question) => {
    const { namespace, name, metadata, narrowing, generation } = question;
    const { scaled, source: scaledSource } = scaledFor(known, question);
    const trigger = triggerFor(scaled.triggers, metadata);
    if (trigger === undefined) throw unmatched(question);
    const pods = podsOf(known, question);
    const ageMs = Math.max(scaledSource.ageMs(), pods.ageMs());
    if (ageMs > workloadStaleMs) throw stale(question, ageMs);

    const { terms, replicas } = scaleFor(known, question, scaled);
    const own = ownedBy(scaled, terms, pods, generation);
    return {
      kind: scaled.kind,
      metricType: trigger.metricType,
      replicas: Math.max(replicas, own.length),
      minReplicas: scaled.minReplicas,
      maxReplicas: scaled.maxReplicas,
      ...(scaled.idleReplicas === undefined ? {} : { idleReplicas: scaled.idleReplicas }),
      otherTriggers: [
        ...scaled.triggers.filter((other) => other !== trigger),
        ...scaled.otherTypes.map((type) => ({ type })),
      ],
      pods: narrow(own, narrowing, `${scaled.kind} ${namespace}/${name}`),
      ageMs,
      generation,
    };
  };
}

/** A ScaledObject and a ScaledJob may share a name, and KEDA does not say which asks. */
function scaledFor(known: Known, { namespace, name, metadata }: Question) {
  const key = `${namespace}/${name}`;
  const { objects, jobs } = known;
  const found = [objects, jobs].flatMap((source) => {
    const scaled = source.items.get(key);
    return scaled === undefined ? [] : [{ scaled, source }];
  });
  const [first] = found;
  if (first !== undefined)
    return found.find(({ scaled }) => sentBy(scaled.triggers, metadata) !== undefined) ?? first;

  if (!objects.synced()) throw syncing({ namespace, name }, "ScaledObjects", objects.failure());
  if (!(jobs.synced() || isAbsent(jobs)))
    throw syncing({ namespace, name }, "ScaledJobs", jobs.failure());
  throw new Fault(
    "workload-unknown",
    `Cannot look up ${key}: no ScaledObject or ScaledJob of that name has an external trigger; ` +
      "create one, or correct the name and namespace of the call",
    { namespace, name },
  );
}

function podsOf({ pods }: Known, { namespace, name }: Question): Informer<Pod> {
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

/** Terms that the workload's pods fulfil, and how many it should have. */
function scaleFor(
  { scaleOf }: Known,
  { namespace, name, narrowing }: Question,
  { target, terms }: ScaledResource,
): { readonly terms: readonly Term[]; readonly replicas: number } {
  if (terms !== undefined) return { terms, replicas: 0 };
  const key = `${namespace}/${name}`;
  if (target === undefined) throw unusable(key, "its spec has no scaleTargetRef; add one");
  const scale = scaleOf(key);
  if (scale === undefined) throw syncing({ namespace, name }, `scale of ${key}`);
  if (scale instanceof Fault) throw scale;
  if (scale.terms !== undefined) return { terms: scale.terms, replicas: scale.replicas };
  const { podSelector = "" } = narrowing;
  if (podSelector === "")
    throw unusable(
      key,
      `${target.kind} ${target.name} does not say which pods are its own; set podSelector`,
    );
  return { terms: termsOf(podSelector), replicas: scale.replicas };
}

function narrow(
  own: readonly Pod[],
  { podSelector = "", container = "" }: PodFilter,
  asker: string,
): readonly Pod[] {
  if (podSelector === "" && container === "") return own;
  const terms = termsOf(podSelector);
  const left = own
    .filter(({ labels }) => matchesTerms(terms, labels))
    .map((pod) =>
      container === ""
        ? pod
        : { ...pod, containers: pod.containers.filter(({ name }) => name === container) },
    )
    .filter(({ containers }) => container === "" || containers.length > 0);
  if (left.length > 0 || own.length === 0) return left;
  const asked = [
    ...(podSelector === "" ? [] : [`podSelector ${podSelector}`]),
    ...(container === "" ? [] : [`container ${container}`]),
  ].join(" and ");
  throw new Fault(
    "selection-empty",
    `Cannot count the pods of ${asker}: it has ${own.length}, and ${asked} leaves none of them; ` +
      "correct it, or leave it out",
    { asked, pods: own.map(({ name }) => name) },
  );
}

function termsOf(selector: string): readonly Term[] {
  const parsed = parseSelector(selector);
  if ("terms" in parsed) return parsed.terms;
  const problems = [`podSelector: ${parsed.problem}`];
  throw new Fault("trigger-invalid", `Cannot use trigger metadata: ${problems.join("; ")}`, {
    problems,
  });
}

type Ref = Pick<Question, "namespace" | "name">;

function syncing({ namespace, name }: Ref, waitingFor: string, failure?: Fault): Fault {
  const why = failure === undefined ? "" : ` (${failure.message})`;
  return new Fault(
    "workload-syncing",
    `Cannot look up ${namespace}/${name}: ${waitingFor} not read yet${why}; ask again in a moment`,
    { namespace, name, waitingFor },
    failure,
  );
}

function stale({ namespace, name }: Ref, ageMs: number): Fault {
  const seconds = Math.round(ageMs / 1_000);
  return new Fault(
    "data-stale",
    `Cannot tell the pods of ${namespace}/${name}: the Kubernetes API last answered ${seconds} s ` +
      `ago, and ${workloadStaleMs / 1_000} s is the limit; check that it can be reached`,
    { limitMs: workloadStaleMs, ageMs },
  );
}

function unmatched({ namespace, name }: Ref): Fault {
  return new Fault(
    "trigger-unmatched",
    `Cannot tell which trigger of ${namespace}/${name} asks: none has the metadata that came, and ` +
      "they differ in metricType; if it has just been changed, ask again in a moment",
    { namespace, name },
  );
}

function unusable(key: string, problem: string): Fault {
  return new Fault("scale-target-unusable", `Cannot find the pods of ${key}: ${problem}`, {
    target: key,
  });
}

function statusOf({ facts }: Fault): number {
  return (facts as FaultFacts["kubernetes-failed"]).status;
}
