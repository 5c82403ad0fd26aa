/**
 * Reads, at each interval, the engines of every trigger that may ask at any time and of those that
 * asked lately, and none other: what is not read any more is let go.
 *
 * KEDA's connection may move to this process at any moment, and then the answer must be in memory.
 *
 * @module
 */
import type { WorkloadRef } from "#answer/answer.ts";
import { readNeeds, readsEngines } from "#answer/engine.ts";
import type { EngineReader } from "#answer/engine-reader.ts";
import { setNewest } from "#core/bounded-map.ts";
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { askedForMs, engineIntervalMs, enginesFirstMs, engineTriggersMax } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { EngineScraper } from "#engine/scrape/scraper.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Workloads } from "#workload/watch-workloads.ts";

/** How often it is looked whether pods, places or triggers have changed. */
const lookMs = 1_000;

interface Need {
  readonly ref: WorkloadRef;
  readonly trigger: Trigger;
}

export interface WarmthOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Absent where there is no Kubernetes API. */
  readonly workloads?: Pick<Workloads, "servedTriggers" | "peek" | "waitingFor"> | undefined;
  /** Remembers what it parsed: metadata is the same object until its ScaledObject changes. */
  readonly parse: (metadata: Readonly<Record<string, string>>) => Trigger;
  readonly source: Pick<EngineReader, "read" | "endpointsOf" | "tokenFile">;
  readonly targets: EngineScraper["targets"];
  /** Runs when `waitingFor` may have nothing more to wait for. */
  readonly changed: () => void;
}

export interface Warmth {
  /** Remembers that somebody asks for this trigger. */
  readonly asked: (ref: WorkloadRef, trigger: Trigger) => void;
  /** Pods or places may have changed: reads all again soon. */
  readonly look: () => void;
  /** What has to be read yet before this process is as warm as one that runs; else `undefined`. */
  readonly waitingFor: () => string | undefined;
  readonly stop: () => void;
}

export function keepWarm(options: WarmthOptions): Warmth {
  const { clock, log, workloads, parse, source, targets, changed } = options;
  const asked = new Map<string, Need & { readonly atMs: number }>();
  let isStale = true;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let readyBeforeMs: number | undefined;
  let isWarm = workloads === undefined;

  const triggerOf = (ref: WorkloadRef): Trigger | undefined => {
    const { namespace, name, scalerMetadata } = ref;
    // What KEDA will resolve is not known before it asks.
    if (Object.keys(scalerMetadata).some((key) => key.endsWith("FromEnv"))) return undefined;
    try {
      const trigger = parse(scalerMetadata);
      return readsEngines(trigger) ? trigger : undefined;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      log("warn", "trigger cannot be prepared", { namespace, name, problem: error.message });
      return undefined;
    }
  };

  const needs = (nowMs: number): readonly Need[] => {
    const all = new Map<string, Need>();
    for (const { namespace, name, metadata } of workloads?.servedTriggers() ?? []) {
      const ref = { namespace, name, scalerMetadata: metadata };
      const trigger = triggerOf(ref);
      if (trigger !== undefined) all.set(keyOf(ref), { ref, trigger });
    }
    for (const [key, need] of asked)
      if (nowMs - need.atMs > askedForMs) asked.delete(key);
      else if (!all.has(key)) all.set(key, need);
    return [...all.values()];
  };

  const readAll = (nowMs: number) => {
    isStale = false;
    readAtMs = nowMs;
    for (const { ref, trigger } of needs(nowMs)) {
      try {
        readNeeds(ref, trigger, {
          engines: source,
          ...(workloads === undefined ? {} : { workloads: workloads.peek }),
        });
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        // Whoever asks is told the same.
        const { namespace, name } = ref;
        log("debug", "engines cannot be read", { namespace, name, problem: error.message });
      }
    }
  };
  const cancel = clock.every(lookMs, () => {
    const nowMs = clock.monotonicMs();
    if (isStale || nowMs - readAtMs >= engineIntervalMs) readAll(nowMs);
    if (isWarm || waitingFor() !== undefined) return;
    changed();
  });

  const waitingFor = (): string | undefined => {
    if (isWarm || workloads === undefined || workloads.waitingFor().length > 0) return undefined;
    const nowMs = clock.monotonicMs();
    if (readyBeforeMs === undefined) {
      readyBeforeMs = nowMs + enginesFirstMs;
      if (readAtMs < nowMs) readAll(nowMs);
    }
    const untried = targets().filter(({ tries }) => tries === 0);
    isWarm = untried.length === 0 || nowMs >= readyBeforeMs;
    return isWarm ? undefined : `${untried.length} engines have not been read yet`;
  };

  return {
    asked: (ref: WorkloadRef, trigger: Trigger) => {
      if (!readsEngines(trigger)) return;
      const key = keyOf(ref);
      setNewest(asked, key, { ref, trigger, atMs: clock.monotonicMs() }, engineTriggersMax);
    },
    look: () => {
      isStale = true;
    },
    waitingFor,
    stop: cancel,
  };
}

function keyOf({ namespace, name, scalerMetadata }: WorkloadRef): string {
  return JSON.stringify([namespace, name, Object.entries(scalerMetadata).sort()]);
}
