/**
 * What a scale-in that is near would choose among.
 *
 * The HPA takes the largest of what its metrics ask for, and removes nothing while one of them has no
 * value. So a scale-in is near when every trigger of the object that this scaler answers asks for
 * fewer replicas, or soon would.
 *
 * @module
 */
import { unlessFault } from "#core/fault.ts";
import { deletionCostWindowSeconds, scaleInNearShare } from "#core/limits.ts";
import { settledReplicas } from "#kubernetes/hpa.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { Workload, WorkloadView } from "#workload/workload.ts";
import type { Answer, Answerer, ParsedTrigger } from "./answer.ts";
import type { PodLoad } from "./deletion-costs.ts";
import type { Explanation } from "./explanation.ts";
import { lookUpWorkload } from "./query.ts";
import { hpaInputs } from "./workload.ts";

export interface ScaleInOptions {
  readonly answers: Pick<Answerer, "value">;
  readonly workloads: WorkloadView;
}

/**
 * The loads of the pods that a ReplicaSet would choose among; `undefined` while no scale-in is near.
 * Pods whose load is not known are left out.
 *
 * @param triggers Those of one object.
 */
export function scaleInLoads(
  triggers: readonly ParsedTrigger[],
  options: ScaleInOptions,
): readonly PodLoad[] | undefined {
  const outlooks: Outlook[] = [];
  for (const one of triggers) {
    const outlook = unlessFault(() => outlookOf(one, options));
    if (outlook === undefined || !isNear(outlook)) return undefined;
    outlooks.push(outlook);
  }
  const loads = engineLoads(outlooks) ?? deviceLoads(outlooks, options);
  const pods = new Map(
    outlooks.flatMap(({ workload }) => workload.pods.map((pod) => [pod.name, pod])),
  );
  return [...pods.values()].flatMap((pod) => {
    const load = pod.inReplicaSet ? loads.get(pod.name) : undefined;
    return load === undefined ? [] : [{ pod, load }];
  });
}

interface Outlook extends ParsedTrigger {
  readonly workload: Workload;
  readonly answer: Answer;
}

function outlookOf(one: ParsedTrigger, { answers, workloads }: ScaleInOptions): Outlook {
  const workload = lookUpWorkload(one, workloads);
  return { ...one, workload, answer: answers.value(one.ref, one.trigger) };
}

/** Without its last replica a workload has no pods left to choose among. */
function isNear({ trigger, workload, answer }: Outlook): boolean {
  const { kind, replicas, minReplicas } = workload;
  if (kind === "ScaledJob" || replicas <= Math.max(1, minReplicas)) return false;
  const soon = answer.value * scaleInNearShare;
  return settledReplicas(soon, hpaInputs(workload, trigger)) < replicas;
}

type Loads = ReadonlyMap<Pod["name"], number>;

/**
 * Requests that wait or run in each pod's engine, by any trigger that reads it; `undefined` where
 * none tells. They are not mixed with what devices say, for the two have no unit in common.
 */
function engineLoads(outlooks: readonly Outlook[]): Loads | undefined {
  const loads = new Map<string, number>();
  for (const { answer } of outlooks)
    for (const { pod, activity } of answer.explanation.engines ?? [])
      if (pod !== undefined && activity !== undefined)
        loads.set(pod, Math.max(activity, loads.get(pod) ?? 0));
  return loads.size === 0 ? undefined : loads;
}

const utilization = parseTrigger({
  metricType: "gpu_utilization",
  scope: "workload",
  aggregation: "sum",
  windowSeconds: `${deletionCostWindowSeconds}`,
});

/** How busy the devices are that each pod holds; empty where that is not known. */
function deviceLoads(
  [first]: readonly Outlook[],
  { answers }: Pick<ScaleInOptions, "answers">,
): Loads {
  const explanation = first && unlessFault(() => utilizationOf(first, answers));
  const pods = explanation?.workload?.pods ?? [];
  return new Map(pods.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));
}

function utilizationOf(
  { ref, trigger: { podSelector } }: ParsedTrigger,
  answers: Pick<Answerer, "value">,
): Explanation {
  return answers.value(ref, { ...utilization, podSelector }).explanation;
}
