/**
 * The number for an ask after each scrape, with the memory that a stalled engine makes necessary.
 *
 * Engines observe latencies late, most of them when a request ends. An engine that is stuck
 * observes nothing, and "no data" must not look like "fast": while requests wait and none gets
 * through, the latency is at least as long as they have waited.
 *
 * @module
 */
import type { SignalName } from "#metric/catalogue.ts";
import { type SignalQuery, signalText, termsOf } from "./ask.ts";
import { defaultWindowMs, evaluate, type SignalResult, widestWindowMs } from "./evaluate.ts";
import type { Scene } from "./scene.ts";

/** What of earlier scrapes is still needed for an ask. */
export interface Memory {
  /** The last latency that was observed. */
  readonly lastValue?: number;
  /** Since when requests wait without a pause; monotonic. */
  readonly waitingSinceMs?: number;
}

const latencySignals: ReadonlySet<unknown> = new Set<SignalName>([
  "ttft_p50_ms",
  "ttft_p95_ms",
  "ttft_p99_ms",
  "inter_token_p95_ms",
  "e2e_p95_ms",
  "queue_wait_ms",
]);
function isLatency({ signal }: SignalQuery): boolean {
  return latencySignals.has(signal);
}

/** How long scrapes are kept to answer an ask: few requests widen the window of a latency. */
export function keptMs(ask: SignalQuery, intervalMs: number): number {
  const widestMs = isLatency(ask) ? widestWindowMs : defaultWindowMs;
  return Math.max(ask.windowMs, widestMs) + 2 * intervalMs;
}

/** The outcome for the newest scrape, and what to remember for the next. */
export function signalOutcome(
  scene: Scene,
  ask: SignalQuery,
  memory: Memory,
): { readonly outcome: SignalResult; readonly memory: Memory } {
  const newest = scene.history.scrapes.at(-1);
  const terms = termsOf(ask, scene.adapter.signals, scene.history.types);
  if (terms.length === 0) return { outcome: notOffered(scene, ask), memory };
  const observed = evaluate(scene, ask, terms);
  if (!isLatency(ask) || newest === undefined) return { outcome: observed, memory };

  const waiting = guardValue(scene, ask, "queue_depth");
  const next = remembered(memory, observed, waiting, newest.atMs);
  if ("value" in observed || observed.reason !== "no-samples")
    return { outcome: observed, memory: next };
  return { outcome: unobserved(scene, ask, next, waiting) ?? observed, memory: next };
}

function remembered(
  memory: Memory,
  observed: SignalResult,
  waiting: number | undefined,
  atMs: number,
): Memory {
  const lastValue = "value" in observed ? observed.value : memory.lastValue;
  // A queue of unknown length is not known to be empty.
  const waitingSinceMs =
    waiting === undefined || waiting > 0
      ? (memory.waitingSinceMs ?? (waiting === undefined ? undefined : atMs))
      : undefined;
  return {
    ...(lastValue !== undefined && { lastValue }),
    ...(waitingSinceMs !== undefined && { waitingSinceMs }),
  };
}

/** The latency of an engine that observed nothing, if its queue tells it. */
function unobserved(
  scene: Scene,
  ask: SignalQuery,
  { lastValue = 0, waitingSinceMs }: Memory,
  waiting: number | undefined,
): SignalResult | undefined {
  if (waiting === 0 && guardValue(scene, ask, "running_requests") === 0)
    return { value: 0, stand: "idle" };
  const newest = scene.history.scrapes.at(-1);
  if (!waiting || waitingSinceMs === undefined || newest === undefined) return undefined;
  const value = Math.max(lastValue, newest.atMs - waitingSinceMs);
  // At the first sight of a queue nothing is known of how long it waits.
  return value > 0 ? { value, stand: "stalled" } : undefined;
}

/** @returns `undefined` when this engine does not tell, or not now. */
function guardValue(
  scene: Scene,
  { match, ensembles }: SignalQuery,
  signal: "queue_depth" | "running_requests",
): number | undefined {
  const ask: SignalQuery = { signal, windowMs: 0, match, ...(ensembles && { ensembles }) };
  const outcome = evaluate(scene, ask, scene.adapter.signals[signal] ?? []);
  return "value" in outcome ? outcome.value : undefined;
}

function notOffered({ adapter }: Scene, ask: SignalQuery): SignalResult {
  const offered = Object.keys(adapter.signals).sort().join(", ");
  return {
    reason: "not-exported",
    why: `${adapter.title} does not export ${signalText(ask)}; it has ${offered === "" ? "no signals of its own: name a metric" : offered}`,
  };
}
