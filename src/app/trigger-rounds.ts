/**
 * Goes round every trigger that may ask at any time: has its devices ready, with costly readings
 * demanded and windows kept, and takes in what it would be answered.
 *
 * KEDA's connection may move to this process at any moment, and then a mean must be that of its whole
 * window and not of the time since the first question. And whoever wants to know why a workload does
 * not scale may ask any replica of the scaler, whichever of them KEDA asks.
 *
 * @module
 */
import type { ParsedTrigger, WorkloadRef } from "#answer/answer.ts";
import { neededReadings, readWindows } from "#answer/device-needs.ts";
import type { Cancel, Clock } from "#core/clock.ts";
import { unlessFault } from "#core/fault.ts";
import { roundPartsMax, triggerRoundMs } from "#core/limits.ts";
import type { FleetStore } from "#fleet/view.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { DecisionOutcome } from "#observe/decision.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { Workloads } from "#workload/watch-workloads.ts";
import type { EvaluatingAnswerer } from "./answers.ts";
import { type OnTriggerFault, servedTriggers } from "./served-triggers.ts";

export interface TriggerRoundsOptions {
  readonly clock: Pick<Clock, "monotonicMs" | "every">;
  /** Without it nothing is known before it is asked for. */
  readonly workloads: Pick<Workloads, "servedTriggers" | "peek"> | undefined;
  readonly parse: (metadata: Readonly<Record<string, string>>) => Trigger;
  readonly store: Pick<FleetStore, "view">;
  readonly evaluate: EvaluatingAnswerer["evaluate"];
  /** Called with what came of the questions of each trigger. */
  readonly onEvaluated: (one: ParsedTrigger, outcomes: readonly DecisionOutcome[]) => void;
  readonly localNode?: string | undefined;
  /** Has these readings taken for a while. */
  readonly request: (readings: readonly ReadingName[]) => void;
  /** Called in each round with each trigger that cannot be used. */
  readonly onFault: OnTriggerFault;
  /** Called with each trigger's object and all its pods; several times where it has several triggers. */
  readonly onPods: (object: WorkloadRef, pods: readonly Pod[]) => void;
  /** Called when a round is over. */
  readonly onRound: () => void;
}

/**
 * A round begins each `triggerRoundMs`, and takes most of that time: in parts, for 4,000 answers at
 * once would keep calls waiting.
 *
 * @returns The way to stop it.
 */
export function triggerRounds(options: TriggerRoundsOptions): Cancel {
  const { clock, workloads, parse, onFault, onRound } = options;
  let left: readonly ParsedTrigger[] = [];
  let perPart = 0;
  let parts = 0;
  return clock.every(triggerRoundMs / roundPartsMax, () => {
    if (parts === 0) {
      left = servedTriggers(workloads, parse, onFault);
      perPart = Math.ceil(left.length / roundPartsMax);
    }
    for (const one of left.slice(0, perPart)) visit(one, options);
    left = left.slice(perPart);
    parts = (parts + 1) % roundPartsMax;
    if (parts === 0) onRound();
  });
}

function visit(one: ParsedTrigger, options: TriggerRoundsOptions): void {
  const { clock, workloads, store, evaluate, onEvaluated, onPods, localNode, request } = options;
  const { ref, trigger } = one;
  const nowMs = clock.monotonicMs();
  request(neededReadings(trigger));
  const needs = { view: store.view(), workloads: workloads?.peek, localNode, nowMs };
  // Whoever asks gets the same fault.
  unlessFault(() => readWindows(ref, trigger, needs));
  const { namespace, name, scalerMetadata } = ref;
  const workload = unlessFault(() => workloads?.peek.of(namespace, name, scalerMetadata));
  if (workload !== undefined) onPods(ref, workload.pods);
  onEvaluated(one, evaluate(ref, trigger));
}
