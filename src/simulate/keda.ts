/**
 * KEDA: asks the scaler, decides between none and one replica, and hands values to the HPA.
 *
 * Source: kedacore/keda main 8b4f083c: pkg/scaling/executor/scale_scaledobjects.go (`RequestScale`),
 * pkg/scaling/scale_handler.go, pkg/scalers/external_scaler.go (`GetMetricsAndActivity`),
 * pkg/fallback/fallback.go.
 *
 * @module
 */
import type { HpaMetric } from "./hpa.ts";
import type { ScaledObjectModel } from "./scenario.ts";

/** What a scaler answers to GetMetrics and then IsActive. */
export type ScalerAnswer =
  | { readonly value: number; readonly isActive: boolean }
  /** Either call failed: KEDA drops what the other said. */
  | { readonly error: string };

/** A scaler as KEDA sees it through gRPC. */
export interface ScalerClient {
  /** GetMetricSpec; `undefined` while the scaler cannot be reached. */
  readonly metrics: () => readonly HpaMetric[] | undefined;
  readonly ask: (trigger: number) => ScalerAnswer;
  /** What StreamIsActive would have said last; `undefined` while it says nothing. */
  readonly pushed: (trigger: number) => boolean | undefined;
}

/** What KEDA reads and sets of the scale target. */
export interface ScaleSubresource {
  readonly specReplicas: () => number;
  readonly readyReplicas: () => number;
  readonly scaleTo: (replicas: number, by: "KEDA") => void;
}

export interface Keda {
  /** One round of the polling loop. */
  readonly poll: (nowMs: number) => void;
  /** Looks at what the push streams say. */
  readonly push: (nowMs: number) => void;
  /** One trigger's value for the HPA, in thousandths; `undefined` is an error of the metrics API. */
  readonly usageMilli: (trigger: number) => number | undefined;
  /** Whether the last poll found any trigger active. */
  readonly isActive: () => boolean;
  readonly hasError: () => boolean;
}

export interface KedaOptions {
  readonly scaledObject: ScaledObjectModel;
  readonly client: ScalerClient;
  readonly scale: ScaleSubresource;
  readonly createdAtMs: number;
}

const cooldownDefaultSeconds = 300;

/** What a poll found. */
interface Found {
  readonly isActive: boolean;
  readonly isError: boolean;
}

export function keda({ scaledObject, client, scale, createdAtMs }: KedaOptions): Keda {
  const { triggers } = scaledObject;
  const ask = asking(scaledObject, client, scale);
  const requestScale = executor(scaledObject, scale, createdAtMs);
  let last: Found = { isActive: false, isError: false };

  return {
    poll: (nowMs) => {
      // Without GetMetricSpec there is nothing to ask for, and no failure is counted.
      if (client.metrics() === undefined) last = { isActive: false, isError: true };
      else {
        const found = triggers.map((_trigger, index) => ask(index));
        last = {
          isActive: found.some(({ isActive }) => isActive),
          isError: found.some(({ isError }) => isError),
        };
      }
      requestScale(last, nowMs);
    },
    push: (nowMs) => {
      for (const [index, { type }] of triggers.entries()) {
        // A pushed false is ignored: only polling takes a workload down.
        if (type !== "external-push" || client.pushed(index) !== true) continue;
        requestScale({ isActive: true, isError: false }, nowMs);
      }
    },
    usageMilli: (trigger) =>
      // One failing GetMetricSpec fails the request for every metric of the object.
      client.metrics() === undefined ? undefined : ask(trigger).milli,
    isActive: () => last.isActive,
    hasError: () => last.isError,
  };
}

/** Asks a trigger, counts how often in a row it failed, and falls back when that is too often. */
function asking(
  { triggers, fallback }: ScaledObjectModel,
  client: ScalerClient,
  scale: ScaleSubresource,
) {
  const failures = triggers.map(() => 0);

  /** In thousandths. */
  const fallbackMilli = (trigger: number): number | undefined => {
    if (fallback === undefined || (failures[trigger] ?? 0) <= fallback.failureThreshold)
      return undefined;
    const metric = client.metrics()?.[trigger];
    if (metric === undefined) return undefined;
    const replicas = fallbackReplicas(fallback, scale.specReplicas());
    if (metric.metricType === "AverageValue") return metric.targetMilli * replicas;
    const ready = scale.readyReplicas();
    return ready === 0 ? undefined : Math.round((metric.targetMilli * replicas) / ready);
  };

  return (trigger: number) => {
    const answer = client.ask(trigger);
    const hasFailed = "error" in answer;
    failures[trigger] = hasFailed ? (failures[trigger] ?? 0) + 1 : 0;
    if (!hasFailed)
      return { milli: Math.trunc(answer.value * 1000), isActive: answer.isActive, isError: false };
    const milli = fallbackMilli(trigger);
    // Since 2.19 a fallback that is in force makes its trigger active.
    return { milli, isActive: milli !== undefined, isError: milli === undefined };
  };
}

/** Decides between none and some, or between the idle count and the least. */
function executor(
  { fallback, idleReplicaCount, minReplicaCount = 0, ...scaledObject }: ScaledObjectModel,
  scale: ScaleSubresource,
  createdAtMs: number,
) {
  const cooldownMs = (scaledObject.cooldownPeriod ?? cooldownDefaultSeconds) * 1000;
  const initialCooldownMs = (scaledObject.initialCooldownPeriod ?? 0) * 1000;
  let lastActiveMs: number | undefined;

  const whenActive = (isError: boolean, nowMs: number) => {
    const current = scale.specReplicas();
    const isIdle = idleReplicaCount !== undefined && current < minReplicaCount;
    if (current === 0 || isIdle) {
      scale.scaleTo(Math.max(1, minReplicaCount), "KEDA");
      lastActiveMs = nowMs;
    } else if (!isError) lastActiveMs = nowMs;
  };

  const isCool = (nowMs: number) =>
    lastActiveMs === undefined
      ? createdAtMs + initialCooldownMs < nowMs
      : lastActiveMs + cooldownMs < nowMs;

  const whenIdle = (isError: boolean, nowMs: number) => {
    // An error keeps what there is, unless a fallback of 0 replicas says otherwise.
    if (isError && fallback?.replicas !== 0) return;
    const current = scale.specReplicas();
    const least = idleReplicaCount ?? (minReplicaCount === 0 ? 0 : current);
    if (current > least && isCool(nowMs)) scale.scaleTo(least, "KEDA");
    if (current < minReplicaCount && idleReplicaCount === undefined)
      scale.scaleTo(minReplicaCount, "KEDA");
  };

  return ({ isActive, isError }: Found, nowMs: number) =>
    isActive ? whenActive(isError, nowMs) : whenIdle(isError, nowMs);
}

function fallbackReplicas(
  { replicas, behavior = "static" }: NonNullable<ScaledObjectModel["fallback"]>,
  current: number,
): number {
  switch (behavior) {
    case "static":
      return replicas;
    case "currentReplicas":
      return current;
    case "currentReplicasIfHigher":
      return Math.max(replicas, current);
    case "currentReplicasIfLower":
      return Math.min(replicas, current);
  }
}
