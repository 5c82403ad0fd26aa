/**
 * What a call asks: one metric of a ScaledObject's trigger, for its size or for its activity.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import type { SignalQuery } from "#engine/signal/query.ts";
import {
  type DeviceMetric,
  type EngineMetric,
  type MetricName,
  metricOf,
} from "#metric/catalogue.ts";
import type { JsonMetric } from "#metric/engines.ts";
import { metricKind } from "#trigger/metric-kind.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Workload, WorkloadView } from "#workload/workload.ts";
import type { WorkloadRef } from "./answer.ts";

interface QueryBase {
  readonly ref: WorkloadRef;
  readonly trigger: Trigger;
  readonly purpose: "value" | "activity";
  readonly metric: MetricName;
}

/** A metric that is read from devices. */
export interface DeviceQuery extends QueryBase {
  readonly source: "device";
  readonly row: DeviceMetric;
}

/** A metric that is read from inference engines. */
export interface EngineQuery extends QueryBase {
  readonly source: "engine";
  readonly row: EngineMetric;
  /** What each engine is asked for. */
  readonly signal: SignalQuery;
  /** What tells that an engine is in use, whatever the metric says. */
  readonly activity: SignalQuery;
}

export type MetricQuery = DeviceQuery | EngineQuery;

export function metricQuery(
  ref: WorkloadRef,
  trigger: Trigger,
  purpose: MetricQuery["purpose"],
): MetricQuery {
  const metric = purpose === "value" ? trigger.metric : trigger.activationMetric;
  const row = rowOf(metric, trigger);
  if (row.source === "device") return { ref, trigger, purpose, metric, source: "device", row };
  const signal = signalQuery(row, trigger, purpose);
  const activity: SignalQuery = { ...signal, signal: "activity", windowMs: 0 };
  return { ref, trigger, purpose, metric, source: "engine", row, signal, activity };
}

function rowOf(metric: MetricName, trigger: Trigger): DeviceMetric | EngineMetric {
  return { ...metricOf(metric), kind: metricKind(metric, trigger) };
}

/** Over which time readings are averaged: whether anybody is there now is seen in the newest. */
export function windowMsOf({ purpose, trigger }: Pick<MetricQuery, "purpose" | "trigger">): number {
  return purpose === "activity" ? 0 : trigger.windowSeconds * 1_000;
}

function signalQuery(
  row: EngineMetric,
  trigger: Trigger,
  purpose: MetricQuery["purpose"],
): SignalQuery {
  const { engineMetric, engineJson, engineLabels = [] } = trigger;
  const signal = row.signal ?? engineMetric ?? (engineJson && jsonSignal(engineJson));
  assert(signal !== undefined, "a trigger that asks for engine_metric names it");
  return { signal, windowMs: windowMsOf({ purpose, trigger }), match: engineLabels };
}

/** The page has one number, under its path. */
function jsonSignal({ path }: JsonMetric): SignalQuery["signal"] {
  return { metric: path, kind: "gauge" };
}

/**
 * Whose pods count.
 *
 * @throws {Fault} as `WorkloadView` does.
 */
export function lookUpWorkload(
  { ref, trigger }: Pick<MetricQuery, "ref" | "trigger">,
  workloads: WorkloadView,
): Workload {
  const { podSelector, container } = trigger;
  const { namespace, name, scalerMetadata } = ref;
  return workloads.of(namespace, name, scalerMetadata, { podSelector, container });
}
