import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import { assert } from "#core/assert.ts";
import type { Cancel } from "#core/clock.ts";
import { Fault, unlessFault } from "#core/fault.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import {
  type DecisionOutcome,
  type Question,
  questions,
  type TriggerDecision,
} from "#observe/decision.ts";
import type { Trigger } from "#trigger/trigger.ts";

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
  /** Called with each call that was not let in. */
  readonly onRefused: (ref: WorkloadRef, fault: Fault) => void;
  /** Called with what came of each question of a trigger that was let in. */
  readonly onDecision: (decision: TriggerDecision) => void;
}

export interface EvaluatingAnswerer extends Answerer {
  /**
   * Answers both questions although nobody asks: whichever replica of the scaler is asked, each takes
   * in what is missing now, so that its time runs, and knows what it would have said.
   */
  readonly evaluate: (ref: WorkloadRef, trigger: Trigger) => readonly DecisionOutcome[];
}

interface Call {
  readonly ref: WorkloadRef;
  readonly trigger: Trigger;
  readonly asked: boolean;
}

/** The answers of a process: those of `answers`, and what the process does beside each. */
export function instrumentedAnswerer(
  answers: Answerer,
  { scopeFault, admission, deviceFault, onRequest, onRefused, onDecision }: AnswerHooks,
): EvaluatingAnswerer {
  const letIn = (ref: WorkloadRef, trigger: Trigger) => {
    try {
      const fault = scopeFault(trigger);
      if (fault !== undefined) throw fault;
      admission?.admit(ref);
    } catch (error) {
      if (error instanceof Fault) onRefused(ref, error);
      throw error;
    }
    onRequest(ref, trigger);
  };
  /** While nothing is fresh, the collector's own message says more than an age of the last sample. */
  const checkDevices = (metric: MetricName) => {
    const fault = metricOf(metric).source === "device" ? deviceFault() : undefined;
    if (fault !== undefined) throw fault;
  };
  /** What comes of a question; a bug is thrown. */
  const outcomeOf = (question: Question, { ref, trigger }: Call): DecisionOutcome => {
    try {
      if (question === "value") {
        checkDevices(trigger.metric);
        return { question, answer: answers.value(ref, trigger) };
      }
      if (!trigger.alwaysActive) checkDevices(trigger.activationMetric);
      return { question, answer: answers.activity(ref, trigger) };
    } catch (fault) {
      if (fault instanceof Fault) return { question, fault };
      throw fault;
    }
  };
  const decide = (question: Question, call: Call): DecisionOutcome => {
    const outcome = outcomeOf(question, call);
    onDecision({ ...call, outcome });
    return outcome;
  };

  return {
    ...answers,
    value: (ref, trigger) => {
      letIn(ref, trigger);
      const outcome = decide("value", { ref, trigger, asked: true });
      if ("fault" in outcome) throw outcome.fault;
      assert(outcome.question === "value", "an answer is to what was asked");
      return outcome.answer;
    },
    activity: (ref, trigger) => {
      letIn(ref, trigger);
      const outcome = decide("activity", { ref, trigger, asked: true });
      if ("fault" in outcome) throw outcome.fault;
      assert(outcome.question === "activity", "an answer is to what was asked");
      return outcome.answer;
    },
    evaluate: (ref, trigger) =>
      questions.map((question) => decide(question, { ref, trigger, asked: false })),
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
