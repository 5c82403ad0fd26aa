/**
 * What answers from devices need before anybody asks: readings that are taken, and windows that are
 * kept.
 *
 * @module
 */
import { unlessFault } from "#core/fault.ts";
import type { FleetView } from "#fleet/view.ts";
import { metricOf } from "#metric/catalogue.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { WorkloadView } from "#workload/workload.ts";
import type { WorkloadRef } from "./answer.ts";
import { clusterReadings, nodeReadings } from "./device-group.ts";
import { podDevicesResult } from "./pod-devices.ts";
import { lookUpWorkload, metricQuery } from "./query.ts";

/** The readings that the value and the activity of a trigger are made of. */
export function neededReadings({ metric, activationMetric }: Trigger): readonly ReadingName[] {
  return [...new Set([metric, activationMetric])].flatMap((name) => {
    const row = metricOf(name);
    return row.source === "device" ? row.needs : [];
  });
}

export interface WindowOptions {
  readonly view: FleetView;
  /** Where there is a Kubernetes API. */
  readonly workloads?: WorkloadView | undefined;
  readonly localNode?: string | undefined;
  readonly nowMs: number;
}

/**
 * Reads the means that an answer would, so that their windows begin before somebody asks and are kept.
 *
 * @throws {Fault} as the answer would.
 */
export function readWindows(
  ref: WorkloadRef,
  trigger: Trigger,
  { view, workloads, localNode, nowMs }: WindowOptions,
): void {
  const query = metricQuery(ref, trigger, "value");
  if (query.source === "engine" || trigger.windowSeconds === 0) return;
  const { scope = workloads === undefined ? "node" : "workload" } = trigger;
  if (scope === "cluster") clusterReadings(query, view, nowMs);
  else if (scope === "node") nodeReadings(query, view, nowMs, localNode);
  else if (workloads !== undefined)
    // A device that cannot have the metric keeps nothing from the others.
    for (const pod of lookUpWorkload(query, workloads).pods)
      unlessFault(() => podDevicesResult(pod, query, view, nowMs));
}
