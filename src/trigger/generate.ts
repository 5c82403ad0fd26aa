/**
 * A complete ScaledObject for a profile, as commented YAML: trigger, behaviour, cooldown and limits as
 * the tables advise them, each with its reason.
 *
 * @module
 */

import { commentColumns } from "#core/limits.ts";
import { proseLines } from "#core/text-lines.ts";
import { scalarText } from "#core/yaml-text.ts";
import { adviceOf, type ProfileAdvice, type ScalingRules } from "./advice.ts";
import {
  type GeneratedTrigger,
  type GenerateInput,
  generatedTriggers,
  targetKinds,
} from "./generated-triggers.ts";
import { profileUses } from "./profile-uses.ts";
import { profileNames } from "./profiles.ts";
import { kedaApiVersion } from "./scaled-spec.ts";

/** @returns YAML that ends with a newline. */
export function generatedObject(input: GenerateInput): string {
  const { profileName, target, namespace } = input;
  const advice = adviceOf(profileName);
  const lines = [
    ...useComments(profileName),
    `apiVersion: ${kedaApiVersion}`,
    "kind: ScaledObject",
    "metadata:",
    `  name: ${scalarText(target.name)}`,
    ...(namespace === undefined ? [] : [`  namespace: ${scalarText(namespace)}`]),
    "spec:",
    "  scaleTargetRef:",
    `    apiVersion: ${targetKinds[target.kind]}`,
    `    kind: ${target.kind}`,
    `    name: ${scalarText(target.name)}`,
    ...countLines(input, advice),
    ...behaviorLines(advice),
    "  triggers:",
    ...generatedTriggers(input).flatMap(triggerLines),
  ];
  return `${lines.join("\n")}\n`;
}

function useComments(profileName: string): readonly string[] {
  const name = profileNames.find((builtIn) => builtIn === profileName);
  if (name === undefined) return [];
  const { when, whenNot } = profileUses[name];
  return [...comment(`Profile ${name}, for: ${when}`), ...comment(`Not for: ${whenNot}`)];
}

function countLines(input: GenerateInput, { cooldownSeconds, wake }: ProfileAdvice) {
  const { profile, minReplicas, maxReplicas, fromZero } = input;
  const isIdleCount = fromZero !== undefined && minReplicas > 0;
  const goesToZero = isIdleCount || minReplicas === 0;
  const why = !profile.scalesToZero
    ? "The profile is always active, so the workload never goes to zero."
    : goesToZero
      ? "Nothing runs while nobody asks; the last trigger below sees who does."
      : `At zero replicas the workload holds no GPU, so its own numbers could not wake it. Go to 0 only with ${wake}: --from-zero writes one.`;
  return [
    ...comment(why, "  "),
    ...(isIdleCount ? ["  idleReplicaCount: 0"] : []),
    `  minReplicaCount: ${minReplicas}`,
    ...comment("Each replica holds GPUs: as many as there are, or as you want to pay for.", "  "),
    `  maxReplicaCount: ${maxReplicas}`,
    ...comment(
      goesToZero
        ? "Idle time before the way to zero; longer than the pause between two conversations, and than a model load."
        : "Idle time before the way to zero; without effect while minReplicaCount is above 0.",
      "  ",
    ),
    `  cooldownPeriod: ${cooldownSeconds}`,
    ...comment(
      "No fallback: what is not known is an error, never 0, and on an error KEDA keeps the replicas that run.",
      "  ",
    ),
  ];
}

function behaviorLines({ scaleUp, scaleDown }: ProfileAdvice): readonly string[] {
  return [
    "  advanced:",
    "    horizontalPodAutoscalerConfig:",
    "      behavior:",
    ...comment(
      "A new replica serves nothing until its model is loaded, and the demand stays.",
      "        ",
    ),
    "        scaleUp:",
    ...rulesLines(scaleUp),
    ...comment("A replica that is removed has to load again when it is needed.", "        "),
    "        scaleDown:",
    ...rulesLines(scaleDown),
  ];
}

function rulesLines({ stabilizationWindowSeconds, selectPolicy, policies }: ScalingRules) {
  const indent = "          ";
  return [
    `${indent}stabilizationWindowSeconds: ${stabilizationWindowSeconds}`,
    ...(selectPolicy === undefined ? [] : [`${indent}selectPolicy: ${selectPolicy}`]),
    ...(policies === undefined ? [] : [`${indent}policies:`]),
    ...(policies ?? []).map(
      ({ type, value, periodSeconds }) =>
        `${indent}  - { type: ${type}, value: ${value}, periodSeconds: ${periodSeconds} }`,
    ),
  ];
}

function triggerLines({ why, type, metricType, keys }: GeneratedTrigger): readonly string[] {
  return [
    ...(why === undefined ? [] : comment(why, "    ")),
    `    - type: ${type}`,
    ...(metricType === undefined ? [] : [`      metricType: ${metricType}`]),
    "      metadata:",
    ...keys.flatMap(({ key, value, why: reason }) => [
      ...(reason === undefined ? [] : comment(reason, "        ")),
      `        ${key}: ${scalarText(value)}`,
    ]),
  ];
}

function comment(text: string, indent = ""): readonly string[] {
  return proseLines(text, commentColumns - indent.length - 2).map((line) => `${indent}# ${line}`);
}
