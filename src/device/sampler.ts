/**
 * The main thread's side of sampling: hands on what the sampling thread took, knows when that is too
 * old to serve, and says when only a new process can help.
 *
 * It never waits for the sampling thread, which may be inside a driver call for minutes.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import type { Fault } from "#core/fault.ts";
import { samplerStopMs, staleAfterMs } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { CollectorOptions, Demand } from "./collector.ts";
import { demandHolder } from "./demand.ts";
import { faultOf, type Report, type Taken } from "./messages.ts";
import type { Spawn } from "./thread.ts";

export interface SamplerSettings {
  readonly options: CollectorOptions;
  readonly sampleIntervalMs: number;
  /** How long sampling may give nothing before the process is told to end. */
  readonly watchdogMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly spawn: Spawn;
  readonly onCollection: (taken: Taken) => void;
  /** Runs after each change of phase or fault, not after each sample. */
  readonly onChange?: (state: SamplerState) => void;
  /** Comes at most once. Data still there may be served until the process ends. */
  readonly onDead: (death: Death) => void;
}

/**
 * - `starting`: no collection yet, and not late
 * - `sampling`: the newest collection is younger than `staleAfterMs`
 * - `stalled`: it is older, or there was none in that time
 * - `dead`: `onDead` was called
 * - `stopped`: `stop` was called
 */
export type SamplerPhase = "starting" | "sampling" | "stalled" | "dead" | "stopped";

export interface SamplerState {
  readonly phase: SamplerPhase;
  /** Why the newest pass gave no collection; absent when it gave one. */
  readonly fault?: Fault;
  /** When the newest collection was taken, by the monotonic clock. */
  readonly takenAtMs?: number;
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

/**
 * - `no-report`: no pass ended for `watchdogMs`: a driver call hangs
 * - `no-session`: the library gave no session for `watchdogMs`. A container that started while the
 *   driver was reloading has no library, and gets one only by being created anew
 * - `fatal-fault`: the collector says that no retry can help
 * - `thread-ended`: the sampling thread is gone
 */
export interface Death {
  readonly cause: "no-report" | "no-session" | "fatal-fault" | "thread-ended";
  readonly message: string;
  readonly fault?: Fault;
}

export interface Sampler {
  readonly state: () => SamplerState;
  readonly stats: () => SamplerStats;
  /** Asks for readings that cost. Holds for `demandHoldMs`; ask again to go on. */
  readonly demand: (demand: Demand) => void;
  /**
   * Lets go of the driver and ends the thread.
   *
   * @returns Whether the thread ended within `samplerStopMs`. One that hangs is left behind: the
   * process must then end by `process.exit`.
   */
  readonly stop: () => Promise<boolean>;
}

/** Starts the sampling thread; the first collection comes as soon as the first pass ends. */
export function startSampler(settings: SamplerSettings): Sampler {
  const { clock, log, sampleIntervalMs, watchdogMs, onCollection, onDead } = settings;
  const staleMs = staleAfterMs(sampleIntervalMs);
  const stats = { collections: 0, faults: 0, skipped: 0, passMsTotal: 0 };
  let state: SamplerState = { phase: "starting" };
  let ended = false;
  let whenEnded = () => {};

  const over = () => state.phase === "dead" || state.phase === "stopped";
  const become = (next: SamplerState) => {
    const before = state;
    state = next;
    if (next.phase === before.phase && next.fault?.message === before.fault?.message) return;
    logChange(log, before, next);
    settings.onChange?.(next);
  };
  const finish = (phase: "dead" | "stopped") => {
    for (const timer of [stale, silence, session]) timer.cancel();
    costly.close();
    become({ ...state, phase });
  };
  const die = (cause: Death["cause"], why: string, fault = state.fault) => {
    finish("dead");
    const message = `Cannot sample devices: ${why}; end this process, so that it is started anew`;
    log("error", "sampling is dead", { cause, reason: message });
    onDead({ cause, message, ...(fault === undefined ? {} : { fault }) });
  };

  const stale = deadline(clock, () => become({ ...state, phase: "stalled" }));
  const silence = deadline(clock, () => die("no-report", `no pass ended for ${watchdogMs} ms`));
  const session = deadline(clock, () => {
    const why = state.fault?.message ?? "no pass gave a collection";
    die("no-session", `there was no driver session for ${watchdogMs} ms (${why})`);
  });

  const took = (taken: Taken) => {
    stats.collections += 1;
    session.in(watchdogMs);
    const freshMs = taken.takenAtMs + staleMs - clock.monotonicMs();
    stale.in(freshMs);
    become({ phase: freshMs > 0 ? "sampling" : "stalled", takenAtMs: taken.takenAtMs });
    onCollection(taken);
  };
  const failed = (fault: Fault) => {
    stats.faults += 1;
    become({ ...state, fault });
    if (isFatal(fault)) die("fatal-fault", fault.message, fault);
    // A new container has the same file: it is the person who wrote it that must act.
    else if (fault.code === "file-invalid") session.in(watchdogMs);
  };
  const onReport = (report: Report) => {
    if (report.kind === "log") return log(report.level, report.event, report.facts);
    if (over()) return;
    silence.in(watchdogMs);
    stats.skipped += report.skipped;
    stats.passMsTotal += report.tookMs;
    if (report.kind === "fault") failed(faultOf(report.fault));
    else took(report);
  };
  const onEnd = (reason: string) => {
    ended = true;
    whenEnded();
    if (!over()) die("thread-ended", `the sampling thread ended: ${reason}`);
  };

  const thread = settings.spawn({ onReport, onEnd });
  const costly = demandHolder(clock, (demand) => thread.post({ kind: "demand", demand }));
  stale.in(staleMs);
  silence.in(watchdogMs);
  session.in(watchdogMs);
  thread.post({ kind: "start", options: settings.options, sampleIntervalMs });

  const close = () =>
    new Promise<boolean>((resolve) => {
      if (!over()) finish("stopped");
      if (ended) return resolve(true);
      const patience = deadline(clock, () => {
        thread.abandon();
        log("warn", "sampling thread hangs and is left behind", { waitedMs: samplerStopMs });
        resolve(false);
      });
      whenEnded = () => {
        patience.cancel();
        resolve(true);
      };
      patience.in(samplerStopMs);
      thread.post({ kind: "close" });
    });
  let stopping: Promise<boolean> | undefined;
  return {
    state: () => state,
    stats: () => ({ ...stats }),
    demand: (demand) => {
      if (!over()) costly.ask(demand);
    },
    stop: () => {
      stopping ??= close();
      return stopping;
    },
  };
}

/** A timer that starts over each time it is set. */
function deadline(clock: Clock, passed: () => void) {
  let cancel: Cancel = () => {};
  return {
    in: (ms: number) => {
      cancel();
      cancel = clock.after(Math.max(0, ms), passed);
    },
    cancel: () => cancel(),
  };
}

function isFatal({ facts }: Fault): boolean {
  return "fatal" in facts && facts.fatal === true;
}

function logChange(log: Log, before: SamplerState, { phase, fault }: SamplerState): void {
  if (fault !== undefined && fault.message !== before.fault?.message)
    log("warn", "no device session", { code: fault.code, reason: fault.message });
  if (phase === before.phase) {
    if (fault === undefined) log("info", "device session is back");
    return;
  }
  if (phase === "stalled") log("warn", "sampling stalled", {});
  if (phase === "sampling") log("info", "sampling");
}
