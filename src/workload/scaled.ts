import type { ScaleTarget } from "#kubernetes/api-resources.ts";
import type { MetricType } from "#kubernetes/hpa.ts";
import type { Labels, Term } from "#kubernetes/label-selector.ts";
/** An external trigger of a ScaledObject or ScaledJob. */
export interface ScaledTrigger {
  readonly type: string;
  readonly metricType: MetricType;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A ScaledObject or ScaledJob, cut down to what an answer needs. */
export interface ScaledResource {
  readonly kind: "ScaledObject" | "ScaledJob";
  readonly namespace: string;
  readonly name: string;
  /** External ones only, never empty. */
  readonly triggers: readonly ScaledTrigger[];
  /** Types of the triggers that are not external. */
  readonly otherTypes: readonly string[];
  /** Absent for a ScaledJob. */
  readonly target?: ScaleTarget;
  /** What pods of a ScaledJob fulfil; absent for a ScaledObject, whose target says it. */
  readonly terms?: readonly Term[];
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly idleReplicas?: number;
}

/** KEDA puts it on the pods of a ScaledJob (its executor, `generateJobs`). */
const scaledJobLabel = "scaledjob.keda.sh/name";

interface RawScaled {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec?: {
    readonly minReplicaCount?: number;
    readonly maxReplicaCount?: number;
    readonly idleReplicaCount?: number;
    readonly scaleTargetRef?: {
      readonly name?: string;
      readonly kind?: string;
      readonly apiVersion?: string;
    };
    readonly triggers?: readonly {
      readonly type: string;
      readonly metricType?: string;
      readonly metadata?: Labels;
    }[];
  };
  readonly status?: {
    readonly scaleTargetGVKR?: {
      readonly group?: string;
      readonly version?: string;
      readonly kind?: string;
      readonly resource?: string;
    };
  };
}

const externalTypes = ["external", "external-push"];
/** KEDA's default for `maxReplicaCount`, of both kinds. */
const maxReplicasDefault = 100;

/** @returns `undefined` for an object without an external trigger: it never asks us. */
export function scaledOf(
  kind: ScaledResource["kind"],
  object: unknown,
): ScaledResource | undefined {
  const { metadata, spec = {}, status = {} } = object as RawScaled;
  const all = spec.triggers ?? [];
  const triggers = all
    .filter(({ type }) => externalTypes.includes(type))
    .map(({ type, metricType, metadata: sent = {} }) => ({
      type,
      metricType: metricType === "Value" ? ("Value" as const) : ("AverageValue" as const),
      metadata: sent,
    }));
  if (triggers.length === 0) return undefined;
  const { scaleTargetRef: ref } = spec;
  return {
    kind,
    namespace: metadata.namespace,
    name: metadata.name,
    triggers,
    otherTypes: all.flatMap(({ type }) => (externalTypes.includes(type) ? [] : [type])),
    minReplicas: spec.minReplicaCount ?? 0,
    maxReplicas: spec.maxReplicaCount ?? maxReplicasDefault,
    ...(spec.idleReplicaCount === undefined ? {} : { idleReplicas: spec.idleReplicaCount }),
    ...(kind === "ScaledJob"
      ? { terms: [{ key: scaledJobLabel, operator: "in", values: [metadata.name] }] }
      : {}),
    ...(ref?.name === undefined
      ? {}
      : { target: targetOf({ ...ref, name: ref.name }, status.scaleTargetGVKR) }),
  };
}

/** The status is KEDA's answer to an earlier spec: it holds only while it names the same kind. */
function targetOf(
  ref: { readonly name: string; readonly kind?: string; readonly apiVersion?: string },
  resolved: NonNullable<RawScaled["status"]>["scaleTargetGVKR"],
): ScaleTarget {
  const [version = "", group = ""] = (ref.apiVersion ?? "apps/v1").split("/").toReversed();
  const kind = ref.kind ?? "Deployment";
  const same =
    resolved?.kind === kind &&
    (resolved.group ?? "") === group &&
    resolved.version === version &&
    resolved.resource;
  return { group, version, kind, name: ref.name, ...(same ? { resource: same } : {}) };
}

/**
 * The trigger that metadata came from. KEDA sends the keys as they stand in the trigger, but puts the
 * resolved value under a key that ends in `FromEnv`, and leaves such a key out when it has none.
 *
 * @returns The first that fits: several that do are equal.
 */
export function sentBy(
  triggers: readonly ScaledTrigger[],
  sent: Readonly<Record<string, string>>,
): ScaledTrigger | undefined {
  return triggers.find(({ metadata }) => cameFrom(metadata, sent));
}

/**
 * The trigger that asks. When none fits (the object has just been changed, or the call was made by
 * hand) any does, as long as all agree in metricType.
 */
export function triggerFor(
  triggers: readonly ScaledTrigger[],
  sent: Readonly<Record<string, string>>,
): ScaledTrigger | undefined {
  const [first, ...rest] = triggers;
  const agree = rest.every(({ metricType }) => metricType === first?.metricType);
  return sentBy(triggers, sent) ?? (agree ? first : undefined);
}

function cameFrom(
  metadata: ScaledTrigger["metadata"],
  sent: Readonly<Record<string, string>>,
): boolean {
  const fromEnv = (key: string) => key.endsWith("FromEnv");
  return (
    Object.keys(sent).every((key) => Object.hasOwn(metadata, key)) &&
    Object.entries(metadata).every(([key, value]) => fromEnv(key) || sent[key] === value)
  );
}

/**
 * Whether an object's triggers call this service, so that it is prepared before it asks.
 *
 * @param services `service.namespace` each; `scalerAddress` may go on with `.svc`, a cluster domain
 * and a port, or stop after the service.
 */
export function callsUs({ triggers }: ScaledResource, services: readonly string[]): boolean {
  return triggers.some((trigger) => triggerCallsUs(trigger, services));
}

/** As `callsUs`, of one trigger. */
export function triggerCallsUs({ metadata }: ScaledTrigger, services: readonly string[]): boolean {
  const { scalerAddress: address = "" } = metadata;
  const host = address.replace(/^[a-z]+:\/*/, "").replace(/\.?(:\d+)?$/, "");
  return services.some((service) => {
    const [name] = service.split(".");
    return host === service || host === name || host.startsWith(`${service}.svc`);
  });
}
