import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import type { Explanation } from "#answer/explanation.ts";
import type { Cancel } from "#core/clock.ts";
import { digest } from "#core/digest.ts";
import { type Fault, unlessFault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";

/** Which calls are answered at all. */
export interface Admission {
  /** @throws {Fault} When no object has the trigger that asks, or it cannot be known yet. */
  readonly admit: (ref: WorkloadRef) => void;
  /** Runs `listener` when `admit` may say something else; not for every change in the cluster. */
  readonly subscribe: Answerer["subscribe"];
}

export interface AnswerHooks {
  /** Why a trigger's scope is not answered, whoever asks; `undefined` where it is. */
  readonly scopeFault: (trigger: Trigger) => Fault | undefined;
  /** Absent where there is no Kubernetes API: then any call is answered. */
  readonly admission?: Admission | undefined;
  /** Why the devices of this process cannot be answered for now; `undefined` when they can. */
  readonly deviceFault: () => Fault | undefined;
  /** Called before each answer, those that fail included, of calls that were let in. */
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
  { scopeFault, admission, deviceFault, onRequest, onWarnings, log }: AnswerHooks,
): Answerer {
  const checkCall = (ref: WorkloadRef, trigger: Trigger) => {
    const fault = scopeFault(trigger);
    if (fault !== undefined) throw fault;
    admission?.admit(ref);
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
      checkCall(ref, trigger);
      onRequest(ref, trigger);
      checkDevices(trigger.metric);
      const answer = answers.value(ref, trigger);
      onWarnings(ref, answer.explanation.warnings ?? []);
      logAnswer("value answered", ref, answer.explanation);
      return answer;
    },
    activity: (ref, trigger) => {
      checkCall(ref, trigger);
      onRequest(ref, trigger);
      if (!trigger.alwaysActive) checkDevices(trigger.activationMetric);
      const answer = answers.activity(ref, trigger);
      logAnswer("activity answered", ref, answer.explanation);
      return answer;
    },
    // A stream of a forbidden scope ends with the first answer, and has nothing read before that.
    watchActivity: (ref, trigger, listener) => {
      if (scopeFault(trigger) !== undefined) return () => undefined;
      const start = () => answers.watchActivity(ref, trigger, listener);
      return admission === undefined ? start() : whileAdmitted(admission, ref, start);
    },
  };
}

/**
 * Runs `start` whenever a call comes to be let in, and what that returns when it is not any more. It
 * never throws: KEDA comes back after an ended stream only with a back-off of up to a minute.
 */
function whileAdmitted(
  { admit, subscribe }: Admission,
  ref: WorkloadRef,
  start: () => Cancel,
): Cancel {
  let cancel: Cancel | undefined;
  const isAdmitted = () =>
    unlessFault(() => {
      admit(ref);
      return true;
    }) === true;
  const check = () => {
    if (isAdmitted() === (cancel !== undefined)) return;
    cancel?.();
    cancel = cancel === undefined ? start() : undefined;
  };
  check();
  const unsubscribe = subscribe(check);
  return () => {
    unsubscribe();
    cancel?.();
  };
}
