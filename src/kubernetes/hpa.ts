/**
 * The HPA's arithmetic for an external metric, so that a value can be judged by what it will do.
 *
 * Source: kubernetes, pkg/controller/podautoscaler/replica_calculator.go,
 * `GetExternalPerPodMetricReplicas` (AverageValue) and `GetExternalMetricReplicas` (Value). KEDA
 * hands numbers over in whole thousandths: a target rounded, a value cut off.
 *
 * @module
 */
/** How the HPA compares a trigger's value with its target; KEDA's default is `AverageValue`. */
export const metricTypes = ["AverageValue", "Value"] as const;
export type MetricType = (typeof metricTypes)[number];

/** What the HPA sees beside the value. */
export interface HpaInputs {
  readonly metricType: MetricType;
  /** In the metric's unit. */
  readonly target: number;
  readonly replicas: number;
  /** Only `Value` multiplies by it. */
  readonly readyPods: number;
}

/** `--horizontal-pod-autoscaler-tolerance`: this near to the target nothing is changed. */
export const hpaTolerance = 0.1;

/** What the HPA asks for, before `behavior`, minimum and maximum. */
export function desiredReplicas(value: number, hpa: HpaInputs): number {
  const { metricType, replicas, readyPods } = hpa;
  const usage = Math.trunc(value * 1000);
  const target = targetMilli(hpa);
  const isAverage = metricType === "AverageValue";
  const ratio = usage / (isAverage ? target * replicas : target);
  if (replicas > 0 && ratio >= 1 - hpaTolerance && ratio <= 1 + hpaTolerance) return replicas;
  if (isAverage) return Math.ceil(usage / target);
  return Math.ceil(replicas > 0 ? ratio * readyPods : ratio);
}

/** The value at which the HPA keeps that many replicas. */
export function keepingValue(replicas: number, hpa: HpaInputs): number {
  const target = targetMilli(hpa) / 1000;
  return hpa.metricType === "AverageValue" ? target * replicas : target;
}

function targetMilli({ target }: HpaInputs): number {
  return Math.round(target * 1000);
}
