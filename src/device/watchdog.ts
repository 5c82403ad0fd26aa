/**
 * Whether sampling goes on: from what the sampling thread reports, and from what it does not.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import type { Fault } from "#core/fault.ts";
import { staleAfterMs } from "#core/limits.ts";
import type { Log } from "#core/log.ts";

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
  readonly fault?: Fault | undefined;
  /** When the newest collection was taken, by the monotonic clock. */
  readonly takenAtMs?: number | undefined;
}

/**
 * - `no-report`: no pass ended for `watchdogMs`: a driver call hangs
 * - `no-session`: the library gave no session for `watchdogMs`. A container that started while the
 *   driver was reloading has no library, and gets one only by being created again
 * - `fatal-fault`: the collector says that no retry can help
 * - `thread-ended`: the sampling thread is gone
 */
export interface SamplerDeath {
  readonly cause: "no-report" | "no-session" | "fatal-fault" | "thread-ended";
  readonly message: string;
  readonly fault?: Fault | undefined;
}

export interface WatchdogOptions {
  readonly sampleIntervalMs: number;
  /** How long sampling may give nothing before the process is asked to end. */
  readonly watchdogMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Runs after each change of phase or fault, not after each sample. */
  readonly onChange?: (state: SamplerState) => void;
  /** Comes at most once. */
  readonly onDead: (death: SamplerDeath) => void;
}
export interface Watchdog {
  readonly state: () => SamplerState;
  /** Dead or stopped: nothing changes any more. */
  readonly isOver: () => boolean;
  readonly collected: (takenAtMs: number) => void;
  readonly failed: (fault: Fault) => void;
  /** The thread ended by itself; `why` is for people. */
  readonly threadEnded: (why: string) => void;
  readonly stop: () => void;
}

/** Starts watching now: the first report counts from here on. */
export function startWatchdog(options: WatchdogOptions): Watchdog {
  const { clock, log, sampleIntervalMs, onChange, onDead } = options;
  const staleMs = staleAfterMs(sampleIntervalMs);
  // A slow interval may be longer than the watchdog; sampling that is not late is not dead.
  const watchdogMs = Math.max(options.watchdogMs, staleMs);
  let state: SamplerState = { phase: "starting" };

  const isOver = () => state.phase === "dead" || state.phase === "stopped";
  const change = (next: SamplerState) => {
    const before = state;
    state = next;
    if (next.phase === before.phase && next.fault?.message === before.fault?.message) return;
    logChange(log, before, next);
    onChange?.(next);
  };
  const finish = (phase: "dead" | "stopped") => {
    for (const timer of [stale, silence, session]) timer.cancel();
    change({ ...state, phase });
  };
  const die = (cause: SamplerDeath["cause"], why: string) => {
    finish("dead");
    const { fault } = state;
    const message = `Cannot sample devices: ${why}; end this process, so that it is started again`;
    log("error", "sampling is dead", { cause, reason: message });
    onDead({ cause, message, fault });
  };

  const stale = deadline(clock, () => change({ ...state, phase: "stalled" }));
  const silence = deadline(clock, () => die("no-report", `no pass ended for ${watchdogMs} ms`));
  const session = deadline(clock, () => {
    const why = state.fault?.message ?? "no pass gave a collection";
    die("no-session", `there was no driver session for ${watchdogMs} ms (${why})`);
  });
  stale.in(staleMs);
  silence.in(watchdogMs);
  session.in(watchdogMs);

  return {
    state: () => state,
    isOver,
    collected: (takenAtMs) => {
      silence.in(watchdogMs);
      session.in(watchdogMs);
      const freshMs = takenAtMs + staleMs - clock.monotonicMs();
      stale.in(freshMs);
      change({ phase: freshMs > 0 ? "sampling" : "stalled", takenAtMs });
    },
    failed: (fault) => {
      silence.in(watchdogMs);
      change({ ...state, fault });
      if ("fatal" in fault.facts && fault.facts.fatal) die("fatal-fault", fault.message);
      // A new process has the same file: it is the person who wrote it that must act.
      else if (fault.code === "file-invalid") session.in(watchdogMs);
    },
    threadEnded: (why) => {
      if (!isOver()) die("thread-ended", `the sampling thread ended: ${why}`);
    },
    stop: () => {
      if (!isOver()) finish("stopped");
    },
  };
}

/** A timer that starts over each time it is set. */
export function deadline(clock: Clock, passed: () => void) {
  let cancel: Cancel = () => {};
  return {
    in: (ms: number) => {
      cancel();
      cancel = clock.after(Math.max(0, ms), passed);
    },
    cancel: () => cancel(),
  };
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
