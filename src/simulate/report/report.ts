/** What `simulate` reports, before it is written as text, JSON or a page. */
import type { Run } from "#simulate/run.ts";
import type { Outcome } from "./outcome.ts";

/** One ScaledObject that was played. */
export interface ReportedRun {
  /** A, B, C, …: what tables and plots call it. */
  readonly letter: string;
  readonly file: string;
  readonly name: string;
  readonly warnings: readonly string[];
  readonly run: Run;
  readonly outcome: Outcome;
}

export interface Report {
  /** The load in words. */
  readonly load: string;
  /** The replica model in words. */
  readonly replica: string;
  readonly seconds: number;
  readonly seed: number;
  /** Limit for the first token. */
  readonly withinMs: number;
  /** Share of requests that should be within; percent. */
  readonly goalPercent: number;
  readonly gpuHourPrice?: number | undefined;
  readonly runs: readonly ReportedRun[];
  /** A sentence each. */
  readonly verdict: readonly string[];
}
