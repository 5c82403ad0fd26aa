/**
 * How a signal is made from the names on a page. Adapters are written in these terms; `evaluate`
 * reads them.
 *
 * @module
 */

import type { Labels } from "#engine/page/series.ts";
import type { SignalName } from "#metric/catalogue.ts";

/**
 * The exporter makes the series at its first event, so on a page of this engine its absence means
 * that nothing has happened yet:
 * - with `until`, only as long as the page lacks those names too: after that it is not exported
 * - with `given`, only if the page has that name: what is absent with it is another engine's
 */
type Lazy = true | { readonly until: readonly string[] } | { readonly given: string };

interface Choice {
  /** Canonical names; the first that the newest page has is used. */
  readonly names: readonly string[];
  /** Only series whose labels pass are added up. */
  readonly where?: (labels: Labels) => boolean;
  readonly lazy?: Lazy | undefined;
}
/** A value of now. */
export interface Gauge extends Choice {
  readonly kind: "gauge";
  /** Counts are summed over engines, ranks and models; fractions are averaged. */
  readonly reduce: "sum" | "mean" | "max";
  readonly scale: number;
}
/** What a counter gains in a second. */
export interface Rate extends Choice {
  readonly kind: "rate";
}
/** A quantile of a histogram over the window. */
export interface Quantile extends Choice {
  readonly kind: "quantile";
  readonly q: number;
  readonly scale: number;
}
/** What one counter gained for each event that another counted. */
export interface Average extends Choice {
  readonly kind: "average";
  /** The counter of events for each of `names`. */
  readonly counts: readonly string[];
  readonly scale: number;
}
/** One gauge as a share of another. */
export interface Ratio extends Choice {
  readonly kind: "ratio";
  readonly whole: string;
  readonly scale: number;
}
/** A sum; an optional part that is absent adds nothing. */
export interface Plus {
  readonly kind: "plus";
  readonly parts: readonly (Gauge | Rate)[];
  readonly optional: readonly (Gauge | Rate)[];
}
export type Term = Gauge | Rate | Quantile | Average | Ratio | Plus;

/** Ways to make a signal, in the order to try. */
export type SignalTerms = { readonly [Signal in SignalName]?: readonly Term[] };

type Names = string | readonly string[];
type Options = Pick<Choice, "where" | "lazy">;
const list = (names: Names): readonly string[] => (typeof names === "string" ? [names] : names);

export function gauge(names: Names, options: Options = {}): Gauge {
  return { kind: "gauge", names: list(names), reduce: "sum", scale: 1, ...options };
}

/** A fraction from 0 to 1, which engines like to call "perc", as a percentage. */
export function fraction(names: Names, options: Options = {}): Gauge {
  return { kind: "gauge", names: list(names), reduce: "mean", scale: 100, ...options };
}

/** @param names Without `_total`: both spellings are tried. */
export function rate(names: Names, options: Options = {}): Rate {
  const spelled = list(names).flatMap((name) => [`${name}_total`, name]);
  return { kind: "rate", names: spelled, ...options };
}

export function ratio(part: string, whole: string, options: Options = {}): Ratio {
  return { kind: "ratio", names: [part], whole, scale: 100, ...options };
}

export function plus(
  parts: readonly (Gauge | Rate)[],
  optional: readonly (Gauge | Rate)[] = [],
): Plus {
  return { kind: "plus", parts, optional };
}

/** Histograms by what they measure, each with its older names behind it. */
export interface LatencyNames {
  readonly ttft?: Names;
  readonly interToken?: Names;
  readonly e2e?: Names;
  readonly queue?: Names;
}

/**
 * All latency signals that these histograms give, in milliseconds.
 *
 * @param unitMs What the histograms count in: 1000 for seconds.
 */
export function latencies(
  { ttft, interToken, e2e, queue }: LatencyNames,
  unitMs = 1000,
  options: Options = {},
): SignalTerms {
  const quantile = (names: Names, q: number): Quantile => ({
    kind: "quantile",
    names: list(names),
    q,
    scale: unitMs,
    ...options,
  });
  return {
    ...(ttft && {
      ttft_p50_ms: [quantile(ttft, 0.5)],
      ttft_p95_ms: [quantile(ttft, 0.95)],
      ttft_p99_ms: [quantile(ttft, 0.99)],
    }),
    ...(interToken && { inter_token_p95_ms: [quantile(interToken, 0.95)] }),
    ...(e2e && { e2e_p95_ms: [quantile(e2e, 0.95)] }),
    ...(queue && { queue_wait_ms: [histogramMean(queue, unitMs, options)] }),
  };
}

function histogramMean(names: Names, scale: number, options: Options): Average {
  const bases = list(names);
  return {
    kind: "average",
    names: bases.map((name) => `${name}_sum`),
    counts: bases.map((name) => `${name}_count`),
    scale,
    ...options,
  };
}

/** Both sets of signals: where both make one, the ways of `first` are tried first. */
export function either(first: SignalTerms, second: SignalTerms): SignalTerms {
  const merged: { [Signal in SignalName]?: readonly Term[] } = { ...first };
  for (const signal of Object.keys(second) as SignalName[])
    merged[signal] = [...(first[signal] ?? []), ...(second[signal] ?? [])];
  return merged;
}

/** For pages where a signal's absence can also mean another engine. */
export function eager(signals: SignalTerms): SignalTerms {
  return Object.fromEntries(
    Object.entries(signals).map(([signal, terms]) => [signal, terms.map(withoutLazy)]),
  );
}

function withoutLazy<One extends Term>(term: One): One {
  if (term.kind !== "plus") return { ...term, lazy: undefined };
  return { ...term, parts: term.parts.map(withoutLazy), optional: term.optional.map(withoutLazy) };
}

/** Every sample name that a term reads. */
export function namesOf(term: Term): readonly string[] {
  switch (term.kind) {
    case "gauge":
    case "rate":
      return [...term.names, ...proofOf(term)];
    case "ratio":
      return [...term.names, term.whole, ...proofOf(term)];
    case "average":
      return [...term.names, ...term.counts, ...proofOf(term)];
    case "quantile":
      return [...term.names.map((name) => `${name}_bucket`), ...proofOf(term)];
    case "plus":
      return [...term.parts, ...term.optional].flatMap(namesOf);
  }
}

/** The names that tell a lazy absence from a real one. */
function proofOf({ lazy }: Choice): readonly string[] {
  if (typeof lazy !== "object") return [];
  return "given" in lazy ? [lazy.given] : lazy.until;
}

/** Waiting and running together, for engines that tell both apart. */
export function concurrencyOf(waiting: Gauge | Plus, running: Gauge): Plus {
  return waiting.kind === "plus"
    ? plus([...waiting.parts, running], waiting.optional)
    : plus([waiting, running]);
}
