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

/** How far from 1 the ratio of value and target may be before anything is changed. */
export interface HpaTolerances {
  readonly up: number;
  readonly down: number;
}

/** What the HPA sees beside the value. */
export interface HpaInputs {
  readonly metricType: MetricType;
  /** In the metric's unit. */
  readonly target: number;
  /** `spec.replicas` of the scale target. */
  readonly replicas: number;
  /** `status.replicas`: only `AverageValue` compares with it. */
  readonly statusReplicas: number;
  /** Only `Value` multiplies by it. */
  readonly readyPods: number;
  readonly tolerances: HpaTolerances;
}

/** `--horizontal-pod-autoscaler-tolerance`, for a direction that has none of its own. */
export const hpaTolerance = 0.1;

/** What the HPA asks for, before `behavior`, minimum and maximum. */
export function desiredReplicas(value: number, hpa: HpaInputs): number {
  const { metricType, replicas, statusReplicas, readyPods, tolerances } = hpa;
  const usage = Math.trunc(value * 1000);
  const target = targetMilli(hpa);
  if (metricType === "AverageValue")
    return statusReplicas > 0 && isWithin(usage / (target * statusReplicas), tolerances)
      ? statusReplicas
      : Math.ceil(usage / target);
  const ratio = usage / target;
  if (replicas === 0) return Math.ceil(ratio);
  return isWithin(ratio, tolerances) ? replicas : Math.ceil(ratio * readyPods);
}

/**
 * What the HPA would ask for if the scale target had exactly the pods that it is asked to have: none
 * that surges, starts or ends.
 */
export function settledReplicas(value: number, hpa: HpaInputs): number {
  const { metricType, replicas, readyPods, tolerances } = hpa;
  if (metricType === "AverageValue")
    return desiredReplicas(value, { ...hpa, statusReplicas: replicas });
  const ratio = (Math.trunc(value * 1000) * readyPods) / (targetMilli(hpa) * replicas);
  return replicas > 0 && isWithin(ratio, tolerances) ? replicas : desiredReplicas(value, hpa);
}

/**
 * The value at which the HPA keeps `spec.replicas`.
 *
 * Under `AverageValue` the HPA asks for `status.replicas` where the value is near enough to what
 * those would have, so that while the status is another number a value has to be out of its reach.
 *
 * @returns `undefined` where there is no such value.
 */
export function holdingValue(hpa: HpaInputs): number | undefined {
  const { metricType, replicas, statusReplicas, tolerances } = hpa;
  const target = targetMilli(hpa) / 1000;
  const keeps = (value: number) => desiredReplicas(value, hpa) === replicas;
  const most = metricType === "Value" ? target : target * replicas;
  // Cut off after three digits, a decimal number may be a thousandth less than it seems.
  const whole = [most, most + 0.0005].find(keeps);
  if (metricType === "Value" || whole !== undefined) return whole;
  // Below what the status would keep, and still more than one replica fewer would have.
  const reach = target * statusReplicas * (1 - tolerances.down);
  const below = (Math.min(most, reach) + target * (replicas - 1)) / 2;
  return keeps(below) ? below : undefined;
}

function isWithin(ratio: number, { up, down }: HpaTolerances): boolean {
  return ratio >= 1 - down && ratio <= 1 + up;
}

function targetMilli({ target }: Pick<HpaInputs, "target">): number {
  return Math.round(target * 1000);
}
