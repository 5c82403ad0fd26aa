/**
 * From the text of a ScaledObject to what a simulation plays of it, or every problem at once.
 *
 * Source: kedacore/keda, apis/keda/v1alpha1/scaledobject_types.go, and autoscaling/v2 of Kubernetes
 * for `behavior`.
 *
 * @module
 */
import * as v from "valibot";
import { Fault, oneLine } from "#core/fault.ts";
import { between, choice, exact, isMapping, say, whole } from "#core/file-schema.ts";
import { int32Max, listedNamesMax } from "#core/limits.ts";
import { shortened } from "#core/quoted.ts";
import { type LocatedYaml, parseYamlDocuments, placedText } from "#core/yaml-text.ts";
import { metricTypes } from "#kubernetes/hpa.ts";
import type { ScaledObjectModel, TargetModel } from "#simulate/scenario.ts";
import { keyed } from "#trigger/check-object.ts";
import { countFindings } from "#trigger/field-rules.ts";
import { builtInProfiles, type ProfileTable } from "#trigger/profiles.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import { type TriggerWarning, triggerWarnings } from "#trigger/warnings.ts";
import type { InputResult } from "./input-result.ts";

/** A ScaledObject as a simulation plays it. */
export interface ScaledObjectFile {
  readonly name: string;
  readonly targetKind: TargetModel["kind"];
  readonly model: ScaledObjectModel;
  /** What breaks no rule and will not work as hoped. */
  readonly warnings: readonly TriggerWarning[];
}

const count = whole(0, int32Max);
const text = v.string(say("must be text"));
const unread = v.unknown();
const objectName = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

const policy = exact({
  type: choice(["Pods", "Percent"]),
  value: whole(1, int32Max),
  periodSeconds: whole(1, 1800),
});
const rules = exact({
  stabilizationWindowSeconds: v.exactOptional(whole(0, 3600)),
  selectPolicy: v.exactOptional(choice(["Max", "Min", "Disabled"])),
  policies: v.exactOptional(v.array(policy, say("must be a list"))),
  tolerance: v.exactOptional(between(0, int32Max)),
});
const trigger = exact({
  type: v.picklist(
    ["external", "external-push"],
    say("must be external or external-push, because the simulator plays this scaler alone"),
  ),
  metricType: v.exactOptional(choice(metricTypes)),
  metadata: v.record(
    text,
    v.string(say("must be text; put the value in quotes")),
    say("must be a mapping"),
  ),
  name: v.exactOptional(text),
  authenticationRef: v.exactOptional(unread),
  useCachedMetrics: v.exactOptional(unread),
});
const scaledObject = exact({
  apiVersion: v.literal("keda.sh/v1alpha1", say("must be keda.sh/v1alpha1")),
  kind: v.literal("ScaledObject"),
  metadata: v.looseObject({
    name: v.pipe(text, v.regex(objectName, say("must be a Kubernetes name"))),
  }),
  status: v.exactOptional(unread),
  spec: exact({
    scaleTargetRef: exact({
      name: text,
      kind: v.exactOptional(choice(["Deployment", "StatefulSet", "LeaderWorkerSet"]), "Deployment"),
      apiVersion: v.exactOptional(unread),
      envSourceContainerName: v.exactOptional(unread),
    }),
    minReplicaCount: v.exactOptional(count),
    maxReplicaCount: v.exactOptional(whole(1, int32Max)),
    idleReplicaCount: v.exactOptional(count),
    pollingInterval: v.exactOptional(whole(1, int32Max)),
    cooldownPeriod: v.exactOptional(count),
    initialCooldownPeriod: v.exactOptional(count),
    fallback: v.exactOptional(
      exact({
        failureThreshold: count,
        replicas: count,
        behavior: v.exactOptional(
          choice([
            "static",
            "currentReplicas",
            "currentReplicasIfHigher",
            "currentReplicasIfLower",
          ]),
        ),
      }),
    ),
    advanced: v.exactOptional(
      exact({
        restoreToOriginalReplicaCount: v.exactOptional(unread),
        horizontalPodAutoscalerConfig: v.exactOptional(
          exact({
            name: v.exactOptional(unread),
            behavior: v.exactOptional(
              exact({ scaleUp: v.exactOptional(rules), scaleDown: v.exactOptional(rules) }),
            ),
          }),
        ),
      }),
    ),
    triggers: v.pipe(
      v.array(trigger, say("must be a list")),
      v.minLength(1, "must have a trigger, got none"),
    ),
  }),
});
type Spec = v.InferOutput<typeof scaledObject>["spec"];

/**
 * @param yamlText Any documents, one of which is a ScaledObject; the others are not read.
 * @param profiles Those that its triggers may name.
 */
export function parseScaledObject(
  yamlText: string,
  profiles: ProfileTable = builtInProfiles,
): InputResult<ScaledObjectFile> {
  const documents: LocatedYaml[] = [];
  for (const document of parseYamlDocuments(yamlText)) {
    if (document.problems !== undefined) return { problems: document.problems.map(placedText) };
    documents.push(document);
  }
  const kinds = documents.map(({ value }) => (isMapping(value) ? value["kind"] : undefined));
  const all = documents.filter((_document, index) => kinds[index] === "ScaledObject");
  const [document] = all;
  if (document === undefined || all.length > 1) {
    const named = kinds.filter((kind) => kind !== undefined);
    const kindTexts = named.slice(0, listedNamesMax).map((kind) => oneLine(shortened(`${kind}`)));
    const found = kindTexts.join(", ");
    return {
      problems: [
        `the file: must have one document of kind ScaledObject, got ${found || "none with a kind"}`,
      ],
    };
  }
  const parsed = v.safeParse(scaledObject, document.value);
  if (!parsed.success) return { problems: document.problemsOf(parsed.issues) };
  const { spec, metadata } = parsed.output;
  const counts = countFindings(spec).map(({ path, message }) => document.located(path, message));
  const problems = [...counts, ...triggerProblems(spec, document, profiles)];
  if (problems.length > 0) return { problems };
  return {
    value: {
      name: metadata.name,
      targetKind: spec.scaleTargetRef.kind,
      model: modelOf(spec),
      warnings: warningsOf(spec, profiles),
    },
  };
}

function modelOf({ scaleTargetRef: _target, advanced, ...spec }: Spec): ScaledObjectModel {
  const behavior = advanced?.horizontalPodAutoscalerConfig?.behavior;
  return behavior === undefined ? spec : { ...spec, behavior };
}

/** What the scaler itself would refuse, by its own parser. */
function triggerProblems(
  { triggers }: Spec,
  { located }: LocatedYaml,
  profiles: ProfileTable,
): readonly string[] {
  return triggers.flatMap(({ metadata }, index) => {
    const path = ["spec", "triggers", index, "metadata"] as const;
    const problemAt = (key: string | undefined, problem: string) =>
      located(key === undefined ? path : [...path, key], `${path.join(".")}.${problem}`, "key");
    const fromEnv = Object.keys(metadata).filter((key) => key.endsWith("FromEnv"));
    if (fromEnv.length > 0)
      return fromEnv.map((key) =>
        problemAt(
          key,
          `${key}: must be ${key.replace(/FromEnv$/, "")} with its value, because a simulation has no container's environment`,
        ),
      );
    try {
      parseTrigger(metadata, profiles);
      return [];
    } catch (error) {
      if (!(error instanceof Fault && "problems" in error.facts)) throw error;
      return error.facts.problems.map((each) => {
        const { key, problem } = keyed(each);
        return problemAt(key, problem);
      });
    }
  });
}

function warningsOf(
  { triggers, ...spec }: Spec,
  profiles: ProfileTable,
): readonly TriggerWarning[] {
  const parsed = triggers.map(({ type, metadata, metricType = "AverageValue" }) => ({
    type,
    trigger: parseTrigger(metadata, profiles),
    metricType,
  }));
  return parsed.flatMap((own) =>
    triggerWarnings(own.trigger, {
      metricType: own.metricType,
      otherTriggers: parsed.filter((other) => other !== own),
      minReplicas: spec.idleReplicaCount ?? spec.minReplicaCount ?? 0,
    }),
  );
}
