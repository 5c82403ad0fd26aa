/**
 * One answer to one of a trigger's two questions, or why there is none.
 *
 * @module
 */
import type { Activity, Answer, WorkloadRef } from "#answer/answer.ts";
import type { Fault, FaultCode } from "#core/fault.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";

export const questions = ["value", "activity"] as const;
export type Question = (typeof questions)[number];

export interface TriggerDecision {
  readonly ref: WorkloadRef;
  /** Absent when the metadata breaks a rule. */
  readonly trigger?: Trigger | undefined;
  /** Whether KEDA asked; otherwise the process looked by itself. */
  readonly asked: boolean;
  readonly outcome: DecisionOutcome;
}

export type DecisionOutcome =
  | { readonly question: "value"; readonly answer: Answer }
  | { readonly question: "activity"; readonly answer: Activity }
  | { readonly question: Question; readonly fault: Fault };

/** What is different from the answer before; `text` is a sentence for people. */
export interface DecisionChange {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly kind: DecisionChangeKind;
  /** The fault's or warning's code, where there is one. */
  readonly code?: FaultCode | TriggerWarning["code"] | undefined;
  readonly text: string;
}

/**
 * - `scaled`: the HPA will want another number of replicas
 * - `activated`, `deactivated`: IsActive says something else
 * - `refused`, `answered`: a question has no answer, or has one again
 * - `warned`, `cleared`: a warning of the trigger came or went
 */
export const decisionChangeKinds = [
  "scaled",
  "activated",
  "deactivated",
  "refused",
  "answered",
  "warned",
  "cleared",
] as const;
export type DecisionChangeKind = (typeof decisionChangeKinds)[number];
