/**
 * What the remembered minutes of a workload say together: the numbers that advice rests on.
 *
 * @module
 */
import {
  busyUtilizationLeast,
  fullCacheLeast,
  roomyCacheMost,
  saturatedUtilizationLeast,
} from "#core/limits.ts";
import type { UsageColumn, UsageHistory } from "./usage-store.ts";

/** 5th, 50th and 95th percentile of minutes: a minute that is an accident does not decide. */
export interface MinutePercentiles {
  readonly p5: number;
  readonly p50: number;
  readonly p95: number;
}

/** Counts of minutes are of those in which it is known. */
export interface UsageSummary {
  /** Milliseconds. */
  readonly observedMs: number;
  readonly observedMinutes: number;
  /** Requests ran or waited; where no engine tells, a device worked. */
  readonly busyMinutes: number;
  /** Replicas were there, and nothing was to do. */
  readonly idleMinutes: number;
  readonly longestBusyMinutes: number;
  readonly replicas?: { readonly least: number; readonly most: number } | undefined;
  readonly replicaHours: number;
  readonly idleReplicaHours: number;
  /** Percent, the mean of all replicas, in busy minutes. */
  readonly utilization?: (MinutePercentiles & MinuteShare) | undefined;
  /** Percent, the mean of all replicas, in every minute with a ready replica. */
  readonly memory?: MinutePercentiles | undefined;
  /** Watts of a device, the mean of all replicas, in busy minutes. */
  readonly power?: MinutePercentiles | undefined;
  readonly requests?: EngineRequests | undefined;
  readonly desired?: DesiredSummary | undefined;
  readonly starts?: { readonly count: number; readonly medianMs: number } | undefined;
}

interface MinuteShare {
  readonly knownMinutes: number;
  /** In which the devices of all replicas were saturated. */
  readonly saturatedMinutes: number;
}

/** What engines told, in busy minutes. */
interface EngineRequests {
  readonly knownMinutes: number;
  readonly waitingMinutes: number;
  /** Of these, those in which there could have been more replicas. */
  readonly waitingBelowMaximumMinutes: number;
  readonly waitingMost: number;
  /** In the replica that runs most. */
  readonly running: MinutePercentiles;
  readonly runningMost: number;
  /** The most that a replica ran while nothing waited there. */
  readonly unqueuedMost?: number | undefined;
  readonly cache?: CacheSummary | undefined;
}

interface CacheSummary {
  /** Percent, of the fullest replica. */
  readonly most: number;
  /** MinuteList with waiting requests in which it is known. */
  readonly waitingMinutes: number;
  readonly fullWaitingMinutes: number;
  readonly roomyWaitingMinutes: number;
}

interface DesiredSummary {
  readonly knownMinutes: number;
  readonly most: number;
  /** In which more were desired than may be. */
  readonly aboveMaximumMinutes: number;
  /** How often in an hour it turned from growing to shrinking, or back. */
  readonly turnsPerHour: number;
  /** The same of `spec.replicas`, which `behavior` calms. */
  readonly replicaTurnsPerHour: number;
}

type ReadColumn = (name: UsageColumn) => Float64Array;
/** Which minutes, by their place in a column. */
type MinuteList = readonly number[];

export function usageSummary(history: UsageHistory): UsageSummary {
  const { observedMs, startsMs, minutes } = history;
  const column = columnReader(history);
  const states = statesOf(column, minutes);
  const all = states.map((_, minute) => minute);
  const inState = (state: UsageState) => all.filter((minute) => states[minute] === state);
  const busy = inState("busy");
  const idle = inState("idle");
  const replicas = known(column("replicas"), all);
  return {
    observedMs,
    observedMinutes: replicas.length,
    busyMinutes: busy.length,
    idleMinutes: idle.length,
    longestBusyMinutes: longestRun(states, "busy"),
    replicas:
      replicas.length === 0
        ? undefined
        : { least: Math.min(...replicas), most: Math.max(...replicas) },
    replicaHours: hours(known(column("readyReplicas"), all)),
    idleReplicaHours: hours(known(column("readyReplicas"), idle)),
    utilization: utilizationSummary(column, busy),
    memory: percentiles(known(column("memoryMean"), all)),
    power: percentiles(known(column("powerMean"), busy)),
    requests: requestSummary(column, busy),
    desired: desiredSummary(column, all),
    starts:
      startsMs.length === 0
        ? undefined
        : { count: startsMs.length, medianMs: percentiles(startsMs)?.p50 ?? 0 },
  };
}

function columnReader({ column }: UsageHistory): ReadColumn {
  const read = new Map<UsageColumn, Float64Array>();
  return (name) => {
    const values = read.get(name) ?? column(name);
    read.set(name, values);
    return values;
  };
}

/** The values of these minutes that are known. */
function known(values: Float64Array, minutes: MinuteList): readonly number[] {
  const found: number[] = [];
  // A loop, because all objects of a cluster may be advised on at once.
  for (const minute of minutes) {
    const value = valueAt(values, minute);
    if (value !== undefined) found.push(value);
  }
  return found;
}

function valueAt(values: Float64Array, minute: number): number | undefined {
  const value = values[minute];
  return value === undefined || Number.isNaN(value) ? undefined : value;
}

type UsageState = "busy" | "idle" | "unknown";

function statesOf(column: ReadColumn, minutes: number): readonly UsageState[] {
  const [ready, waiting] = [column("readyReplicas"), column("waiting")];
  const [running, utilization] = [column("running"), column("utilizationMost")];
  return Array.from({ length: minutes }, (_, minute): UsageState => {
    if ((valueAt(ready, minute) ?? 0) === 0) return "unknown";
    const runs = valueAt(running, minute);
    if ((valueAt(waiting, minute) ?? 0) > 0 || (runs ?? 0) > 0) return "busy";
    if (runs === 0) return "idle";
    const percent = valueAt(utilization, minute);
    if (percent === undefined) return "unknown";
    return percent >= busyUtilizationLeast ? "busy" : "idle";
  });
}

function longestRun(states: readonly UsageState[], state: UsageState): number {
  let run = 0;
  let longest = 0;
  for (const one of states) {
    run = one === state ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

/** Each value is one minute. */
function hours(minutes: readonly number[]): number {
  return Math.round((10 * minutes.reduce((sum, value) => sum + value, 0)) / 60) / 10;
}

function percentiles(values: readonly number[]): MinutePercentiles | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  const rank = (share: number) =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN);
  return { p5: rank(0.05), p50: rank(0.5), p95: rank(0.95) };
}

function rounded(value: number): number {
  return Math.round(10 * value) / 10;
}

function utilizationSummary(column: ReadColumn, busy: MinuteList): UsageSummary["utilization"] {
  const values = known(column("utilizationMean"), busy);
  const shares = percentiles(values);
  if (shares === undefined) return undefined;
  const saturatedMinutes = values.filter((value) => value >= saturatedUtilizationLeast).length;
  return { ...shares, knownMinutes: values.length, saturatedMinutes };
}

function requestSummary(column: ReadColumn, busy: MinuteList): EngineRequests | undefined {
  const running = known(column("runningMost"), busy);
  const shares = percentiles(running);
  if (shares === undefined) return undefined;
  const [queue, replicas, maximum] = [column("waiting"), column("replicas"), column("maxReplicas")];
  const waiting = busy.filter((minute) => (valueAt(queue, minute) ?? 0) > 0);
  const unqueued = known(column("unqueuedMost"), busy);
  const isBelowMaximum = (minute: number) =>
    (valueAt(replicas, minute) ?? 0) < (valueAt(maximum, minute) ?? 0);
  return {
    knownMinutes: running.length,
    waitingMinutes: waiting.length,
    waitingBelowMaximumMinutes: waiting.filter(isBelowMaximum).length,
    waitingMost: Math.max(0, ...known(queue, waiting)),
    running: shares,
    runningMost: Math.max(...running),
    unqueuedMost: unqueued.length === 0 ? undefined : Math.max(...unqueued),
    cache: cacheSummary(column("cacheMost"), busy, waiting),
  };
}

function cacheSummary(
  cache: Float64Array,
  busy: MinuteList,
  waiting: MinuteList,
): CacheSummary | undefined {
  const all = known(cache, busy);
  if (all.length === 0) return undefined;
  const whileWaiting = known(cache, waiting);
  return {
    most: rounded(Math.max(...all)),
    waitingMinutes: whileWaiting.length,
    fullWaitingMinutes: whileWaiting.filter((percent) => percent >= fullCacheLeast).length,
    roomyWaitingMinutes: whileWaiting.filter((percent) => percent < roomyCacheMost).length,
  };
}

function desiredSummary(column: ReadColumn, all: MinuteList): DesiredSummary | undefined {
  const desired = column("desiredReplicas");
  const values = known(desired, all);
  if (values.length === 0) return undefined;
  const maximum = column("maxReplicas");
  const isAboveMaximum = (minute: number) =>
    (valueAt(desired, minute) ?? 0) > (valueAt(maximum, minute) ?? Number.POSITIVE_INFINITY);
  const perHour = (turns: number) => rounded((60 * turns) / all.length);
  return {
    knownMinutes: values.length,
    most: Math.max(...values),
    aboveMaximumMinutes: all.filter(isAboveMaximum).length,
    turnsPerHour: perHour(turnsOf(values)),
    replicaTurnsPerHour: perHour(turnsOf(known(column("replicas"), all))),
  };
}

function turnsOf(values: readonly number[]): number {
  const steps = values
    .map((value, at) => Math.sign(value - (values[at - 1] ?? value)))
    .filter((step) => step !== 0);
  return steps.filter((step, at) => at > 0 && step !== steps[at - 1]).length;
}
