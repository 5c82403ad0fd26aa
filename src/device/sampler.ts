/**
 * The main thread's side of sampling: hands on what the sampling thread took, knows when that is too
 * old to serve, and says when only a new process can help.
 *
 * It never waits for the sampling thread, which may be inside a driver call for minutes.
 *
 * @module
 */
import { samplerStopMs } from "#core/limits.ts";
import type { CollectorOptions, Demand } from "./collector.ts";
import { demandHolder } from "./demand.ts";
import { faultOf, type Report, type Taken } from "./messages.ts";
import type { Spawn } from "./thread.ts";
import { deadline, type SamplerState, type VitalsSettings, watchVitals } from "./vitals.ts";

export interface SamplerSettings extends VitalsSettings {
  readonly options: CollectorOptions;
  readonly spawn: Spawn;
  readonly onCollection: (taken: Taken) => void;
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
  const { options, sampleIntervalMs, clock, log, spawn, onCollection } = settings;
  const vitals = watchVitals(settings);
  const stats = { collections: 0, faults: 0, skipped: 0, passMsTotal: 0 };
  let ended = false;
  let whenEnded = () => {};

  const onPass = (report: Extract<Report, { kind: "collection" | "fault" }>) => {
    stats.skipped += report.skipped;
    stats.passMsTotal += report.tookMs;
    if (report.kind === "fault") {
      stats.faults += 1;
      vitals.failed(faultOf(report.fault));
      return;
    }
    const { collection, takenAtMs, tookMs, skipped } = report;
    stats.collections += 1;
    vitals.took(takenAtMs);
    onCollection({ collection, takenAtMs, tookMs, skipped });
  };
  const onReport = (report: Report) => {
    if (report.kind === "log") log(report.level, report.event, report.facts);
    else if (vitals.over()) return;
    else if (report.kind === "ready") start();
    else onPass(report);
  };
  const onEnd = (why: string) => {
    ended = true;
    vitals.ended(why);
    whenEnded();
  };

  const thread = spawn({ onReport, onEnd });
  const costly = demandHolder(clock, (demand) => thread.post({ kind: "demand", demand }));
  const start = () => {
    const nowMs = clock.monotonicMs();
    thread.post({ kind: "start", options, sampleIntervalMs, demand: costly.current(), nowMs });
  };

  const close = () => {
    vitals.stop();
    costly.close();
    if (ended) return Promise.resolve(true);
    return new Promise<boolean>((resolve) => {
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
  };
  let stopping: Promise<boolean> | undefined;
  return {
    state: vitals.state,
    stats: () => ({ ...stats }),
    demand: (demand) => {
      if (!vitals.over()) costly.ask(demand);
    },
    stop: () => {
      stopping ??= close();
      return stopping;
    },
  };
}
