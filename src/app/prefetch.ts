/**
 * Reads, at each interval, the engines of every trigger that may ask at any time and of those that
 * asked lately, and none other: what is not read any more is let go.
 *
 * KEDA's connection may move to this process at any moment, and then the answer must be in memory.
 *
 * @module
 */
import type { ParsedTrigger, WorkloadRef } from "#answer/answer.ts";
import { readNeeds, readsEngines } from "#answer/engine.ts";
import type { EngineReader } from "#answer/engine-reader.ts";
import { metadataBytes, triggerKey } from "#answer/trigger-key.ts";
import { byteBoundedMap } from "#core/bounded-map.ts";
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import {
  askedForMs,
  engineIntervalMs,
  enginesFirstMs,
  engineTriggersBytesMax,
  engineTriggersMax,
  prefetchCheckMs,
} from "#core/limits.ts";
import type { EngineScraper } from "#engine/scrape/scraper.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Workloads } from "#workload/watch-workloads.ts";
import type { Runtime } from "./options.ts";
import { servedTriggers } from "./served-triggers.ts";

export interface PrefetchOptions extends Pick<Runtime, "clock" | "log"> {
  /** Absent where there is no Kubernetes API. */
  readonly workloads?:
    | Pick<Workloads, "servedTriggers" | "admit" | "peek" | "waitingFor">
    | undefined;
  /** Remembers what it parsed: metadata is the same object until its ScaledObject changes. */
  readonly parse: (metadata: Readonly<Record<string, string>>) => Trigger;
  readonly engines: Pick<EngineReader, "read" | "endpointsOf" | "mountedFile" | "podRefusal">;
  readonly targets: EngineScraper["targets"];
  /** Called when `waitingFor` may have nothing more to wait for. */
  readonly onChange: () => void;
}

export interface EnginePrefetch {
  /** Has the engines of a trigger read for `askedForMs`, because somebody asks for it. */
  readonly requested: (ref: WorkloadRef, trigger: Trigger) => void;
  /** Pods or endpoints may have changed: reads everything again soon. */
  readonly refresh: () => void;
  /**
   * Which first reads a process that has just started still waits for; else `undefined`. It is
   * never more than `enginesFirstMs` after the workloads are known.
   */
  readonly waitingFor: () => string | undefined;
  readonly stop: () => void;
}

export function enginePrefetch(options: PrefetchOptions): EnginePrefetch {
  const { clock, workloads, onChange } = options;
  const requests = recentRequests(clock);
  let isStale = true;
  let readAtMs = Number.NEGATIVE_INFINITY;

  const readAll = (nowMs: number) => {
    isStale = false;
    readAtMs = nowMs;
    const triggers = servedEngineTriggers(options);
    for (const [key, request] of requests.recent())
      if (!triggers.has(key)) triggers.set(key, request);
    for (const trigger of triggers.values()) readEnginesOf(trigger, options);
  };
  const start = firstReads(options, (nowMs) => {
    if (readAtMs < nowMs) readAll(nowMs);
  });
  let isStartNotified = workloads === undefined;
  const stop = clock.every(prefetchCheckMs, () => {
    const nowMs = clock.monotonicMs();
    if (isStale || nowMs - readAtMs >= engineIntervalMs) readAll(nowMs);
    if (isStartNotified) return;
    if (start.waitingFor() === undefined) onChange();
    isStartNotified = start.isOver();
  });
  return {
    requested: requests.add,
    refresh: () => {
      isStale = true;
    },
    waitingFor: start.waitingFor,
    stop,
  };
}

/** Triggers that somebody asked for lately, by their metadata. */
function recentRequests(clock: Clock) {
  const requests = byteBoundedMap<string, ParsedTrigger & { readonly atMs: number }>({
    entriesMax: engineTriggersMax,
    bytesMax: engineTriggersBytesMax,
  });
  return {
    add: (ref: WorkloadRef, trigger: Trigger) => {
      if (!readsEngines(trigger)) return;
      const request = { ref, trigger, atMs: clock.monotonicMs() };
      requests.set(triggerKey(ref), request, metadataBytes(ref));
    },
    recent: (): Iterable<readonly [key: string, ParsedTrigger]> => {
      const nowMs = clock.monotonicMs();
      for (const [key, { atMs }] of requests) if (nowMs - atMs > askedForMs) requests.delete(key);
      return requests;
    },
  };
}

/** Those that may ask at any time and read engines. */
function servedEngineTriggers({ workloads, parse }: PrefetchOptions): Map<string, ParsedTrigger> {
  const served = servedTriggers(workloads, parse);
  return new Map(
    served.filter(({ trigger }) => readsEngines(trigger)).map((one) => [triggerKey(one.ref), one]),
  );
}

function readEnginesOf(
  { ref, trigger }: ParsedTrigger,
  { engines, workloads, log }: PrefetchOptions,
): void {
  try {
    // Its object may be gone since somebody asked, or have another trigger now.
    workloads?.admit(ref.namespace, ref.name, ref.scalerMetadata);
    readNeeds(ref, trigger, { engines, workloads: workloads?.peek });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    // Whoever asks gets the same error.
    const { namespace, name } = ref;
    log("debug", "engines cannot be read", { namespace, name, problem: error.message });
  }
}

/**
 * The reads that a process waits for after its start: they are over once every engine was tried,
 * or `enginesFirstMs` after the workloads were known.
 */
function firstReads(
  { clock, workloads, targets }: PrefetchOptions,
  readAll: (nowMs: number) => void,
) {
  let deadlineMs: number | undefined;
  let isOver = workloads === undefined;
  return {
    isOver: () => isOver,
    waitingFor: (): string | undefined => {
      if (isOver || workloads === undefined || workloads.waitingFor().length > 0) return undefined;
      const nowMs = clock.monotonicMs();
      if (deadlineMs === undefined) {
        deadlineMs = nowMs + enginesFirstMs;
        readAll(nowMs);
      }
      const untried = targets().filter(({ tries }) => tries === 0);
      isOver = untried.length === 0 || nowMs >= deadlineMs;
      if (isOver) return undefined;
      return untried.length === 1
        ? "1 engine has not been read yet"
        : `${untried.length} engines have not been read yet`;
    },
  };
}
