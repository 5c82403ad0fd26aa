/**
 * What can be asked of an engine, and the formulas that answer it.
 *
 * @module
 */
import type { SignalName } from "#metric/catalogue.ts";
import type { Formula, SignalFormulas } from "./formula.ts";
import { type NamedMetric, namedFormula } from "./named.ts";

/** Signals that tell of use; `concurrency` is what waits and what runs in one. */
const activitySignals = [
  "concurrency",
  "queue_depth",
  "running_requests",
  "request_rate",
] as const satisfies readonly SignalName[];
export type ActivitySignal = (typeof activitySignals)[number];

/** What is read to know whether an engine is in use, and whether its latencies stand still. */
export function activityFormulas(signals: SignalFormulas): readonly Formula[] {
  return activitySignals.flatMap((signal) => signals[signal] ?? []);
}

/** The requests whose waiting shows that a latency is at least that long. */
export function waitingSignal(signal: AskedSignal): "queue_depth" | "kv_transfer_requests" {
  return signal === "kv_transfer_p95_ms" ? "kv_transfer_requests" : "queue_depth";
}

/** What can be asked of an engine: `activity` is whether anything waits, runs or arrives there. */
export type AskedSignal = SignalName | NamedMetric | "activity";

/**
 * The formulas for a signal at one engine, in the order to try; none when it does not export it.
 *
 * @param types The page's `# TYPE`s, for a metric that the user named.
 */
export function formulasOf(
  signal: AskedSignal,
  signals: SignalFormulas,
  types: ReadonlyMap<string, string> = new Map(),
): readonly Formula[] {
  if (signal === "activity") return activityFormulas(signals);
  if (typeof signal === "string") return signals[signal] ?? [];
  return [namedFormula(signal, types)];
}
