/**
 * How each workload was used in each of the last minutes. In memory alone: a process that starts has
 * seen nothing, and says for how long it has.
 *
 * @module
 */
import type { WorkloadRef } from "#answer/answer.ts";
import type { ReplicaSpread, WorkloadUsage } from "#answer/usage.ts";
import type { Clock } from "#core/clock.ts";
import { counts } from "#core/counts.ts";
import {
  startingPodsMax,
  startsMax,
  triggerRoundMs,
  usageBytesMax,
  usageIdleMinutesMax,
  usageMinutesMax,
  usageObjectsMax,
  usageObjectsShare,
} from "#core/limits.ts";

/** What is remembered of a minute: counts up to 2,048 exactly, everything to half a thousandth. */
const columns = [
  "replicas",
  "readyReplicas",
  "maxReplicas",
  "desiredReplicas",
  "utilizationLeast",
  "utilizationMean",
  "utilizationMost",
  "memoryLeast",
  "memoryMean",
  "memoryMost",
  "powerLeast",
  "powerMean",
  "powerMost",
  "waiting",
  "running",
  "runningMost",
  "unqueuedMost",
  "cacheMost",
] as const;
export type UsageColumn = (typeof columns)[number];

const minuteMs = 60_000;
const columnIndex = Object.fromEntries(columns.map((name, at) => [name, at])) as Readonly<
  Record<UsageColumn, number>
>;
/** Half precision has two bytes and ends here. */
const float16Most = 65_504;
const valueBytes = 2;
/** Of each object. */
export const usageBytes = usageMinutesMax * columns.length * valueBytes;

type ObjectName = Pick<WorkloadRef, "namespace" | "name">;

/** One look at a workload, with what its triggers ask for. */
export interface UsageSample extends WorkloadUsage {
  /** Before `behavior`, minimum and maximum; absent where there is no value. */
  readonly desiredReplicas?: number | undefined;
}

/** What is remembered of one workload. */
export interface UsageHistory {
  /** Since its first minute. */
  readonly observedMs: number;
  /** Of the last six hours, oldest first; of which some may be empty. */
  readonly minutes: number;
  /** NaN where it was not known. */
  readonly at: (column: UsageColumn, minute: number) => number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** As its page says it. */
  readonly engine?: string | undefined;
  /** By the name of a container. */
  readonly likelyEngine?: string | undefined;
  /** Milliseconds from the creation of a pod to its being ready, of those that were seen to start. */
  readonly startsMs: readonly number[];
}

export interface UsageStore {
  /** Whether something is to be recorded now: once a minute, by each of its triggers in one round. */
  readonly isDue: (object: ObjectName) => boolean;
  /** Adds a minute; another trigger in the same round adds what the first did not know. */
  readonly record: (object: ObjectName, sample: UsageSample) => void;
  readonly of: (object: ObjectName) => UsageHistory | undefined;
}

interface ObjectUsage {
  readonly firstAtMs: number;
  readonly values: Float16Array;
  minute: number;
  recordedAtMs: number;
  newest: UsageSample;
  engine: string | undefined;
  likelyEngine: string | undefined;
  starting: ReadonlySet<string>;
  startsMs: readonly number[];
}

export function usageStore(clock: Pick<Clock, "monotonicMs">): UsageStore {
  const objects = new Map<string, ObjectUsage>();
  const namespaces = counts<string>();
  const objectsMax = Math.min(usageObjectsMax, Math.floor(usageBytesMax / usageBytes));
  const isFull = (namespace: string) =>
    objects.size >= objectsMax || namespaces.of(namespace) >= usageObjectsShare;
  const expire = (nowMs: number) => {
    for (const [key, { recordedAtMs }] of objects)
      if (nowMs - recordedAtMs > usageIdleMinutesMax * minuteMs) {
        objects.delete(key);
        namespaces.change(key.slice(0, key.indexOf("/")), -1);
      }
  };
  const begin = (object: ObjectName, newest: UsageSample, nowMs: number) => {
    const { namespace } = object;
    if (isFull(namespace)) expire(nowMs);
    if (isFull(namespace)) return;
    const usage: ObjectUsage = {
      firstAtMs: nowMs,
      values: new Float16Array(usageMinutesMax * columns.length).fill(Number.NaN),
      minute: minuteOf(nowMs),
      recordedAtMs: nowMs,
      newest,
      engine: undefined,
      likelyEngine: undefined,
      starting: new Set(),
      startsMs: [],
    };
    objects.set(keyOf(object), usage);
    namespaces.change(namespace, 1);
    take(usage, newest);
  };
  return {
    isDue: (object) => {
      const usage = objects.get(keyOf(object));
      return usage === undefined || isNew(usage, clock) || isOpen(usage, clock);
    },
    record: (object, sample) => {
      const nowMs = clock.monotonicMs();
      const usage = objects.get(keyOf(object));
      if (usage === undefined) return begin(object, sample, nowMs);
      if (isNew(usage, clock)) advance(usage, nowMs);
      else if (!isOpen(usage, clock)) return;
      take(usage, sample);
    },
    of: (object) => {
      const usage = objects.get(keyOf(object));
      return usage && historyOf(usage, clock.monotonicMs());
    },
  };
}

function keyOf({ namespace, name }: ObjectName): string {
  return `${namespace}/${name}`;
}

function minuteOf(nowMs: number): number {
  return Math.floor(nowMs / minuteMs);
}

function isNew({ minute }: ObjectUsage, { monotonicMs }: Pick<Clock, "monotonicMs">): boolean {
  return minuteOf(monotonicMs()) > minute;
}

/** The triggers of one object come one after the other. */
function isOpen(
  { recordedAtMs }: ObjectUsage,
  { monotonicMs }: Pick<Clock, "monotonicMs">,
): boolean {
  return monotonicMs() - recordedAtMs < triggerRoundMs / 2;
}

/** Empties the row of the new minute, and those of minutes in which nothing came. */
function advance(usage: ObjectUsage, nowMs: number): void {
  const minute = minuteOf(nowMs);
  const passed = Math.min(minute - usage.minute, usageMinutesMax);
  for (let row = minute - passed + 1; row <= minute; row += 1) {
    const start = rowStart(row);
    usage.values.fill(Number.NaN, start, start + columns.length);
  }
  usage.minute = minute;
  usage.recordedAtMs = nowMs;
}

function rowStart(minute: number): number {
  return (minute % usageMinutesMax) * columns.length;
}

function take(usage: ObjectUsage, sample: UsageSample): void {
  const start = rowStart(usage.minute);
  const put = (column: UsageColumn, value: number | undefined, isKept = true) => {
    const at = start + columnIndex[column];
    const earlier = usage.values[at] ?? Number.NaN;
    if (value === undefined || (isKept && !Number.isNaN(earlier))) return;
    usage.values[at] = Math.min(value, float16Most);
  };
  const putSpread = (name: "utilization" | "memory" | "power", spread?: ReplicaSpread) => {
    put(`${name}Least`, spread?.least);
    put(`${name}Mean`, spread?.mean);
    put(`${name}Most`, spread?.most);
  };
  put("replicas", sample.replicas);
  put("readyReplicas", sample.readyReplicas);
  put("maxReplicas", sample.maxReplicas);
  putSpread("utilization", sample.utilizationPercent);
  putSpread("memory", sample.memoryUsedPercent);
  putSpread("power", sample.powerWatts);
  put("waiting", sample.engine?.waiting);
  put("running", sample.engine?.running);
  put("runningMost", sample.engine?.runningMost);
  put("unqueuedMost", sample.engine?.unqueuedMost);
  put("cacheMost", sample.engine?.cachePercentMost);
  // The HPA follows the trigger that asks for most.
  const desired = usage.values[start + columnIndex.desiredReplicas] ?? Number.NaN;
  if (!(desired >= (sample.desiredReplicas ?? 0)))
    put("desiredReplicas", sample.desiredReplicas, false);
  usage.newest = sample;
  usage.engine = sample.engine?.name ?? usage.engine;
  usage.likelyEngine = sample.likelyEngine ?? usage.likelyEngine;
  takeStarts(usage, sample);
}

/** Only what was seen to start: a pod that is ready may have lost it and become ready again. */
function takeStarts(usage: ObjectUsage, { startingPods, readyAfterMs }: UsageSample): void {
  const ended = [...usage.starting].flatMap((uid) => readyAfterMs.get(uid) ?? []);
  usage.startsMs = [...usage.startsMs, ...ended].slice(-startsMax);
  usage.starting = new Set(startingPods.slice(0, startingPodsMax));
}

function historyOf(usage: ObjectUsage, nowMs: number): UsageHistory {
  const { firstAtMs, values, minute, newest, engine, likelyEngine, startsMs } = usage;
  const observed = minute - minuteOf(firstAtMs) + 1;
  const minutes = Math.min(observed, usageMinutesMax);
  const first = minute - minutes + 1;
  return {
    observedMs: Math.min(nowMs - firstAtMs, usageMinutesMax * minuteMs),
    minutes,
    at: (column, at) => values[rowStart(first + at) + columnIndex[column]] ?? Number.NaN,
    minReplicas: newest.minReplicas,
    maxReplicas: newest.maxReplicas,
    engine,
    likelyEngine,
    startsMs,
  };
}
