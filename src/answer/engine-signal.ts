/**
 * What one replica's engine says of a metric: the counterpart of `deviceSignal`.
 *
 * @module
 */

import type { EngineReading } from "#engine/scrape/reading.ts";
import type { ScrapeTarget } from "#engine/scrape/target.ts";
import type { SignalResult } from "#engine/signal/evaluate.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { EngineShare } from "./answer.ts";
import { askOf, type EngineWanted, guardOf, podTarget } from "./engine-ask.ts";
import type { EngineReader } from "./engine-reader.ts";
import type { Sight, Signal } from "./replica.ts";

/** What is looked for. */
export interface Looked {
  readonly trigger: Trigger;
  readonly wanted: EngineWanted;
  readonly engines: EngineReader;
}

/** What one engine says, and how it stands in an explanation. */
export interface EngineSight {
  readonly reading: EngineReading;
  readonly share: EngineShare;
}

/**
 * @throws {Fault} `signal-unavailable` when the engine does not export the metric: nobody waits for
 * what will never come. `overloaded` beyond the limits of the scraper.
 */
export function lookAt(
  spec: ScrapeTarget,
  { trigger, wanted, engines: { read } }: Looked,
): EngineSight {
  const reading = read(spec, askOf(wanted, trigger));
  if (reading.state === "absent" && reading.reason === "unavailable") throw reading.fault;
  const guard = guardOf(wanted, trigger);
  const running = guard && read(spec, guard);
  const { target, engine, ageMs, parts } = reading;
  const share = {
    target,
    ...(engine === undefined ? {} : { engine }),
    ...(ageMs === undefined ? {} : { ageMs }),
    ...(parts === undefined ? {} : { parts }),
    ...(running?.state === "known" ? { running: running.value } : {}),
  };
  if (reading.state === "absent")
    return { reading, share: { ...share, reason: reading.fault.message } };
  const { value, stand } = reading;
  return { reading, share: { ...share, value, ...(stand === undefined ? {} : { stand }) } };
}

/**
 * The engines' observations as one number, where they are made of observations and it takes all of
 * them: quantiles of replicas must not be averaged, and requests are not spread evenly.
 *
 * @returns `undefined` where each engine stands for itself.
 */
export function mergedValue(
  readings: readonly EngineReading[],
  { merge }: Pick<EngineReader, "merge">,
): number | undefined {
  const merged = merge(readings.filter(isObserved).map(outcomeOf));
  return merged !== undefined && "value" in merged ? merged.value : undefined;
}

/** Whether it has a part in what is merged: few requests are too few alone, and enough together. */
export function isObserved(reading: EngineReading): boolean {
  return reading.state === "known" || (reading.reason === "no-samples" && "parts" in reading);
}

function outcomeOf(reading: EngineReading): SignalResult {
  const parts = reading.parts && { parts: reading.parts };
  if (reading.state === "absent")
    return { reason: "no-samples", why: reading.fault.message, ...parts };
  const { value, stand } = reading;
  return { value, ...parts, ...(stand === undefined ? {} : { stand }) };
}

export interface EngineSignalOptions extends Looked {
  /** Those that count: what is merged is merged over them. */
  readonly pods: readonly Pod[];
  /** Whether one number stands for all replicas' observations. */
  readonly merging: boolean;
}

/** Reads the engine in a pod, at the pod's own address. */
export function engineSignal(options: EngineSignalOptions): Signal {
  const { trigger, engines, pods, merging } = options;
  const sights = new Map<string, EngineSight>();
  for (const pod of pods) {
    const spec = pod.state === "counted" ? podTarget(pod, trigger, engines) : undefined;
    if (spec !== undefined) sights.set(pod.uid, lookAt(spec, options));
  }
  const readings = [...sights.values()].map(({ reading }) => reading);
  const merged = merging ? mergedValue(readings, engines) : undefined;

  return ({ uid, name }): Sight => {
    const sight = sights.get(uid);
    if (sight === undefined)
      return { state: "missing", reason: "it has no address yet", devices: [] };
    const { reading } = sight;
    const seen = { devices: [], engine: { ...sight.share, pod: name } };
    if (merged !== undefined && isObserved(reading))
      return { ...seen, state: "known", value: merged };
    return reading.state === "known"
      ? { ...seen, state: "known", value: reading.value }
      : { ...seen, state: "missing", reason: reading.fault.message };
  };
}
