/**
 * Answers for metrics of engines: those in the workload's own pods, or what the trigger's URL leads
 * to.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { WorkloadView } from "#workload/workload.ts";
import type { Activity, Answer, WorkloadRef } from "./answer.ts";
import { type EndpointQuestion, endpointActivity, endpointValue } from "./endpoint-answer.ts";
import { type EngineWanted, noEngines } from "./engine-ask.ts";
import type { EngineReader } from "./engine-reader.ts";
import { engineSignal } from "./engine-signal.ts";
import type { MissingTracker } from "./missing.ts";
import {
  reducerOf,
  type WorkloadQuestion,
  workloadActivity,
  workloadValue,
} from "./workload-answer.ts";
import { lookUpWorkload, workloadQuestion } from "./workload-question.ts";

export interface EngineAnswersOptions {
  /** Absent in a process that reads no engines. */
  readonly engines?: EngineReader;
  readonly workloads?: WorkloadView;
  readonly tracker: MissingTracker;
  readonly clock: Pick<Clock, "monotonicMs">;
}

export interface EngineAnswers {
  readonly value: (ref: WorkloadRef, trigger: Trigger, wanted: EngineWanted) => Answer;
  readonly activity: (ref: WorkloadRef, trigger: Trigger, wanted: EngineWanted) => Activity;
}

export function engineAnswers(options: EngineAnswersOptions): EngineAnswers {
  const { engines, workloads, tracker, clock } = options;

  const begin = (
    ref: WorkloadRef,
    trigger: Trigger,
    wanted: EngineWanted,
  ): ((merges: boolean) => WorkloadQuestion) | EndpointQuestion => {
    const { endpoint: url, scope = workloads === undefined ? "node" : "workload" } = trigger;
    const nowMs = clock.monotonicMs();
    if (engines === undefined) throw noEngines(wanted.metric, scope);
    if (url !== undefined) {
      const { namespace } = ref;
      return { trigger, wanted, url, namespace, engines, tracker, nowMs };
    }
    if (workloads === undefined || scope !== "workload") throw noEngines(wanted.metric, scope);
    const workload = lookUpWorkload(ref, trigger, workloads);
    const { pods } = workload;
    return (merges) => {
      const merging =
        merges && wanted.row.kind === "intensity" && reducerOf({ trigger, workload }) === "avg";
      const signal = engineSignal({ trigger, wanted, engines, pods, merging });
      return workloadQuestion({ ref, trigger, asked: wanted, workload, signal, tracker, nowMs });
    };
  };

  return {
    value: (ref, trigger, wanted) => {
      const begun = begin(ref, trigger, wanted);
      return typeof begun === "function" ? workloadValue(begun(true)) : endpointValue(begun);
    },
    // The busiest replica decides on activity, so there each one stands for itself.
    activity: (ref, trigger, wanted) => {
      const begun = begin(ref, trigger, wanted);
      return typeof begun === "function" ? workloadActivity(begun(false)) : endpointActivity(begun);
    },
  };
}
