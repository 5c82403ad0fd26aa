/**
 * What is wrong with an object now, as its triggers' newest answers say it.
 *
 * @module
 */
import type { EventObject } from "#kubernetes/events.ts";
import type { IdentifiedStatus } from "./decision-log.ts";
import {
  type ProblemCode,
  type ProblemReason,
  refusalReason,
  warningReason,
} from "./event-reasons.ts";
import { refusalOf } from "./trigger-history.ts";

export interface Problem {
  readonly object: EventObject;
  readonly code: ProblemCode;
  readonly reason: ProblemReason;
  /** Which trigger, or which device, has it. */
  readonly source: string;
  readonly message: string;
}

/** @returns Nothing of a trigger that is answered without a warning. */
export function problemsOf(status: IdentifiedStatus, object: EventObject): readonly Problem[] {
  const { id: source, warnings } = status;
  const refusal = refusalOf(status);
  const reason = refusal && refusalReason(refusal.code);
  const refused =
    refusal === undefined || reason === undefined
      ? []
      : [
          {
            object,
            source,
            reason,
            code: refusal.code,
            message: sentence(status, refusal.message),
          },
        ];
  const warned = warnings.map(({ code, message }) => ({
    object,
    source,
    reason: warningReason(code),
    code,
    message: sentence(status, message),
  }));
  return [...refused, ...warned];
}

/** Whether a trigger has an answer to what it was last asked. */
export function isAnswered(status: IdentifiedStatus): boolean {
  return refusalOf(status) === undefined && (status.value ?? status.activity) !== undefined;
}

/**
 * The message with the trigger that it is about. What KEDA resolves from an environment may be a
 * secret, or the invention of a caller: an event repeats nothing of it.
 */
function sentence({ ref, trigger }: IdentifiedStatus, message: string): string {
  const resolved = Object.keys(ref.scalerMetadata).filter((key) => key.endsWith("FromEnv"));
  const which = trigger === undefined ? "" : `Trigger ${trigger.metricName}: `;
  if (resolved.length === 0) return `${which}${message}`;
  return (
    `${which}Cannot repeat the reason here: ${resolved.join(", ")} has a value that is resolved from ` +
    "an environment; look for this object in the scaler's log"
  );
}
