/**
 * What the remembered minutes of a workload say together: the numbers that advice rests on.
 *
 * @module
 */
import type { UsageColumn, UsageHistory } from "./usage-store.ts";

/** 5th, 50th and 95th percentile of minutes: a minute that is an accident does not decide. */
export interface Percentiles {
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
  readonly utilization?: (Percentiles & MinuteShare) | undefined;
  /** Percent, the mean of all replicas, in every minute with a ready replica. */
  readonly memory?: Percentiles | undefined;
  /** Watts of a device, the mean of all replicas, in busy minutes. */
  readonly power?: Percentiles | undefined;
  readonly requests?: RequestSummary | undefined;
  readonly desired?: DesiredSummary | undefined;
  readonly starts?: { readonly count: number; readonly medianMs: number } | undefined;
}

interface MinuteShare {
  readonly knownMinutes: number;
  /** In which the devices of all replicas were saturated. */
  readonly saturatedMinutes: number;
}

/** What engines told, in busy minutes. */
interface RequestSummary {
  readonly knownMinutes: number;
  readonly waitingMinutes: number;
  /** Of these, those in which there could have been more replicas. */
  readonly waitingBelowMaximumMinutes: number;
  readonly waitingMost: number;
  /** In the replica that runs most. */
  readonly running: Percentiles;
  readonly runningMost: number;
  /** The most that a replica ran while nothing waited there. */
  readonly unqueuedMost?: number | undefined;
  readonly cache?: CacheSummary | undefined;
}

interface CacheSummary {
  /** Percent, of the fullest replica. */
  readonly most: number;
  /** Minutes with waiting requests in which it is known. */
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

/** Percent: above it a device works, whatever its driver calls idle. */
const busyUtilization = 5;
/** Percent: a device that is never without a kernel shows no more load than this. */
export const saturatedUtilization = 90;
/** Percent: engines begin to put requests off, or to preempt them, about here. */
export const fullCache = 90;
/** Percent: with so much room left it is not the cache that requests wait for. */
export const roomyCache = 60;

type Minute = (column: UsageColumn) => number;

export function usageSummary(history: UsageHistory): UsageSummary {
  const { observedMs, startsMs } = history;
  const all = minutesOf(history);
  const states = all.map(stateOf);
  const inState = (state: ReturnType<typeof stateOf>) =>
    all.filter((_, at) => states[at] === state);
  const busy = inState("busy");
  const idle = inState("idle");
  const replicas = known(all, "replicas");
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
    replicaHours: hours(known(all, "readyReplicas")),
    idleReplicaHours: hours(known(idle, "readyReplicas")),
    utilization: utilizationSummary(busy),
    memory: percentiles(known(all, "memoryMean")),
    power: percentiles(known(busy, "powerMean")),
    requests: requestSummary(busy),
    desired: desiredSummary(all),
    starts:
      startsMs.length === 0
        ? undefined
        : { count: startsMs.length, medianMs: percentiles(startsMs)?.p50 ?? 0 },
  };
}

function minutesOf({ minutes, at }: UsageHistory): readonly Minute[] {
  return Array.from(
    { length: minutes },
    (_, minute): Minute =>
      (column) =>
        at(column, minute),
  );
}

function known(minutes: readonly Minute[], column: UsageColumn): readonly number[] {
  return minutes.map((minute) => minute(column)).filter((value) => !Number.isNaN(value));
}

function stateOf(minute: Minute): "busy" | "idle" | "unknown" {
  if (!(minute("readyReplicas") > 0)) return "unknown";
  const [waiting, running] = [minute("waiting"), minute("running")];
  if (waiting > 0 || running > 0) return "busy";
  if (running === 0) return "idle";
  const utilization = minute("utilizationMost");
  if (Number.isNaN(utilization)) return "unknown";
  return utilization >= busyUtilization ? "busy" : "idle";
}

function longestRun<State>(states: readonly State[], state: State): number {
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

function percentiles(values: readonly number[]): Percentiles | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  const rank = (share: number) =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN);
  return { p5: rank(0.05), p50: rank(0.5), p95: rank(0.95) };
}

function rounded(value: number): number {
  return Math.round(10 * value) / 10;
}

function utilizationSummary(busy: readonly Minute[]): UsageSummary["utilization"] {
  const values = known(busy, "utilizationMean");
  const shares = percentiles(values);
  if (shares === undefined) return undefined;
  const saturatedMinutes = values.filter((value) => value >= saturatedUtilization).length;
  return { ...shares, knownMinutes: values.length, saturatedMinutes };
}

function requestSummary(busy: readonly Minute[]): RequestSummary | undefined {
  const running = percentiles(known(busy, "runningMost"));
  if (running === undefined) return undefined;
  const waiting = busy.filter((minute) => minute("waiting") > 0);
  const unqueued = known(busy, "unqueuedMost");
  return {
    knownMinutes: known(busy, "runningMost").length,
    waitingMinutes: waiting.length,
    waitingBelowMaximumMinutes: waiting.filter(
      (minute) => minute("replicas") < minute("maxReplicas"),
    ).length,
    waitingMost: Math.max(0, ...known(waiting, "waiting")),
    running,
    runningMost: Math.max(...known(busy, "runningMost")),
    unqueuedMost: unqueued.length === 0 ? undefined : Math.max(...unqueued),
    cache: cacheSummary(busy, waiting),
  };
}

function cacheSummary(
  busy: readonly Minute[],
  waiting: readonly Minute[],
): CacheSummary | undefined {
  const all = known(busy, "cacheMost");
  if (all.length === 0) return undefined;
  const whileWaiting = known(waiting, "cacheMost");
  return {
    most: rounded(Math.max(...all)),
    waitingMinutes: whileWaiting.length,
    fullWaitingMinutes: whileWaiting.filter((percent) => percent >= fullCache).length,
    roomyWaitingMinutes: whileWaiting.filter((percent) => percent < roomyCache).length,
  };
}

function desiredSummary(all: readonly Minute[]): DesiredSummary | undefined {
  const desired = known(all, "desiredReplicas");
  if (desired.length === 0) return undefined;
  const perHour = (turns: number) => rounded((60 * turns) / all.length);
  return {
    knownMinutes: desired.length,
    most: Math.max(...desired),
    aboveMaximumMinutes: all.filter((minute) => minute("desiredReplicas") > minute("maxReplicas"))
      .length,
    turnsPerHour: perHour(turnsOf(desired)),
    replicaTurnsPerHour: perHour(turnsOf(known(all, "replicas"))),
  };
}

function turnsOf(values: readonly number[]): number {
  const steps = values
    .map((value, at) => Math.sign(value - (values[at - 1] ?? value)))
    .filter((step) => step !== 0);
  return steps.filter((step, at) => at > 0 && step !== steps[at - 1]).length;
}
