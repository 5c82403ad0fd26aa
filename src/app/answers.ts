import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import type { Explanation } from "#answer/explanation.ts";
import { digest } from "#core/digest.ts";
import type { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";

export interface AnswerHooks {
  /** Why a trigger's scope is not answered, whoever asks; `undefined` where it is. */
  readonly scopeFault: (trigger: Trigger) => Fault | undefined;
  /** Why the devices of this process cannot be answered for now; `undefined` when they can. */
  readonly deviceFault: () => Fault | undefined;
  /** Called before each answer, those that fail included, of triggers in a scope that is answered. */
  readonly onRequest: (ref: WorkloadRef, trigger: Trigger) => void;
  /** Called with each value's warnings, none included. */
  readonly onWarnings: (ref: WorkloadRef, warnings: readonly TriggerWarning[]) => void;
  /** Each answer is a debug line: how it came about. */
  readonly log: Log;
}

/** One short text for each trigger: its object and its metadata, whatever their order. */
export function triggerKey({ namespace, name, scalerMetadata }: WorkloadRef): string {
  return digest(JSON.stringify([namespace, name, Object.entries(scalerMetadata).sort()]));
}

/** The answers of a process: those of `answers`, and what the process does beside each. */
export function instrumentedAnswerer(
  answers: Answerer,
  { scopeFault, deviceFault, onRequest, onWarnings, log }: AnswerHooks,
): Answerer {
  const checkScope = (trigger: Trigger) => {
    const fault = scopeFault(trigger);
    if (fault !== undefined) throw fault;
  };
  /** While nothing is fresh, the collector's own message says more than an age of the last sample. */
  const checkDevices = (metric: MetricName) => {
    const fault = metricOf(metric).source === "device" ? deviceFault() : undefined;
    if (fault !== undefined) throw fault;
  };
  const logAnswer = (event: string, ref: WorkloadRef, { metric, rule }: Explanation) =>
    log("debug", event, { namespace: ref.namespace, name: ref.name, metric, rule });

  return {
    ...answers,
    value: (ref, trigger) => {
      checkScope(trigger);
      onRequest(ref, trigger);
      checkDevices(trigger.metric);
      const answer = answers.value(ref, trigger);
      onWarnings(ref, answer.explanation.warnings ?? []);
      logAnswer("value answered", ref, answer.explanation);
      return answer;
    },
    activity: (ref, trigger) => {
      checkScope(trigger);
      onRequest(ref, trigger);
      if (!trigger.alwaysActive) checkDevices(trigger.activationMetric);
      const answer = answers.activity(ref, trigger);
      logAnswer("activity answered", ref, answer.explanation);
      return answer;
    },
    // A stream ends with the first answer, and must not have anything read before that.
    watchActivity: (ref, trigger, listener) =>
      scopeFault(trigger) === undefined
        ? answers.watchActivity(ref, trigger, listener)
        : () => undefined,
  };
}
