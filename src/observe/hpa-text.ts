import type { Trigger } from "#trigger/trigger.ts";
import type { TriggerStatus } from "./trigger-history.ts";

/**
 * What the HPA does with a value, with the numbers that it computes with.
 *
 * @returns `undefined` where there is no value or no HPA: in a ScaledJob, and outside scope workload.
 */
export function hpaText({ trigger, value, workload }: TriggerStatus): string | undefined {
  const result = value?.result;
  if (trigger === undefined || result === undefined || workload?.desiredReplicas === undefined)
    return undefined;
  const { desiredReplicas, replicas, minReplicas, maxReplicas } = workload;
  // At zero KEDA scales, and the HPA has nothing to say before there is a replica.
  const least = Math.max(minReplicas, 1);
  const limited = Math.min(Math.max(desiredReplicas, least), maxReplicas);
  const limit =
    limited === desiredReplicas ? "" : `, limited to ${limited} by ${least} to ${maxReplicas}`;
  const outcome =
    limited === replicas ? "keeps these" : `goes to ${limited} as its behavior allows`;
  return (
    `${arithmetic(result, trigger, workload.metricType)}: ${desiredReplicas}${limit}; ` +
    `spec.replicas is ${replicas}, and the HPA ${outcome}`
  );
}

function arithmetic(
  result: number,
  { target }: Trigger,
  metricType: "AverageValue" | "Value",
): string {
  const ratio = Math.round((100 * result) / target) / 100;
  return metricType === "AverageValue"
    ? `${result} / ${target} = ${ratio} replicas, rounded up outside the tolerance`
    : `${result} / ${target} = ${ratio} times the ready replicas, rounded up outside the tolerance`;
}
