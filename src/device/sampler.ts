/**
 * The main thread's side of sampling: hands on what the sampling thread took, knows when that is too
 * old to serve, and says when only a new process can help.
 *
 * It never waits for the sampling thread, which may be inside a driver call for minutes.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { demandHoldMs, samplerStopMs } from "#core/limits.ts";
import type { CollectorOptions, Demand } from "./collector.ts";
import {
  faultOf,
  type Spawn,
  type Thread,
  type ThreadReport,
  type TimedCollection,
} from "./thread.ts";
import { deadline, type SamplerState, startWatchdog, type WatchdogOptions } from "./watchdog.ts";

export interface SamplerOptions extends WatchdogOptions {
  readonly options: CollectorOptions;
  readonly spawn: Spawn;
  readonly onCollection: (taken: TimedCollection) => void;
}

/** All since the start. */
export interface SamplerStats {
  readonly collections: number;
  readonly faults: number;
  /** Samples left out because a pass took longer than the interval. */
  readonly skipped: number;
  /** Time spent in passes that ended, faults included. */
  readonly passMsTotal: number;
}

export interface Sampler {
  readonly state: () => SamplerState;
  readonly stats: () => SamplerStats;
  /** Has readings taken that cost, for `demandHoldMs`; call it again to go on. */
  readonly demand: (demand: Pick<Demand, "pcieThroughput">) => void;
  /** Has the processes of these devices told apart from now on, and of no others. */
  readonly tellProcesses: (uuids: readonly string[]) => void;
  /**
   * Lets go of the driver and ends the thread.
   *
   * @returns Whether the thread ended within `samplerStopMs`. One that hangs is left behind: the
   * process must then end by `process.exit`.
   */
  readonly stop: () => Promise<boolean>;
}

/** Starts the sampling thread; the first collection comes as soon as the first pass ends. */
export function startSampler(settings: SamplerOptions): Sampler {
  const { options, sampleIntervalMs, clock, log, spawn, onCollection } = settings;
  const watchdog = startWatchdog(settings);
  const stats = { collections: 0, faults: 0, skipped: 0, passMsTotal: 0 };
  let ended = false;
  let whenEnded = () => {};

  const onPass = (report: Extract<ThreadReport, { kind: "collection" | "fault" }>) => {
    stats.skipped += report.skipped;
    stats.passMsTotal += report.tookMs;
    if (report.kind === "fault") {
      stats.faults += 1;
      watchdog.failed(faultOf(report.fault));
      return;
    }
    const { collection, takenAtMs, tookMs, skipped } = report;
    stats.collections += 1;
    watchdog.collected(takenAtMs);
    onCollection({ collection, takenAtMs, tookMs, skipped });
  };
  const onReport = (report: ThreadReport) => {
    if (report.kind === "log") log(report.level, report.event, report.facts);
    else if (watchdog.isOver()) return;
    else if (report.kind === "ready") start();
    else onPass(report);
  };
  const onEnd = (why: string) => {
    ended = true;
    watchdog.threadEnded(why);
    whenEnded();
  };

  const thread = spawn({ onReport, onEnd });
  const held = demandHolder(clock, (demand) => thread.post({ kind: "demand", demand }));
  const start = () => {
    const nowMs = clock.monotonicMs();
    thread.post({ kind: "start", options, sampleIntervalMs, demand: held.current(), nowMs });
  };

  const close = () => {
    watchdog.stop();
    held.close();
    if (ended) return Promise.resolve(true);
    const closing = closeThread(thread, settings);
    whenEnded = closing.ended;
    return closing.done;
  };
  let stopping: Promise<boolean> | undefined;
  return {
    state: watchdog.state,
    stats: () => ({ ...stats }),
    demand: (demand) => {
      if (!watchdog.isOver()) held.renew(demand);
    },
    tellProcesses: (uuids) => {
      if (!watchdog.isOver()) held.tellProcesses(uuids);
    },
    stop: () => {
      stopping ??= close();
      return stopping;
    },
  };
}

/** Tells the thread to end, and leaves behind one that does not. */
function closeThread(thread: Thread, { clock, log }: Pick<SamplerOptions, "clock" | "log">) {
  const { promise: done, resolve } = Promise.withResolvers<boolean>();
  const patience = deadline(clock, () => {
    thread.abandon();
    log("warn", "sampling thread hangs and is left behind", { waitedMs: samplerStopMs });
    resolve(false);
  });
  const ended = () => {
    patience.cancel();
    resolve(true);
  };
  patience.in(samplerStopMs);
  thread.post({ kind: "close" });
  return { done, ended };
}

/**
 * Holds a demand for `demandHoldMs` after it was last renewed. Renewing is cheap: only the first
 * demand and the end of the last one cross to the sampling thread.
 */
function demandHolder(clock: Clock, onChange: (demand: Demand) => void) {
  let heldUntilMs: number | undefined;
  let processesOf: readonly string[] | undefined;
  let cancel = () => {};
  const current = (): Demand => ({ pcieThroughput: heldUntilMs !== undefined, processesOf });

  const check = (untilMs: number) => {
    const nowMs = clock.monotonicMs();
    if (nowMs < untilMs) {
      cancel = clock.after(untilMs - nowMs, () => check(heldUntilMs ?? nowMs));
      return;
    }
    heldUntilMs = undefined;
    onChange(current());
  };

  return {
    current,
    renew: ({ pcieThroughput }: Pick<Demand, "pcieThroughput">) => {
      if (!pcieThroughput) return;
      const begins = heldUntilMs === undefined;
      heldUntilMs = clock.monotonicMs() + demandHoldMs;
      if (!begins) return;
      onChange(current());
      check(heldUntilMs);
    },
    tellProcesses: (uuids: readonly string[]) => {
      if (Bun.deepEquals(uuids, processesOf ?? [])) return;
      processesOf = uuids;
      onChange(current());
    },
    close: () => cancel(),
  };
}
