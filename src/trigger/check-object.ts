/**
 * A ScaledObject or ScaledJob as its author wrote it, with everything that this scaler, KEDA or the
 * HPA would say of it: what they refuse as errors, what cannot work as warnings.
 *
 * @module
 */
import * as v from "valibot";
import { Fault } from "#core/fault.ts";
import { problemOf } from "#core/file-schema.ts";
import type { MetricType } from "#kubernetes/hpa.ts";
import { quantityOf } from "#kubernetes/quantity.ts";
import { fieldRules } from "./field-rules.ts";
import { parseMetadata } from "./keys.ts";
import { idleReplicas, type ObjectFinding, type OwnTrigger } from "./object-finding.ts";
import type { ProfileTable } from "./profiles.ts";
import { type ScaledKind, type ScaledSpec, type SpecTrigger, scaledSchema } from "./scaled-spec.ts";
import { scalingRules } from "./scaling-rules.ts";
import { parseTrigger, type Trigger } from "./trigger.ts";
import { triggerWarnings } from "./warnings.ts";

export interface ObjectCheck {
  readonly kind: ScaledKind;
  readonly profiles: ProfileTable;
  /** Whether an external trigger is this scaler's, by its `scalerAddress`. */
  readonly isOwn: (scalerAddress: string) => boolean;
  /** What the scaler's own settings refuse of a trigger, each with the key it is about. */
  readonly refusals: (trigger: Trigger, source: TriggerSource) => readonly KeyProblem[];
}

/** Where a trigger comes from. */
export interface TriggerSource {
  readonly metadata: Readonly<Record<string, string>>;
  /** Absent where the object does not say it. */
  readonly namespace: string | undefined;
}

export interface KeyProblem {
  /** Of the metadata; absent: all of it. */
  readonly key?: string | undefined;
  readonly problem: string;
  /** Of what only may be refused: a warning with this code. */
  readonly code?: string | undefined;
}

export interface ObjectResult {
  readonly findings: readonly ObjectFinding[];
  /** Triggers that are this scaler's, and external ones that are another's. */
  readonly ownTriggers: number;
  readonly otherTriggers: number;
}

export function checkObject(object: unknown, check: ObjectCheck): ObjectResult {
  const parsed = v.safeParse(scaledSchema, object);
  if (!parsed.success) {
    const findings = parsed.issues.map(
      (issue): ObjectFinding => ({
        severity: "error",
        path: (issue.path ?? []).map(({ key }) => key as string | number),
        message: problemOf(issue),
      }),
    );
    return { findings, ownTriggers: 0, otherTriggers: 0 };
  }
  const { spec, metadata } = parsed.output;
  const checked = spec.triggers.map((trigger, index) => ({
    index,
    ...checkTrigger(trigger, index, metadata.namespace, check),
  }));
  const own = checked.flatMap(({ index, trigger }) =>
    trigger === undefined ? [] : [{ index, trigger }],
  );
  const rules = [...fieldRules, ...scalingRules];
  return {
    findings: [
      ...rules.flatMap((rule) => rule({ kind: check.kind, spec, own })),
      ...checked.flatMap(({ findings }) => findings),
      ...warningFindings(spec, own),
    ],
    ownTriggers: checked.filter(({ whose }) => whose === "own").length,
    otherTriggers: checked.filter(({ whose }) => whose === "other").length,
  };
}

interface CheckedTrigger {
  /** Whose external trigger it is; absent for other types. */
  readonly whose?: "own" | "other";
  /** Where all of its metadata is right. */
  readonly trigger?: Trigger | undefined;
  readonly findings: readonly ObjectFinding[];
}

function checkTrigger(
  { type, metadata }: SpecTrigger,
  index: number,
  namespace: string | undefined,
  check: ObjectCheck,
): CheckedTrigger {
  if (type !== "external" && type !== "external-push") return { findings: [] };
  const path = ["spec", "triggers", index, "metadata"] as const;
  const findingAt = ({ key, problem, code }: KeyProblem): ObjectFinding => ({
    severity: code === undefined ? "error" : "warning",
    code,
    path: key !== undefined && Object.hasOwn(metadata, key) ? [...path, key] : path,
    part: "key",
    message: `${path.join(".")}.${problem}`,
  });
  const { scalerAddress } = metadata;
  if (scalerAddress === undefined) {
    const problem = "scalerAddress: required: KEDA refuses an external trigger without it";
    return { findings: [findingAt({ problem })] };
  }
  if (!check.isOwn(scalerAddress)) return { whose: "other", findings: [] };
  const { trigger, problems } = parsedTrigger(metadata, check.profiles);
  const refusals = trigger === undefined ? [] : check.refusals(trigger, { metadata, namespace });
  return { whose: "own", trigger, findings: [...problems, ...refusals].map(findingAt) };
}

/**
 * By the same parser as the server's. What a key that ends in `FromEnv` will say is known in the
 * cluster alone: then the other keys are checked each by itself, and no rule among keys.
 */
function parsedTrigger(
  metadata: Readonly<Record<string, string>>,
  profiles: ProfileTable,
): { readonly trigger?: Trigger; readonly problems: readonly KeyProblem[] } {
  const names = [...profiles.keys()];
  const fromEnv = Object.keys(metadata).filter((key) => key.endsWith("FromEnv"));
  if (fromEnv.length > 0) {
    const known = Object.entries(metadata).filter(([key]) => !fromEnv.includes(key));
    const unknown = fromEnv.flatMap((key) =>
      parseMetadata({ [key]: "" }, names).problems.filter(isUnknownKey),
    );
    const { problems } = parseMetadata(Object.fromEntries(known), names);
    return { problems: [...unknown, ...problems].map(keyed) };
  }
  try {
    return { trigger: parseTrigger(metadata, profiles), problems: [] };
  } catch (error) {
    if (!(error instanceof Fault && "problems" in error.facts)) throw error;
    return { problems: error.facts.problems.map(keyed) };
  }
}

function isUnknownKey(problem: string): boolean {
  return problem.includes(": unknown key");
}

/** The key that a problem of metadata begins with, and the problem with it as it stands there. */
export function keyed(problem: string): KeyProblem {
  const [, key, rest] = /^"?([^":]+)"?(:.*)$/s.exec(problem) ?? [];
  return key === undefined ? { problem } : { key, problem: `${key}${rest}` };
}

function warningFindings(spec: ScaledSpec, own: readonly OwnTrigger[]): readonly ObjectFinding[] {
  const { triggers, advanced } = spec;
  const behavior = advanced?.horizontalPodAutoscalerConfig?.behavior;
  const all = triggers.map(({ type }, index) => ({
    type,
    index,
    trigger: own.find((one) => one.index === index)?.trigger,
  }));
  return own.flatMap(({ index, trigger }) => {
    const path = ["spec", "triggers", index];
    return triggerWarnings(trigger, {
      metricType: metricTypeOf(triggers[index]),
      otherTriggers: all.filter((other) => other.index !== index),
      minReplicas: idleReplicas(spec),
      scaleUpTolerance: quantityOf(behavior?.scaleUp?.tolerance),
    }).map(({ code, message }): ObjectFinding => {
      const text = `${path.join(".")}: ${message}`;
      return { severity: "warning", code, path, message: text };
    });
  });
}

function metricTypeOf(trigger: SpecTrigger | undefined): MetricType {
  return trigger?.metricType === "Value" ? "Value" : "AverageValue";
}
