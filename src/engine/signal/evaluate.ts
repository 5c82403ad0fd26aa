/**
 * From the scrapes of one target to the number that was asked for. Pure.
 *
 * @module
 */

import type { Series } from "#engine/page/series.ts";
import { type SignalQuery, signalText } from "./ask.ts";
import { type Scrape, valueIn, windowOf } from "./history.ts";
import { histogramIncrease, increase, type Span, spanOf } from "./increase.ts";
import { type Bucket, bucketQuantile } from "./quantile.ts";
import { refusalOf } from "./refusal.ts";
import {
  type Eye,
  gaugeSeries,
  isPresent,
  isZero,
  nameOnPage,
  notFound,
  pairOf,
  type Scene,
  seriesOf,
} from "./scene.ts";
import {
  type Average,
  type Gauge,
  namesOf,
  type Plus,
  type Quantile,
  type Rate,
  type Ratio,
  type Term,
} from "./term.ts";

/**
 * Why there is no value:
 * - `pending`: rates need a second scrape
 * - `no-samples`: too few events for a mean or a quantile
 * - `not-exported`: the engine, in this version or as it was started, does not have it
 * - `refused`: there is a number, but it would be another's or count something twice
 */
export type NoValueReason = "pending" | "no-samples" | "not-exported" | "refused";

/** What a value was made of, so that those of several targets can be put together. */
export type Observations =
  | {
      readonly kind: "buckets";
      readonly q: number;
      readonly scale: number;
      readonly buckets: readonly Bucket[];
    }
  | { readonly kind: "mean"; readonly sum: number; readonly count: number; readonly scale: number };

export type SignalResult =
  | { readonly value: number; readonly parts?: Observations; readonly stand?: QueueState }
  | { readonly reason: NoValueReason; readonly why: string; readonly parts?: Observations };

/** Why a latency is not from observations: nothing is there to wait, or nothing gets through. */
export type QueueState = "idle" | "stalled";

/** Fewer observations than these make a quantile that is one request's luck. */
const samplesLeast = [
  { q: 0.99, samples: 100 },
  { q: 0.95, samples: 20 },
  { q: 0, samples: 5 },
] as const;
/** A window with too few observations is widened up to this. */
export const widestWindowMs = 300_000;
/** Of counters, where the ask says none. */
export const defaultWindowMs = 60_000;

/**
 * @param terms The ways to make the signal; the first whose names the newest page has is used.
 * @returns The value in the signal's unit, or why there is none. Never 0 for what is not known.
 */
export function evaluate(scene: Scene, ask: SignalQuery, terms: readonly Term[]): SignalResult {
  const newest = scene.history.scrapes.at(-1);
  if (newest === undefined) return { reason: "pending", why: "no scrape yet" };
  if (!terms.flatMap(namesOf).every((name) => newest.wanted.has(name)))
    return { reason: "pending", why: "it was not looked for yet" };
  const refusal = refusalOf(scene, ask, terms, newest);
  if (refusal !== undefined) return { reason: "refused", why: refusal };
  const eye: Eye = { ...scene, ask, newest };
  const present =
    terms.find((term) => isPresent(eye, term)) ?? terms.find((term) => isZero(eye, term));
  if (present === undefined) return { reason: "not-exported", why: notFound(eye, terms) };
  return checked(termValue(eye, present), signalText(ask));
}

/** Counts, shares and times are never negative and always finite. */
function checked(outcome: SignalResult, signal: string): SignalResult {
  return "value" in outcome && !(outcome.value >= 0 && Number.isFinite(outcome.value))
    ? { reason: "no-samples", why: `its ${signal} is ${outcome.value}, which cannot be` }
    : outcome;
}

function termValue(eye: Eye, term: Term): SignalResult {
  switch (term.kind) {
    case "gauge":
      return gaugeValue(eye, term);
    case "rate":
      return rateValue(eye, term);
    case "ratio":
      return ratioValue(eye, term);
    case "average":
      return averageValue(eye, term);
    case "quantile":
      return quantileValue(eye, term);
    case "plus":
      return plusValue(eye, term);
  }
}

function gaugeValue(eye: Eye, term: Gauge): SignalResult {
  const series = newestCopies(eye, gaugeSeries(eye, term));
  const { windowMs } = eye.ask;
  const scrapes = windowMs === 0 ? [eye.newest] : windowOf(eye.history, windowMs, 0);
  const values = scrapes.flatMap((scrape) => reduced(term, scrape, series) ?? []);
  // Scrapes are evenly apart, so that their plain mean is the mean over time.
  const sum = values.reduce((total, value) => total + value, 0);
  return { value: values.length === 0 ? 0 : (sum / values.length) * term.scale };
}

/** @returns `undefined` when the scrape has none of the series, and that does not mean 0. */
function reduced(
  { reduce, lazy }: Gauge,
  scrape: Scrape,
  series: readonly Series[],
): number | undefined {
  const values = series.flatMap((one) => valueIn(scrape, one) ?? []);
  if (values.length === 0) return lazy === undefined ? undefined : 0;
  if (reduce === "max") return Math.max(...values);
  const sum = values.reduce((total, value) => total + value, 0);
  return reduce === "mean" ? sum / values.length : sum;
}

/** Of gauges that several processes print, the newest process' one. */
function newestCopies({ adapter, newest }: Eye, series: readonly Series[]): readonly Series[] {
  const { copyLabel } = adapter;
  if (copyLabel === undefined) return series;
  const copies = Map.groupBy(
    series.filter((one) => valueIn(newest, one) !== undefined),
    ({ labels }) =>
      JSON.stringify(
        Object.entries(labels)
          .filter(([label]) => label !== copyLabel)
          .sort(),
      ),
  );
  const age = ({ labels }: Series) => Number(labels[copyLabel] ?? 0);
  return [...copies.values()].flatMap((group) =>
    group.toSorted((one, other) => age(other) - age(one)).slice(0, 1),
  );
}

/** The window that counters are read over: at least two intervals, or there are no two scrapes. */
function counterWindowMs({ ask, intervalMs }: Eye): number {
  return Math.max(ask.windowMs === 0 ? defaultWindowMs : ask.windowMs, 2 * intervalMs);
}

function spanFor(eye: Eye, name: string, windowMs: number, isLazy: boolean): Span | undefined {
  return spanOf(windowOf(eye.history, windowMs, eye.intervalMs), name, { windowMs, isLazy });
}

const pending: SignalResult = { reason: "pending", why: "a rate needs two scrapes" };

function rateValue(eye: Eye, term: Rate): SignalResult {
  const name = nameOnPage(eye, term.names);
  const span = spanFor(
    eye,
    name ?? term.names[0] ?? "",
    counterWindowMs(eye),
    term.lazy !== undefined,
  );
  if (span === undefined) return pending;
  if (name === undefined) return { value: 0 };
  return { value: (increase(span, chosen(eye, term, name)) / span.elapsedMs) * 1000 };
}

function chosen(eye: Eye, { where }: Rate | Average | Quantile, name: string): readonly Series[] {
  return seriesOf(eye, name).filter(({ labels }) => where === undefined || where(labels));
}

function ratioValue(eye: Eye, term: Ratio): SignalResult {
  const sum = (name: string) =>
    seriesOf(eye, name).reduce((total, series) => total + (valueIn(eye.newest, series) ?? 0), 0);
  const whole = sum(term.whole);
  return whole > 0
    ? { value: (sum(term.names[0] ?? "") / whole) * term.scale }
    : { reason: "no-samples", why: `its ${term.whole} is ${whole}` };
}

function plusValue(eye: Eye, { parts, optional }: Plus): SignalResult {
  let value = 0;
  for (const part of [...parts, ...optional.filter((one) => isPresent(eye, one))]) {
    const outcome = termValue(eye, part);
    if (!("value" in outcome)) return outcome;
    value += outcome.value;
  }
  return { value };
}

function averageValue(eye: Eye, term: Average): SignalResult {
  const pair = pairOf(eye, term);
  if (pair === undefined) return { reason: "no-samples", why: "nothing was counted yet" };
  const spans = pair.map((name) =>
    spanFor(eye, name, counterWindowMs(eye), term.lazy !== undefined),
  );
  const [sums, counts] = spans;
  if (sums === undefined || counts === undefined) return pending;
  const sum = increase(sums, chosen(eye, term, pair[0]));
  const count = increase(counts, chosen(eye, term, pair[1]));
  return meanOutcome({ kind: "mean", sum, count, scale: term.scale });
}

/** The mean, if anything was counted. */
export function meanOutcome(parts: Extract<Observations, { kind: "mean" }>): SignalResult {
  return parts.count > 0
    ? { value: (parts.sum / parts.count) * parts.scale, parts }
    : { reason: "no-samples", why: "no request finished in the window", parts };
}

/** The quantile, if there are enough observations for it. */
export function bucketsOutcome(parts: Extract<Observations, { kind: "buckets" }>): SignalResult {
  const { q, buckets, scale } = parts;
  const least = samplesLeast.find((row) => q >= row.q)?.samples ?? 1;
  const samples = buckets.find(({ le }) => le === Infinity)?.count ?? 0;
  const value = bucketQuantile(q, buckets);
  return samples >= least && value !== undefined
    ? { value: value * scale, parts }
    : { reason: "no-samples", why: `${samples} requests in the window, ${least} needed`, parts };
}

function quantileValue(eye: Eye, term: Quantile): SignalResult {
  const name = nameOnPage(eye, term.names, "_bucket");
  if (name === undefined) return { reason: "no-samples", why: "nothing was observed yet" };
  const { q, scale } = term;
  for (let windowMs = counterWindowMs(eye); ; windowMs = Math.min(windowMs * 2, widestWindowMs)) {
    const span = spanFor(eye, `${name}_bucket`, windowMs, term.lazy !== undefined);
    if (span === undefined) return pending;
    const buckets = histogramIncrease(span, chosen(eye, term, `${name}_bucket`));
    const outcome = bucketsOutcome({ kind: "buckets", q, scale, buckets });
    if ("value" in outcome || windowMs >= widestWindowMs) return outcome;
  }
}
