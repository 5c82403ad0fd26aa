/**
 * What the process remembers and logs of its decisions.
 *
 * @module
 */
import type { WorkloadRef } from "#answer/answer.ts";
import { triggerKey } from "#answer/trigger-key.ts";
import { setNewest } from "#core/bounded-map.ts";
import type { Fault } from "#core/fault.ts";
import { strangersMax } from "#core/limits.ts";
import type { LogLevel } from "#core/log.ts";
import type { DecisionChange, DecisionChangeKind, TriggerDecision } from "#observe/decision.ts";
import { type DecisionLog, decisionLog } from "#observe/decision-log.ts";
import type { TriggerStatus } from "#observe/trigger-history.ts";
import type { Runtime } from "./options.ts";

export interface Decisions extends Pick<DecisionLog, "triggers" | "record"> {
  /** A call was refused before it was answered. */
  readonly refused: (ref: WorkloadRef, fault: Fault) => void;
  /** A trigger of an object cannot be used, whether somebody asks or not. */
  readonly broken: (ref: WorkloadRef, fault: Fault) => void;
  /** Forgets what no object has any more. */
  readonly expire: () => void;
}

export interface DecisionsOptions extends Pick<Runtime, "clock" | "log"> {
  /** Whether an object has the trigger: of no other is anything kept but a line in the log. */
  readonly isKnown: (ref: WorkloadRef) => boolean;
  /** Runs beside the log for each change of each trigger. */
  readonly onChange?: ((status: TriggerStatus, change: DecisionChange) => void) | undefined;
}

/** Numbers of replicas change all day; whoever wants them in the log asks for debug lines. */
const levels: Readonly<Record<DecisionChangeKind, LogLevel>> = {
  scaled: "debug",
  activated: "info",
  deactivated: "info",
  refused: "warn",
  answered: "info",
  warned: "warn",
  cleared: "info",
};

export function decisions({ clock, log, isKnown, onChange }: DecisionsOptions): Decisions {
  const strangers = new Map<string, Fault["code"]>();
  const kept = decisionLog({
    clock,
    onChange: (status, change) => {
      const { kind, code, text } = change;
      const { namespace, name } = status.ref;
      const metric = status.trigger?.metricName;
      log(levels[kind], `trigger ${kind}`, { namespace, name, metric, code, message: text });
      onChange?.(status, change);
    },
  });
  const record = (decision: TriggerDecision) => {
    const { ref, asked, outcome } = decision;
    if (strangers.size > 0) strangers.delete(triggerKey(ref));
    kept.record(decision);
    if (!asked || "fault" in outcome) return;
    const { metric, rule } = outcome.answer.explanation;
    const { namespace, name } = ref;
    log("debug", `${outcome.question} answered`, { namespace, name, metric, rule });
  };
  const noteStranger = (ref: WorkloadRef, { code, message }: Fault) => {
    const key = triggerKey(ref);
    if (strangers.get(key) === code) return;
    setNewest(strangers, key, code, strangersMax);
    const { namespace, name } = ref;
    log("warn", "call refused", { namespace, name, code, message });
  };
  return {
    triggers: kept.triggers,
    record,
    refused: (ref, fault) =>
      isKnown(ref)
        ? record({ ref, asked: true, outcome: { question: "value", fault } })
        : noteStranger(ref, fault),
    broken: (ref, fault) => record({ ref, asked: false, outcome: { question: "value", fault } }),
    expire: () => kept.retain(isKnown),
  };
}
