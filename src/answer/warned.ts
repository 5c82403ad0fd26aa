/**
 * Warnings of a trigger, from what an answer to it has shown. A warning never keeps an answer back.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import type { EngineName } from "#metric/engines.ts";
import type { Trigger } from "#trigger/trigger.ts";
import { type OtherTrigger, type TriggerFacts, triggerWarnings } from "#trigger/warnings.ts";
import type { Workload, WorkloadView } from "#workload/workload.ts";
import type { Answer, Explanation, WorkloadRef } from "./answer.ts";
import { lookUpWorkload } from "./workload-question.ts";

export type Parse = (metadata: Readonly<Record<string, string>>) => Trigger;

export interface WarnedOptions {
  /** Absent where the answer did not look it up, as for an endpoint. */
  readonly workload: Workload | undefined;
  /** Absent where there is no Kubernetes API. */
  readonly workloads: WorkloadView | undefined;
  readonly parse: Parse;
}

/** The answer with everything in its explanation that there is to warn of. */
export function warned(
  ref: WorkloadRef,
  trigger: Trigger,
  answer: Answer,
  options: WarnedOptions,
): Answer {
  const { explanation } = answer;
  const facts = { ...objectFacts(ref, trigger, options), ...shownFacts(trigger, explanation) };
  const warnings = triggerWarnings(trigger, facts);
  return warnings.length === 0 ? answer : { ...answer, explanation: { ...explanation, warnings } };
}

/** What the ScaledObject says; nothing for a ScaledJob, which has no HPA and always may wake. */
function objectFacts(
  ref: WorkloadRef,
  trigger: Trigger,
  { workload: seen, workloads, parse }: WarnedOptions,
): TriggerFacts {
  const workload = seen ?? orNothing(() => workloads && lookUpWorkload(ref, trigger, workloads));
  if (workload === undefined || workload.kind === "ScaledJob") return {};
  const { minReplicas, metricType, otherTriggers } = workload;
  return {
    minReplicas,
    metricType,
    otherTriggers: otherTriggers.map((other) => otherOf(ref, other, parse)),
  };
}

function otherOf(
  { scalerMetadata }: WorkloadRef,
  { type, metadata }: Workload["otherTriggers"][number],
  parse: Parse,
): OtherTrigger {
  // Another external scaler has metadata of its own.
  if (metadata?.["scalerAddress"] !== scalerMetadata["scalerAddress"]) return { type };
  const trigger = metadata && orNothing(() => parse(metadata));
  return { type, ...(trigger === undefined ? {} : { trigger }) };
}

/** Engines that take what memory they are allowed at their start. */
const takingAll: ReadonlySet<EngineName> = new Set(["vllm", "sglang", "tgi", "trtllm", "lmdeploy"]);
const profileEngines: Readonly<Record<string, EngineName>> = {
  "vllm-inference": "vllm",
  "tgi-inference": "tgi",
};

/** What the pods and engines showed. */
function shownFacts(trigger: Trigger, { workload, engines = [] }: Explanation): TriggerFacts {
  const { engine = profileEngines[trigger.profile ?? ""] } = trigger;
  const inUse = (workload?.pods ?? []).flatMap(({ value }) => value ?? []);
  const bucketEdges = engines
    .flatMap(({ parts }) => (parts?.kind === "buckets" ? [parts] : []))
    .map(({ buckets, scale }) => buckets.map(({ le }) => le * scale))
    .at(0);
  return {
    ...(engine === undefined ? {} : { prealloc: takingAll.has(engine) }),
    ...(trigger.metric === "memory_used_percent" && inUse.length > 0
      ? { memoryPercent: Math.min(...inUse) }
      : {}),
    ...(bucketEdges === undefined ? {} : { bucketEdges }),
  };
}

/** What cannot be known gives no warning. */
function orNothing<Result>(run: () => Result): Result | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
