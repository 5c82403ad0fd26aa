/**
 * What a scraper makes of an engine's history: the catalogue's signals, over their windows.
 *
 * @module
 */
import {
  counterWindowMs,
  engineIntervalMs,
  quantileSamplesLeast,
  widestWindowMs,
} from "#core/limits.ts";
import type { SignalName } from "#metric/catalogue.ts";
import {
  column,
  type EngineHistory,
  endToEndEdges,
  firstTokenEdges,
  type HistoryColumn,
} from "./history.ts";

export type WindowedSignal =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "mean"; readonly sumMs: number; readonly count: number }
  | {
      readonly kind: "quantile";
      readonly q: number;
      /** Cumulative, by upper bound in seconds; the last is infinite. */
      readonly buckets: readonly { readonly le: number; readonly count: number }[];
    }
  /** It takes another scrape. */
  | { readonly kind: "pending" };

/** Reads one signal over a window that ends with the newest scrape; 0 is the signal's own. */
export type ReadSignal = (scrapes: Scrapes, windowMs: number) => WindowedSignal;

/** The scrapes of a history that one scaler has seen. */
export interface Scrapes {
  readonly history: EngineHistory;
  /** How many of the newest. */
  readonly count: number;
}

/** How many scrapes back a window reaches. */
function reach({ history, count }: Scrapes, windowMs: number): number {
  const fromMs = history.atMs(0) - windowMs;
  let back = 0;
  while (back + 1 < count && history.atMs(back + 1) >= fromMs) back += 1;
  return back;
}

function gauge(of: (scrapes: EngineHistory, back: number) => number): ReadSignal {
  return (scrapes, windowMs) => {
    const back = windowMs === 0 ? 0 : reach(scrapes, windowMs);
    let sum = 0;
    for (let at = 0; at <= back; at += 1) sum += of(scrapes.history, at);
    return { kind: "number", value: sum / (back + 1) };
  };
}

/** At least two scrapes apart. */
function counterWindow(windowMs: number): number {
  return Math.max(windowMs === 0 ? counterWindowMs : windowMs, 2 * engineIntervalMs);
}

function increase({ history }: Scrapes, at: number, back: number): number {
  return history.value(0, at) - history.value(back, at);
}

function rate(at: HistoryColumn): ReadSignal {
  return (scrapes, windowMs) => {
    const back = reach(scrapes, counterWindow(windowMs));
    if (back === 0) return { kind: "pending" };
    const elapsedMs = scrapes.history.atMs(0) - scrapes.history.atMs(back);
    return { kind: "number", value: (increase(scrapes, at, back) / elapsedMs) * 1000 };
  };
}

function mean(sum: HistoryColumn, count: HistoryColumn): ReadSignal {
  return (scrapes, windowMs) => {
    const back = reach(scrapes, counterWindow(windowMs));
    if (back === 0) return { kind: "pending" };
    return {
      kind: "mean",
      sumMs: increase(scrapes, sum, back),
      count: increase(scrapes, count, back),
    };
  };
}

function quantile(q: number, from: HistoryColumn, edges: readonly number[]): ReadSignal {
  const least = quantileSamplesLeast.find((row) => q >= row.q)?.samples ?? 1;
  const bounds = [...edges, Number.POSITIVE_INFINITY];
  const samples = (scrapes: Scrapes, back: number) => {
    let count = 0;
    for (let at = from; at < from + bounds.length; at += 1) count += increase(scrapes, at, back);
    return count;
  };
  return (scrapes, windowMs) => {
    let wideMs = counterWindow(windowMs);
    let back = reach(scrapes, wideMs);
    while (back > 0 && wideMs < widestWindowMs && samples(scrapes, back) < least) {
      wideMs = Math.min(2 * wideMs, widestWindowMs);
      back = reach(scrapes, wideMs);
    }
    if (back === 0) return { kind: "pending" };
    let count = 0;
    const buckets = bounds.map((le, index) => {
      count += increase(scrapes, from + index, back);
      return { le, count };
    });
    return { kind: "quantile", q, buckets };
  };
}

const waiting = gauge((history, back) => history.value(back, column.waiting));
const running = gauge((history, back) => history.value(back, column.running));
const concurrency = gauge(
  (history, back) => history.value(back, column.waiting) + history.value(back, column.running),
);
const firstToken = (q: number) => quantile(q, column.firstToken, firstTokenEdges);

export const engineSignals: { readonly [Name in SignalName]?: ReadSignal } = {
  queue_depth: waiting,
  running_requests: running,
  concurrency,
  kv_cache_usage: gauge((history, back) => 100 * history.value(back, column.kvShare)),
  ttft_p50_ms: firstToken(0.5),
  ttft_p95_ms: firstToken(0.95),
  ttft_p99_ms: firstToken(0.99),
  e2e_p95_ms: quantile(0.95, column.endToEnd, endToEndEdges),
  queue_wait_ms: mean(column.queueWait, column.admitted),
  request_rate: rate(column.finished),
  generation_tokens_per_second: rate(column.outputTokens),
  prompt_tokens_per_second: rate(column.promptTokens),
};

/** What a gateway tells: it counts requests when they come. */
export const frontEndSignals: { readonly [Name in SignalName]?: ReadSignal } = {
  queue_depth: waiting,
  running_requests: running,
  concurrency,
  request_rate: rate(column.arrived),
};

/**
 * For how long requests have waited without a pause, as far back as scrapes are kept; 0 while none
 * does.
 */
export function waitingMs({ history, count }: Scrapes): number {
  let back = 0;
  while (back < count && history.value(back, column.waiting) > 0) back += 1;
  return back === 0 ? 0 : history.atMs(0) - history.atMs(back - 1);
}

export function isIdle({ history }: Scrapes): boolean {
  return history.value(0, column.waiting) === 0 && history.value(0, column.running) === 0;
}
