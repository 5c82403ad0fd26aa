import type { ScaleTarget } from "#kubernetes/api-resources.ts";
import { type HpaTolerances, hpaTolerance, type MetricType } from "#kubernetes/hpa.ts";
import type { Labels, SelectorRequirement } from "#kubernetes/label-selector.ts";
import { quantityOf } from "#kubernetes/quantity.ts";

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
  /** Absent in a file. */
  readonly uid?: string | undefined;
  /** External ones only, never empty. */
  readonly triggers: readonly ScaledTrigger[];
  /** Types of the triggers that are not external. */
  readonly otherTypes: readonly string[];
  /** Absent for a ScaledJob. */
  readonly target?: ScaleTarget | undefined;
  /** What pods of a ScaledJob fulfil; absent for a ScaledObject, whose target says it. */
  readonly selector?: readonly SelectorRequirement[] | undefined;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly idleReplicas?: number | undefined;
  readonly tolerances: HpaTolerances;
}

/** KEDA puts it on the pods of a ScaledJob (its executor, `generateJobs`). */
const scaledJobLabel = "scaledjob.keda.sh/name";

/** A direction of the HPA's `behavior`, as far as it changes what a value means. */
interface RawRules {
  readonly tolerance?: string | number;
}

interface RawScaled {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid?: string };
  readonly spec?: {
    readonly minReplicaCount?: number;
    readonly maxReplicaCount?: number;
    readonly idleReplicaCount?: number;
    readonly advanced?: {
      readonly horizontalPodAutoscalerConfig?: {
        readonly behavior?: { readonly scaleUp?: RawRules; readonly scaleDown?: RawRules };
      };
    };
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

/** @returns `undefined` for an object without an external trigger, which never asks a scaler. */
export function scaledOf(
  kind: ScaledResource["kind"],
  object: unknown,
): ScaledResource | undefined {
  const { metadata, spec = {}, status = {} } = object as RawScaled;
  const all = spec.triggers ?? [];
  const triggers = all
    .filter(({ type }) => externalTypes.includes(type))
    .map(({ type, metricType, metadata: keys = {} }) => ({
      type,
      metricType: metricType === "Value" ? ("Value" as const) : ("AverageValue" as const),
      metadata: keys,
    }));
  if (triggers.length === 0) return undefined;
  return {
    kind,
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    triggers,
    otherTypes: all.flatMap(({ type }) => (externalTypes.includes(type) ? [] : [type])),
    minReplicas: spec.minReplicaCount ?? 0,
    maxReplicas: spec.maxReplicaCount ?? maxReplicasDefault,
    idleReplicas: spec.idleReplicaCount,
    tolerances: tolerancesOf(spec.advanced?.horizontalPodAutoscalerConfig?.behavior),
    selector: kind === "ScaledJob" ? jobPods(metadata.name) : undefined,
    target: targetOf(spec.scaleTargetRef, status.scaleTargetGVKR),
  };
}

type RawBehavior = NonNullable<
  NonNullable<NonNullable<RawScaled["spec"]>["advanced"]>["horizontalPodAutoscalerConfig"]
>["behavior"];

/** Each direction of an HPA may have its own (Kubernetes 1.35 and newer). */
function tolerancesOf({ scaleUp, scaleDown }: RawBehavior = {}): HpaTolerances {
  return {
    up: quantityOf(scaleUp?.tolerance) ?? hpaTolerance,
    down: quantityOf(scaleDown?.tolerance) ?? hpaTolerance,
  };
}

function jobPods(name: string): readonly SelectorRequirement[] {
  return [{ key: scaledJobLabel, operator: "In", values: [name] }];
}

/** The status is KEDA's answer to an earlier spec: it holds only while it names the same kind. */
function targetOf(
  ref: NonNullable<RawScaled["spec"]>["scaleTargetRef"],
  resolved: NonNullable<RawScaled["status"]>["scaleTargetGVKR"],
): ScaleTarget | undefined {
  if (ref?.name === undefined) return undefined;
  const [version = "", group = ""] = (ref.apiVersion ?? "apps/v1").split("/").toReversed();
  const kind = ref.kind ?? "Deployment";
  const isSameKind =
    resolved?.kind === kind && (resolved.group ?? "") === group && resolved.version === version;
  const resource = (isSameKind && resolved.resource) || undefined;
  return { group, version, kind, name: ref.name, resource };
}

/**
 * The triggers that metadata may have come from. KEDA sends the keys as they stand in the trigger,
 * but puts the resolved value under a key that ends in `FromEnv`, and leaves such a key out when it
 * has none.
 *
 * A resolved value cannot be checked, so two triggers that differ only in such keys both fit, and a
 * caller can send any value under one. What follows from it is no more than the object's namespace
 * could ask for with a trigger of its own: its own pods and Services with its own tokens, the hosts
 * of `--allow-endpoint`, and the nodes, which all namespaces share.
 */
export function fittingTriggers(
  triggers: readonly ScaledTrigger[],
  sent: Readonly<Record<string, string>>,
): readonly ScaledTrigger[] {
  return triggers.filter(({ metadata }) => cameFrom(metadata, sent));
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
 * Whether KEDA calls one of these services for a trigger.
 *
 * @param services `service.namespace` each; `scalerAddress` may go on with `.svc`, a cluster domain
 * and a port, or stop after the service.
 */
export function namesService({ metadata }: ScaledTrigger, services: readonly string[]): boolean {
  const { scalerAddress: address = "" } = metadata;
  const host = address.replace(/^[a-z]+:\/*/, "").replace(/\.?(:\d+)?$/, "");
  return services.some((service) => {
    const [name] = service.split(".");
    return [name, service, `${service}.svc`].includes(host) || host.startsWith(`${service}.svc.`);
  });
}
