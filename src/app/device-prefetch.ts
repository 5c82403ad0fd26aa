/**
 * Has the devices ready for every trigger that may ask at any time: costly readings demanded, windows
 * kept.
 *
 * KEDA's connection may move to this process at any moment, and then a mean must be that of its whole
 * window and not of the time since the first question.
 *
 * @module
 */
import type { PreparedAnswerer } from "#answer/answer.ts";
import { neededReadings, readWindows } from "#answer/device-needs.ts";
import type { Cancel, Clock } from "#core/clock.ts";
import { unlessFault } from "#core/fault.ts";
import { devicePrefetchMs } from "#core/limits.ts";
import type { FleetStore } from "#fleet/view.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Workloads } from "#workload/watch-workloads.ts";
import { servedTriggers } from "./served-triggers.ts";

export interface DevicePrefetchOptions {
  readonly clock: Pick<Clock, "monotonicMs" | "every">;
  /** Without it nothing is known before it is asked for. */
  readonly workloads: Pick<Workloads, "servedTriggers" | "peek"> | undefined;
  readonly parse: (metadata: Readonly<Record<string, string>>) => Trigger;
  readonly store: Pick<FleetStore, "view">;
  /** Takes in which replicas are missing. */
  readonly prepare: PreparedAnswerer["prepare"];
  readonly localNode?: string | undefined;
  /** Has these readings taken for a while. */
  readonly request: (readings: readonly ReadingName[]) => void;
}

/** @returns The way to stop it. */
export function devicePrefetch(options: DevicePrefetchOptions): Cancel {
  const { clock, workloads, parse, store, prepare, localNode, request } = options;
  return clock.every(devicePrefetchMs, () => {
    const nowMs = clock.monotonicMs();
    const needs = { view: store.view(), workloads: workloads?.peek, localNode, nowMs };
    for (const { ref, trigger } of servedTriggers(workloads, parse)) {
      request(neededReadings(trigger));
      // Whoever asks gets the same fault.
      unlessFault(() => readWindows(ref, trigger, needs));
      prepare(ref, trigger);
    }
  });
}
