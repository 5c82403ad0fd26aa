/**
 * Whether a call is of a trigger that a ScaledObject or ScaledJob really has.
 *
 * Whoever reaches the gRPC port can send any metadata, and metadata names addresses, tokens and
 * nodes. So whatever a call sets going waits for this check, in every scope.
 *
 * @module
 */
import { Fault, type FaultFacts } from "#core/fault.ts";
import type { MetricType } from "#kubernetes/hpa.ts";
import type { Informer } from "#kubernetes/informer.ts";
import { fittingTriggers, type ScaledResource, type ScaledTrigger } from "./scaled.ts";

/** The copies of the objects that have triggers; they change under it. */
export interface ScaledInformers {
  readonly scaledObjects: Informer<ScaledResource>;
  readonly scaledJobs: Informer<ScaledResource>;
}

/** Which trigger asks, as KEDA says it. */
export interface TriggerRef {
  readonly namespace: string;
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The object that asks, and every trigger of it that the metadata fits. */
export interface Admitted {
  readonly scaled: ScaledResource;
  readonly source: Informer<ScaledResource>;
  readonly triggers: readonly [ScaledTrigger, ...ScaledTrigger[]];
}

/**
 * Looks for the trigger in both kinds of object. A ScaledObject and a ScaledJob may share a name,
 * and KEDA does not say which asks: it is the one that has such a trigger.
 *
 * @returns Throws `workload-syncing` while the objects are read for the first time,
 * `workload-unknown` when there is none of that name, `trigger-unmatched` when none has the trigger.
 */
export function admission({
  scaledObjects,
  scaledJobs,
}: ScaledInformers): (ref: TriggerRef) => Admitted {
  const fitting = rememberedFits();
  return (ref) => {
    const key = `${ref.namespace}/${ref.name}`;
    let isKnown = false;
    for (const source of [scaledObjects, scaledJobs]) {
      const scaled = source.items.get(key);
      if (scaled === undefined) continue;
      isKnown = true;
      const [first, ...rest] = fitting(scaled, ref.metadata);
      if (first !== undefined) return { scaled, source, triggers: [first, ...rest] };
    }
    if (!scaledObjects.synced()) throw syncing(ref, "ScaledObjects", scaledObjects.failure());
    if (!(scaledJobs.synced() || isNotInstalled(scaledJobs)))
      throw syncing(ref, "ScaledJobs", scaledJobs.failure());
    throw isKnown ? unmatched(ref) : unknown(ref);
  };
}

/**
 * What fits, compared once for each metadata object and version of the object that asks: a push
 * stream asks again with the same metadata after every change in the cluster.
 */
function rememberedFits() {
  const remembered = new WeakMap<
    TriggerRef["metadata"],
    { readonly scaled: ScaledResource; readonly fits: readonly ScaledTrigger[] }
  >();
  return (scaled: ScaledResource, metadata: TriggerRef["metadata"]): readonly ScaledTrigger[] => {
    const earlier = remembered.get(metadata);
    if (earlier?.scaled === scaled) return earlier.fits;
    const fits = fittingTriggers(scaled.triggers, metadata);
    remembered.set(metadata, { scaled, fits });
    return fits;
  };
}

/**
 * The metricType of the trigger that asks.
 *
 * @throws {Fault} `trigger-ambiguous` when several fit and they differ in it.
 */
export function metricTypeOf({ scaled, triggers }: Admitted): MetricType {
  const [{ metricType }, ...others] = triggers;
  if (others.every((other) => other.metricType === metricType)) return metricType;
  const { namespace, name } = scaled;
  throw new Fault(
    "trigger-ambiguous",
    `Cannot tell the metricType of the trigger of ${namespace}/${name} that asks: ` +
      `${triggers.length} triggers differ only in keys that end in FromEnv, whose values KEDA ` +
      "resolves, and in metricType; give them one metricType, or different metricName",
    { namespace, name },
  );
}

/** A kind that is not installed has no objects: that is known, and nothing to wait for. */
export function isNotInstalled(scaled: Informer<ScaledResource>): boolean {
  const failure = scaled.failure();
  return failure?.code === "kubernetes-failed" && statusOf(failure) === 404;
}

function statusOf({ facts }: Fault): number {
  return (facts as FaultFacts["kubernetes-failed"]).status;
}

type ObjectName = Pick<TriggerRef, "namespace" | "name">;

export function syncing(
  { namespace, name }: ObjectName,
  waitingFor: string,
  failure?: Fault,
): Fault {
  const why = failure === undefined ? "" : ` (${failure.message})`;
  return new Fault(
    "workload-syncing",
    `Cannot look up ${namespace}/${name}: ${waitingFor} not read yet${why}; ask again in a moment`,
    { namespace, name, waitingFor },
    failure,
  );
}

function unknown({ namespace, name }: ObjectName): Fault {
  return new Fault(
    "workload-unknown",
    `Cannot look up ${namespace}/${name}: no ScaledObject or ScaledJob of that name has an ` +
      "external trigger; create one, or correct the name and namespace of the call",
    { namespace, name },
  );
}

function unmatched({ namespace, name }: ObjectName): Fault {
  return new Fault(
    "trigger-unmatched",
    `Cannot answer for ${namespace}/${name}: none of its triggers has the metadata that came; if it ` +
      "has just been changed, ask again in a moment, and by hand ask with a trigger's whole metadata",
    { namespace, name },
  );
}
