/**
 * Rules on the fields of a ScaledObject that say when it scales: between zero and one, while nothing
 * is known, and by formula.
 *
 * @module
 */
import { pollingSecondsDefault, slowPollSeconds } from "#core/limits.ts";
import { metricOf } from "#metric/catalogue.ts";
import { adviceOf } from "./advice.ts";
import { idleReplicas, type ObjectRule, warning } from "./object-finding.ts";
import { canWake } from "./warnings.ts";

const idleCount: ObjectRule = ({ spec: { idleReplicaCount = 0 } }) =>
  idleReplicaCount === 0
    ? []
    : [
        warning(
          "idle-above-zero",
          ["spec", "idleReplicaCount"],
          `KEDA supports 0 alone, got ${idleReplicaCount}: the HPA works against any other`,
        ),
      ];

const neverIdle: ObjectRule = ({ spec, own }) => {
  const always = own.find(({ trigger }) => trigger.alwaysActive);
  if (always === undefined || idleReplicas(spec) > 0) return [];
  const field = spec.idleReplicaCount === undefined ? "minReplicaCount" : "idleReplicaCount";
  return [
    warning(
      "never-idle",
      ["spec", field],
      `is 0, and profile ${always.trigger.profile} is always active, so the workload never goes there; write minReplicaCount: 1`,
    ),
  ];
};

/** A server that was removed in a short pause loads its model again for the next request. */
const cooldown: ObjectRule = ({ kind, spec, own }) => {
  if (kind === "ScaledJob" || idleReplicas(spec) > 0) return [];
  const advised = own
    .filter(
      ({ trigger }) =>
        trigger.profile !== undefined || metricOf(trigger.metric).source === "engine",
    )
    .map(({ trigger: { profile } }) => ({ profile, seconds: adviceOf(profile).cooldownSeconds }))
    .toSorted((one, other) => other.seconds - one.seconds)[0];
  const { cooldownPeriod = 300 } = spec;
  if (advised === undefined || cooldownPeriod >= advised.seconds) return [];
  const whose = advised.profile === undefined ? "a model server" : `profile ${advised.profile}`;
  return [
    warning(
      "cooldown-too-short",
      ["spec", "cooldownPeriod"],
      `is ${cooldownPeriod} s, and ${whose} wants ${advised.seconds} s at least: what a short pause removes has to load its model again for the next request`,
    ),
  ];
};

const polling: ObjectRule = ({ kind, spec, own }) => {
  const { pollingInterval, triggers, advanced } = spec;
  if (kind === "ScaledJob" || pollingInterval === undefined) return [];
  const path = ["spec", "pollingInterval"];
  if (idleReplicas(spec) > 0) {
    const isCached = triggers.some(({ useCachedMetrics }) => useCachedMetrics === true);
    return isCached || advanced?.scalingModifiers?.formula !== undefined
      ? []
      : [
          warning(
            "polling-without-effect",
            path,
            "matters on the way from zero and with useCachedMetrics alone: the HPA asks every 15 s by itself",
          ),
        ];
  }
  const wakes = own.filter(({ trigger }) => canWake(trigger));
  const isPushed = wakes.some(({ index }) => triggers[index]?.type === "external-push");
  return pollingInterval <= slowPollSeconds || isPushed
    ? []
    : [
        warning(
          "slow-wake",
          path,
          `at zero replicas the first request waits up to ${pollingInterval} s until KEDA asks; take ${pollingSecondsDefault} or less, or type external-push`,
        ),
      ];
};

const fallback: ObjectRule = ({ spec: { fallback: value, maxReplicaCount = 100 } }) => {
  if (value === undefined) return [];
  const { replicas, behavior = "static" } = value;
  const path = ["spec", "fallback"];
  const warn = (code: string, key: string, message: string) => [
    warning(code, [...path, key], message),
  ];
  if (replicas > maxReplicaCount)
    return warn("fallback-above-most", "replicas", `is above maxReplicaCount, ${maxReplicaCount}`);
  if (replicas === 0)
    return warn(
      "fallback-to-zero",
      "replicas",
      "is 0, so an outage of the scaler may remove every replica; without fallback KEDA keeps them",
    );
  return behavior === "static" || behavior === "currentReplicasIfLower"
    ? warn(
        "fallback-removes-replicas",
        value.behavior === undefined ? "replicas" : "behavior",
        `while no answer comes, ${behavior} removes replicas above ${replicas}, whatever they serve; write behavior: currentReplicasIfHigher, or leave fallback out: then KEDA keeps them`,
      )
    : [];
};

const formula: ObjectRule = ({ spec: { advanced }, own }) =>
  advanced?.scalingModifiers?.formula === undefined || own.length === 0
    ? []
    : [
        warning(
          "activity-by-formula",
          ["spec", "advanced", "scalingModifiers", "formula"],
          "with a formula KEDA decides on activity by activationTarget, and what the triggers say of it (activationThreshold) has no effect on polling",
        ),
      ];

/** In the order in which people read them. */
export const scalingRules: readonly ObjectRule[] = [
  idleCount,
  neverIdle,
  cooldown,
  polling,
  fallback,
  formula,
];
