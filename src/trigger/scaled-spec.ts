/**
 * A ScaledObject or ScaledJob as its author wrote it: the fields that decide whether triggers can
 * work. Fields that only KEDA knows are let through.
 *
 * Source: kedacore/keda, apis/keda/v1alpha1/scaledobject_types.go and scaledjob_types.go, and
 * autoscaling/v2 of Kubernetes for `behavior`.
 *
 * @module
 */
import * as v from "valibot";
import { choice, isMapping, number, say, whole } from "#core/file-schema.ts";
import { int32Max } from "#core/limits.ts";

export const scaledKinds = ["ScaledObject", "ScaledJob"] as const;
export type ScaledKind = (typeof scaledKinds)[number];
export const kedaApiVersion = "keda.sh/v1alpha1";

const count = whole(0, int32Max);
const text = v.string(say("must be text"));
const list = say("must be a list");

function open<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(
    v.custom<object>(isMapping, say("must be a mapping of keys")),
    v.looseObject(entries),
  );
}

const rules = open({
  stabilizationWindowSeconds: v.exactOptional(whole(0, 3600)),
  selectPolicy: v.exactOptional(choice(["Max", "Min", "Disabled"])),
  policies: v.exactOptional(
    v.array(
      open({
        type: choice(["Pods", "Percent"]),
        value: whole(1, int32Max),
        periodSeconds: whole(1, 1800),
      }),
      list,
    ),
  ),
  tolerance: v.exactOptional(v.union([number, text], say("must be a number"))),
});

/** Metadata is text to text: the API server refuses a number that has no quotes. */
const trigger = open({
  type: text,
  name: v.exactOptional(text),
  metricType: v.exactOptional(text),
  useCachedMetrics: v.exactOptional(v.boolean(say("must be true or false"))),
  metadata: v.exactOptional(
    v.record(
      text,
      v.string(say("must be text; put the value in quotes")),
      say("must be a mapping"),
    ),
    {},
  ),
});
export type SpecTrigger = v.InferOutput<typeof trigger>;

const spec = open({
  scaleTargetRef: v.exactOptional(
    open({
      name: text,
      kind: v.exactOptional(text),
      apiVersion: v.exactOptional(text),
    }),
  ),
  minReplicaCount: v.exactOptional(count),
  maxReplicaCount: v.exactOptional(whole(1, int32Max)),
  idleReplicaCount: v.exactOptional(count),
  pollingInterval: v.exactOptional(whole(1, int32Max)),
  cooldownPeriod: v.exactOptional(count),
  initialCooldownPeriod: v.exactOptional(count),
  fallback: v.exactOptional(
    open({
      failureThreshold: count,
      replicas: count,
      behavior: v.exactOptional(
        choice([
          "static",
          "currentReplicas",
          "currentReplicasIfHigher",
          "currentReplicasIfLower",
          "scalingModifiers",
        ]),
      ),
    }),
  ),
  advanced: v.exactOptional(
    open({
      horizontalPodAutoscalerConfig: v.exactOptional(
        open({
          behavior: v.exactOptional(
            open({ scaleUp: v.exactOptional(rules), scaleDown: v.exactOptional(rules) }),
          ),
        }),
      ),
      scalingModifiers: v.exactOptional(open({ formula: v.exactOptional(text) })),
    }),
  ),
  triggers: v.pipe(v.array(trigger, list), v.minLength(1, "must have a trigger, got none")),
});
export type ScaledSpec = v.InferOutput<typeof spec>;

export const scaledSchema = open({
  apiVersion: v.literal(kedaApiVersion, say(`must be ${kedaApiVersion}`)),
  metadata: open({ name: text, namespace: v.exactOptional(text) }),
  spec,
});

/** Fields of each kind's spec that KEDA 2.20 has: it ignores others, and so a misspelt one. */
export const specFields: Readonly<Record<ScaledKind, readonly string[]>> = {
  ScaledObject: [
    "scaleTargetRef",
    "minReplicaCount",
    "maxReplicaCount",
    "idleReplicaCount",
    "pollingInterval",
    "cooldownPeriod",
    "initialCooldownPeriod",
    "fallback",
    "advanced",
    "triggers",
  ],
  ScaledJob: [
    "jobTargetRef",
    "minReplicaCount",
    "maxReplicaCount",
    "pollingInterval",
    "successfulJobsHistoryLimit",
    "failedJobsHistoryLimit",
    "rolloutStrategy",
    "rollout",
    "envSourceContainerName",
    "scalingStrategy",
    "triggers",
  ],
};
export const triggerFields = [
  "type",
  "name",
  "metadata",
  "metricType",
  "authenticationRef",
  "useCachedMetrics",
];
