/**
 * Which signal and target fit a workload, from how it was used in the last hours. Pure: each rule looks
 * at the same numbers, and says which of them it rests on.
 *
 * @module
 */
import { adviceBusyMinutesLeast } from "#core/limits.ts";
import { spanText } from "#core/span-text.ts";
import { metricOf } from "#metric/catalogue.ts";
import { engineNames } from "#metric/engines.ts";
import type { TriggerStatus } from "#observe/trigger-history.ts";
import type { AdviceRule, AdvisedTrigger, Recommendation } from "./recommendation.ts";
import { maximumReached, oftenIdle, replicasRestless, slowStart } from "./replica-rules.ts";
import {
  cacheFull,
  cacheRoomy,
  engineUnread,
  memoryConstant,
  steadyWork,
  utilizationSaturated,
} from "./signal-rules.ts";
import { requestsWait, targetLow } from "./target-rules.ts";
import type { UsageHistory } from "./usage-store.ts";
import { type UsageSummary, usageSummary } from "./usage-summary.ts";

/** The signal first: a target or a maximum of the wrong signal is none to correct. */
const rules: readonly AdviceRule[] = [
  memoryConstant,
  utilizationSaturated,
  engineUnread,
  steadyWork,
  requestsWait,
  targetLow,
  cacheFull,
  cacheRoomy,
  replicasRestless,
  maximumReached,
  oftenIdle,
  slowStart,
];

export interface WorkloadAdvice {
  readonly namespace: string;
  readonly name: string;
  readonly triggers: readonly AdvisedTrigger[];
  readonly engine?: string | undefined;
  readonly summary: UsageSummary;
  /** What keeps some rules from being looked at; for people. */
  readonly lacking?: string | undefined;
  readonly recommendations: readonly Recommendation[];
}

/** @param statuses Of the triggers of one object, at least one. */
export function adviceFor(
  history: UsageHistory,
  statuses: readonly TriggerStatus[],
): Omit<WorkloadAdvice, "namespace" | "name"> {
  const { minReplicas, maxReplicas } = history;
  const summary = usageSummary(history);
  const triggers = statuses.flatMap((status) => advisedTrigger(status) ?? []);
  const engine = history.engine ?? history.likelyEngine ?? engineOfProfile(statuses);
  const context = { summary, triggers, engine, minReplicas, maxReplicas };
  return {
    triggers,
    engine,
    summary,
    lacking: lackingText(summary),
    recommendations: rules.flatMap((rule) => rule(context) ?? []),
  };
}

function lackingText({ busyMinutes, observedMs }: UsageSummary): string | undefined {
  if (busyMinutes >= adviceBusyMinutesLeast) return undefined;
  return (
    `Not enough observed to judge the signal: ${busyMinutes} busy minutes in ` +
    `${spanText(observedMs)}, and it takes ${adviceBusyMinutesLeast}; ask again later`
  );
}

function advisedTrigger({ trigger, workload }: TriggerStatus): AdvisedTrigger | undefined {
  if (trigger === undefined) return undefined;
  const { metricName, metric, target, alwaysActive } = trigger;
  const row = metricOf(metric);
  return {
    metricName,
    metric,
    signal: row.source === "engine" ? row.signal : undefined,
    source: row.source,
    target,
    metricType: workload?.metricType ?? "AverageValue",
    alwaysActive,
  };
}

/** `vllm-inference` reads devices, and says what runs there. */
function engineOfProfile(statuses: readonly TriggerStatus[]): string | undefined {
  const words = statuses.flatMap(({ trigger }) => trigger?.profile?.split("-") ?? []);
  return engineNames.find((name) => words.includes(name));
}
