/**
 * Who asks, and when: arrivals after a rate over time, or out of a trace.
 *
 * @module
 */
import { loadIdleStepMs } from "#core/limits.ts";
import { type Random, randomStream } from "./random.ts";
import type { Load, LoadRate, RatePoint, TokenCount, Trace } from "./scenario.ts";

/** The next request. One object is moved on in place, because there are millions. */
export interface Arrivals {
  /** From the start; infinite after the last. */
  atMs: number;
  promptTokens: number;
  outputTokens: number;
  readonly advance: () => void;
}

/**
 * @param untilMs No request comes after it.
 */
export function arrivals(load: Load, seed: number, untilMs: number): Arrivals {
  return "trace" in load ? fromTrace(load.trace) : fromRate(load, seed, untilMs);
}

/** The first of those that `next` moves on to. */
function firstOf(next: (arrival: Arrivals) => void): Arrivals {
  const arrival: Arrivals = {
    atMs: 0,
    promptTokens: 0,
    outputTokens: 0,
    advance: () => next(arrival),
  };
  arrival.advance();
  return arrival;
}

function fromTrace({ atMs, promptTokens, outputTokens }: Trace): Arrivals {
  let index = 0;
  return firstOf((arrival) => {
    arrival.atMs = atMs[index] ?? Number.POSITIVE_INFINITY;
    arrival.promptTokens = promptTokens[index] ?? 0;
    arrival.outputTokens = outputTokens[index] ?? 0;
    index += 1;
  });
}

function fromRate(
  load: Extract<Load, { rate: LoadRate }>,
  seed: number,
  untilMs: number,
): Arrivals {
  const { rate, arrivals: spacing = "poisson", promptTokens = 500, outputTokens = 200 } = load;
  const prompt = drawn(promptTokens, randomStream(seed, "prompt tokens"));
  const output = drawn(outputTokens, randomStream(seed, "output tokens"));
  const after =
    spacing === "even"
      ? evenly(rate, untilMs)
      : randomly(rate, untilMs, randomStream(seed, "arrivals"));
  return firstOf((arrival) => {
    arrival.atMs = after(arrival.atMs);
    arrival.promptTokens = prompt();
    arrival.outputTokens = output();
  });
}

/** The 95th percentile of a normal distribution is this many deviations from its mean. */
const deviationsOfP95 = 1.645;

function drawn(tokens: TokenCount, random: Random): () => number {
  if (typeof tokens === "number") return () => tokens;
  const { p50, p95 } = tokens;
  const deviation = Math.log(p95 / p50) / deviationsOfP95;
  return () => Math.max(1, Math.round(p50 * Math.exp(deviation * random.normal())));
}

function evenly(rate: LoadRate, untilMs: number): (fromMs: number) => number {
  return (fromMs) => {
    for (let atMs = fromMs; atMs < untilMs; atMs += loadIdleStepMs) {
      const perSecond = rateAt(rate, atMs / 1000);
      if (perSecond > 0) return atMs + 1000 / perSecond;
    }
    return Number.POSITIVE_INFINITY;
  };
}

/** By thinning: candidates come at the highest rate there ever is, and stay as the rate of now is. */
function randomly(rate: LoadRate, untilMs: number, random: Random): (fromMs: number) => number {
  const highest = highestRate(rate);
  if (highest <= 0) return () => Number.POSITIVE_INFINITY;
  const gapMs = 1000 / highest;
  return (fromMs) => {
    for (let atMs = fromMs; atMs < untilMs; ) {
      atMs += random.exponential(gapMs);
      if (random.next() * highest < rateAt(rate, atMs / 1000)) return atMs;
    }
    return Number.POSITIVE_INFINITY;
  };
}

/** Requests a second at a time. */
export function rateAt(rate: LoadRate, second: number): number {
  switch (rate.kind) {
    case "constant":
      return rate.perSecond;
    case "steps":
      return rate.steps.findLast(({ atSecond }) => atSecond <= second)?.perSecond ?? 0;
    case "ramps":
      return between(rate.points, second);
    case "bursts":
      return second % rate.everySeconds < rate.burstSeconds ? rate.burstPerSecond : rate.perSecond;
    case "sine": {
      const phase = (2 * Math.PI * second) / rate.periodSeconds;
      return Math.max(0, rate.meanPerSecond + rate.amplitudePerSecond * Math.sin(phase));
    }
  }
}

function between(points: readonly RatePoint[], second: number): number {
  const next = points.findIndex(({ atSecond }) => atSecond > second);
  const after = points[next];
  const before = next === -1 ? points.at(-1) : points[next - 1];
  if (before === undefined || after === undefined) return (before ?? after)?.perSecond ?? 0;
  const share = (second - before.atSecond) / (after.atSecond - before.atSecond);
  return before.perSecond + (after.perSecond - before.perSecond) * share;
}

function highestRate(rate: LoadRate): number {
  switch (rate.kind) {
    case "constant":
      return rate.perSecond;
    case "steps":
      return Math.max(0, ...rate.steps.map(({ perSecond }) => perSecond));
    case "ramps":
      return Math.max(0, ...rate.points.map(({ perSecond }) => perSecond));
    case "bursts":
      return Math.max(rate.perSecond, rate.burstPerSecond);
    case "sine":
      return rate.meanPerSecond + Math.abs(rate.amplitudePerSecond);
  }
}
