import { type MetricName, metricOf } from "#metric/catalogue.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { WorkloadView } from "#workload/workload.ts";
import type { WorkloadRef } from "./answer.ts";
import { askOf, guardOf, placeTarget, podTarget } from "./engine-ask.ts";
import type { EngineReader } from "./engine-reader.ts";
import { lookUpWorkload } from "./workload-question.ts";

/** Whether anything that a trigger asks for is read from engines. */
export function readsEngines({ metric, activationMetric }: Trigger): boolean {
  return [metric, activationMetric].some((name) => metricOf(name).source === "engine");
}

export interface NeedsOptions {
  readonly engines: Pick<EngineReader, "read" | "endpointsOf" | "tokenFile">;
  readonly workloads?: WorkloadView;
}

/**
 * Reads everything that an answer for this trigger would, so that it is in memory when somebody
 * asks.
 *
 * @throws {Fault} as the answer would.
 */
export function readNeeds(ref: WorkloadRef, trigger: Trigger, options: NeedsOptions): void {
  const { engines, workloads } = options;
  const wanted = [...new Set<MetricName>([trigger.metric, trigger.activationMetric])].flatMap(
    (metric) => {
      const row = metricOf(metric);
      return row.source === "engine" ? [{ metric, row, windowSeconds: trigger.windowSeconds }] : [];
    },
  );
  if (wanted.length === 0) return;
  const asks = wanted.flatMap((one) => [askOf(one, trigger), guardOf(one, trigger) ?? []].flat());
  for (const spec of targetsOf(ref, trigger, engines, workloads))
    for (const ask of asks) engines.read(spec, ask);
}

function targetsOf(
  ref: WorkloadRef,
  trigger: Trigger,
  engines: NeedsOptions["engines"],
  workloads: WorkloadView | undefined,
) {
  const { endpoint, scope = "workload" } = trigger;
  if (endpoint !== undefined)
    return engines
      .endpointsOf(endpoint, ref.namespace)
      .map((place) => placeTarget(place, ref.namespace, trigger, engines));
  if (workloads === undefined || scope !== "workload") return [];
  return lookUpWorkload(ref, trigger, workloads).pods.flatMap((pod) =>
    pod.state === "counted" ? (podTarget(pod, trigger, engines) ?? []) : [],
  );
}
