/**
 * Warnings of a trigger, from what an answer to it has shown. A warning never keeps an answer back.
 *
 * @module
 */
import { unlessFault } from "#core/fault.ts";
import type { EngineName } from "#metric/engines.ts";
import type { Trigger } from "#trigger/trigger.ts";
import { type OtherTrigger, type TriggerFacts, triggerWarnings } from "#trigger/warnings.ts";
import type { Workload } from "#workload/workload.ts";
import type { Answer } from "./answer.ts";
import type { Explanation } from "./explanation.ts";
import type { MetricQuery } from "./query.ts";

export type ParseTrigger = (metadata: Readonly<Record<string, string>>) => Trigger;

/**
 * The answer with everything in its explanation that there is to warn of.
 *
 * @param workload Absent where it is not known.
 * @param parse For the object's other triggers.
 */
export function withWarnings(
  answer: Answer,
  query: MetricQuery,
  workload: Workload | undefined,
  parse: ParseTrigger,
): Answer {
  const { trigger } = query;
  const { explanation } = answer;
  const warnings = triggerWarnings(trigger, {
    ...objectFacts(query, workload, parse),
    ...readingFacts(trigger, explanation),
  });
  return warnings.length === 0 ? answer : { ...answer, explanation: { ...explanation, warnings } };
}

/** What the ScaledObject says; nothing for a ScaledJob, which has no HPA and always may wake. */
function objectFacts(
  query: MetricQuery,
  workload: Workload | undefined,
  parse: ParseTrigger,
): TriggerFacts {
  if (workload === undefined || workload.kind === "ScaledJob") return {};
  const { minReplicas, metricType, otherTriggers, tolerances } = workload;
  return {
    scaleUpTolerance: tolerances.up,
    minReplicas,
    metricType,
    otherTriggers: otherTriggers.map((other) => otherTrigger(query, other, parse)),
  };
}

function otherTrigger(
  { ref: { scalerMetadata } }: MetricQuery,
  { type, metadata }: Workload["otherTriggers"][number],
  parse: ParseTrigger,
): OtherTrigger {
  // Another external scaler has metadata of its own.
  if (metadata?.["scalerAddress"] !== scalerMetadata["scalerAddress"]) return { type };
  return { type, trigger: metadata && unlessFault(() => parse(metadata)) };
}

/** Engines that take what memory they are allowed at their start. */
const preallocating: ReadonlySet<EngineName> = new Set([
  "vllm",
  "sglang",
  "tgi",
  "trtllm",
  "lmdeploy",
]);
const profileEngines: Readonly<Record<string, EngineName>> = {
  "vllm-inference": "vllm",
  "tgi-inference": "tgi",
};

/** What the pods and engines showed. */
function readingFacts(
  trigger: Trigger,
  { workload, devices, engines = [] }: Explanation,
): TriggerFacts {
  const { engine = profileEngines[trigger.profile ?? ""], metric } = trigger;
  const values = (workload?.pods ?? []).flatMap(({ value }) => value ?? []);
  const memoryPercent =
    metric === "memory_used_percent" && values.length > 0 ? Math.min(...values) : undefined;
  const [histogram] = engines.flatMap(({ observations }) =>
    observations?.kind === "buckets" ? [observations] : [],
  );
  const equal = devices.filter(({ part }) => part === undefined);
  const holders = Math.max(1, ...equal.map(({ sharedBy = 1 }) => sharedBy));
  return {
    sharedBy: holders > 1 ? holders : undefined,
    prealloc: engine && preallocating.has(engine),
    memoryPercent,
    bucketEdges: histogram?.buckets.map(({ le }) => le * histogram.scale),
  };
}
