/**
 * Rules on the fields of a ScaledObject or ScaledJob that say what is scaled and by which triggers.
 *
 * @module
 */
import { didYouMean } from "#core/closest.ts";
import { metricOf } from "#metric/catalogue.ts";
import {
  error,
  type FieldPath,
  type ObjectFinding,
  type ObjectRule,
  warning,
} from "./object-finding.ts";
import { type ScaledSpec, specFields, triggerFields } from "./scaled-spec.ts";

/** KEDA's own rules on counts, which its admission webhook checks. */
export function countFindings(
  spec: Pick<ScaledSpec, "minReplicaCount" | "maxReplicaCount" | "idleReplicaCount">,
): readonly ObjectFinding[] {
  const { minReplicaCount = 0, maxReplicaCount = 100, idleReplicaCount } = spec;
  const findings: ObjectFinding[] = [];
  if (minReplicaCount > maxReplicaCount)
    findings.push(
      error(
        ["spec", "minReplicaCount"],
        `must not be above maxReplicaCount, ${maxReplicaCount}, got ${minReplicaCount}`,
      ),
    );
  if (idleReplicaCount !== undefined && idleReplicaCount >= minReplicaCount)
    findings.push(
      error(
        ["spec", "idleReplicaCount"],
        `must be below minReplicaCount, ${minReplicaCount}, got ${idleReplicaCount}`,
      ),
    );
  return findings;
}

const unknownFields: ObjectRule = ({ kind, spec }) => {
  const unknown = (path: FieldPath, value: object, known: readonly string[]) =>
    Object.keys(value)
      .filter((key) => !known.includes(key))
      .map((key): ObjectFinding => {
        const hint = didYouMean(key, known);
        const message = `KEDA ${kind}s have no such field, and it would be ignored${hint}`;
        return { ...warning("unknown-field", [...path, key], message), part: "key" };
      });
  return [
    ...unknown(["spec"], spec, specFields[kind]),
    ...spec.triggers.flatMap((trigger, index) =>
      unknown(["spec", "triggers", index], trigger, triggerFields),
    ),
  ];
};

const inAppsV1 = ["Deployment", "StatefulSet", "ReplicaSet"];
const unscalable = ["DaemonSet", "Job", "CronJob", "Pod"];

const scaleTarget: ObjectRule = ({ kind, spec: { scaleTargetRef: ref } }) => {
  const path = ["spec", "scaleTargetRef"];
  if (kind === "ScaledJob") return [];
  if (ref === undefined) return [error(path, "required")];
  const { kind: target = "Deployment", apiVersion } = ref;
  if (unscalable.includes(target))
    return [error([...path, "kind"], `must have a /scale subresource, got ${target}`)];
  if (apiVersion !== undefined || inAppsV1.includes(target)) return [];
  const known = target === "LeaderWorkerSet" ? "leaderworkerset.x-k8s.io/v1" : "its own";
  return [
    error(
      [...path, "apiVersion"],
      `must be ${known} for kind ${target}; without it KEDA looks in apps/v1, which has none`,
    ),
  ];
};

const triggerNames: ObjectRule = ({ spec: { triggers } }) =>
  triggers.flatMap(({ name }, index) => {
    const isRepeated = triggers.slice(0, index).some((before) => before.name === name);
    return name === undefined || !isRepeated
      ? []
      : [error(["spec", "triggers", index, "name"], `must be given once, got ${name} again`)];
  });

const metricTypes: ObjectRule = ({ kind, spec: { triggers }, own }) =>
  own.flatMap(({ index }) => {
    const { metricType } = triggers[index] ?? {};
    const path = ["spec", "triggers", index, "metricType"];
    if (metricType !== undefined && !["AverageValue", "Value"].includes(metricType))
      return [
        error(path, `must be AverageValue or Value for an external trigger, got ${metricType}`),
      ];
    return kind === "ScaledJob" && metricType === "Value"
      ? [error(path, "must be AverageValue in a ScaledJob: KEDA takes Value for 0 jobs")]
      : [];
  });

/** It works while every replica is ready, so the scaler itself does not warn of it. */
const quantityUnderValue: ObjectRule = ({ spec: { triggers }, own }) =>
  own.flatMap(({ index, trigger }) => {
    const { metric, endpoint, replicaAggregation, advisedMetricType } = trigger;
    const { kind, source } = metricOf(metric);
    const isAveraged = endpoint === undefined && replicaAggregation !== "sum";
    const isOfReplicas = kind === "quantity" && source === "engine" && isAveraged;
    if (triggers[index]?.metricType !== "Value" || !isOfReplicas || advisedMetricType !== undefined)
      return [];
    return [
      warning(
        "quantity-under-value",
        ["spec", "triggers", index, "metricType"],
        `under Value the HPA multiplies by ready replicas, and an overloaded server that fails its readiness probe is none: ${metric} then asks for least when most is needed; write AverageValue, or leave it out`,
      ),
    ];
  });

const jobPush: ObjectRule = ({ kind, spec: { triggers }, own }) =>
  kind === "ScaledObject"
    ? []
    : own
        .filter(({ index }) => triggers[index]?.type === "external-push")
        .map(({ index }) =>
          warning(
            "push-without-effect",
            ["spec", "triggers", index, "type"],
            "KEDA does not take pushes for a ScaledJob, so it polls; write external",
          ),
        );

const pollOfStream: ObjectRule = ({ spec: { triggers }, own }) =>
  own.flatMap(({ index }) => {
    const { type, metadata = {} } = triggers[index] ?? {};
    const path = ["spec", "triggers", index, "metadata", "pollIntervalSeconds"];
    return type === "external" && Object.hasOwn(metadata, "pollIntervalSeconds")
      ? [
          warning(
            "poll-without-stream",
            path,
            "is how often a push stream repeats itself, and type external has none; write spec.pollingInterval, or type external-push",
          ),
        ]
      : [];
  });

/** In the order in which people read them. */
export const fieldRules: readonly ObjectRule[] = [
  unknownFields,
  scaleTarget,
  ({ spec }) => countFindings(spec),
  triggerNames,
  metricTypes,
  quantityUnderValue,
  jobPush,
  pollOfStream,
];
