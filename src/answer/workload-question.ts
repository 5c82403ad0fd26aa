import type { Trigger } from "#trigger/trigger.ts";
import type { PodFilter, Workload, WorkloadView } from "#workload/workload.ts";
import type { WorkloadRef } from "./answer.ts";
import type { MissingTracker } from "./missing.ts";
import type { Wanted } from "./part.ts";
import type { Signal } from "./replica.ts";
import { replicasOf } from "./replicas.ts";
import type { WorkloadQuestion } from "./workload-answer.ts";

/** @throws {Fault} as `WorkloadView` does. */
export function lookUpWorkload(
  { namespace, name, scalerMetadata }: WorkloadRef,
  trigger: Trigger,
  { of }: WorkloadView,
): Workload {
  return of(namespace, name, scalerMetadata, narrowing(trigger));
}

function narrowing({ podSelector, container }: Trigger): PodFilter {
  return {
    ...(podSelector === undefined ? {} : { podSelector }),
    ...(container === undefined ? {} : { container }),
  };
}

export interface WorkloadQuestionParts {
  readonly ref: WorkloadRef;
  readonly trigger: Trigger;
  readonly asked: Wanted;
  readonly workload: Workload;
  readonly signal: Signal;
  readonly tracker: MissingTracker;
  readonly nowMs: number;
}

/** Looks at every pod of the workload, and remembers since when those are missing that are. */
export function workloadQuestion(parts: WorkloadQuestionParts): WorkloadQuestion {
  const { ref, trigger, asked, workload, signal, tracker, nowMs } = parts;
  const { gpuIndex, container = "" } = trigger;
  const key = (uid: string) => [uid, asked.metric, gpuIndex, container].join(" ");
  const where = `${workload.kind} ${ref.namespace}/${ref.name}`;
  const replicas = replicasOf(workload.pods, {
    metric: asked.metric,
    where,
    signal,
    present: ({ uid }) => tracker.present(key(uid)),
    missing: ({ uid }) => tracker.missing(key(uid)),
  });
  return { trigger, asked, where, workload, replicas, nowMs };
}
