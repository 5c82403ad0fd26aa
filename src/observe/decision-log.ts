/**
 * What was decided for every trigger, and why: for the status page, `explain`, events, metrics and the
 * log. It decides nothing.
 *
 * @module
 */
import type { WorkloadRef } from "#answer/answer.ts";
import { metadataBytes, triggerKey } from "#answer/trigger-key.ts";
import { byteBoundedMap } from "#core/bounded-map.ts";
import type { Clock } from "#core/clock.ts";
import {
  decidedTriggerBytes,
  decidedTriggersBytesMax,
  decidedTriggersMax,
  decisionKeptMs,
} from "#core/limits.ts";
import type { DecisionChange, TriggerDecision } from "./decision.ts";
import { type TriggerHistory, type TriggerStatus, triggerHistory } from "./trigger-history.ts";

export interface DecisionLog {
  readonly record: (decision: TriggerDecision) => void;
  /** Of every trigger that is remembered, by object. */
  readonly triggers: () => readonly IdentifiedStatus[];
  /** Forgets the triggers that nobody looked at lately, and those that do not fit. */
  readonly retain: (fits: (ref: WorkloadRef) => boolean) => void;
}

export interface IdentifiedStatus extends TriggerStatus {
  /** Short, and the same for as long as the trigger's object and metadata are. */
  readonly id: string;
}

export interface DecisionLogOptions {
  readonly clock: Clock;
  /** Runs for each change of each trigger. */
  readonly onChange: (status: TriggerStatus, change: DecisionChange) => void;
}

export function decisionLog({ clock, onChange }: DecisionLogOptions): DecisionLog {
  const histories = byteBoundedMap<string, TriggerHistory>({
    entriesMax: decidedTriggersMax,
    bytesMax: decidedTriggersBytesMax,
  });
  return {
    record: (decision) => {
      const { ref } = decision;
      const id = triggerKey(ref);
      const history = histories.get(id) ?? triggerHistory(ref, clock);
      histories.set(id, history, decidedTriggerBytes + metadataBytes(ref));
      const changes = history.record(decision);
      for (const change of changes) onChange(history.status(), change);
    },
    triggers: () =>
      [...histories]
        .map(([id, history]) => ({ id, ...history.status() }))
        .sort((one, other) => compare(one.ref, other.ref)),
    retain: (fits) => {
      const nowMs = clock.monotonicMs();
      for (const [id, history] of histories)
        if (nowMs - history.recordedAtMs() > decisionKeptMs || !fits(history.status().ref))
          histories.delete(id);
    },
  };
}

function compare(one: WorkloadRef, other: WorkloadRef): number {
  return one.namespace === other.namespace
    ? one.name.localeCompare(other.name)
    : one.namespace.localeCompare(other.namespace);
}
