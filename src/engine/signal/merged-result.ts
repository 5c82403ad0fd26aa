import { bucketsOutcome, meanOutcome, type Observations, type SignalResult } from "./evaluate.ts";
import { mergedBuckets } from "./increase.ts";

/**
 * One latency for several targets: the quantile of all their observations, or the mean over all
 * their requests. Quantiles of targets must not be averaged.
 *
 * Targets that are stalled have no observations to add; their wait is a lower bound of the answer.
 * Idle ones add nothing.
 *
 * @param outcomes Of the same ask at each target.
 * @returns `undefined` when the signal is not made of observations, and replicas are to be reduced
 *   one by one.
 */
export function mergedResult(outcomes: readonly SignalResult[]): SignalResult | undefined {
  const merged = mergedOutcome(outcomes.flatMap(({ parts }) => parts ?? []));
  const stands = outcomes.flatMap((outcome) =>
    "value" in outcome && outcome.stand !== undefined ? [outcome.value] : [],
  );
  if (stands.length === 0) return merged;
  const slowest = Math.max(...stands);
  if (merged === undefined) return { value: slowest, stand: slowest > 0 ? "stalled" : "idle" };
  if (slowest === 0) return merged;
  return "value" in merged && merged.value >= slowest
    ? merged
    : { value: slowest, stand: "stalled" };
}

function mergedOutcome(parts: readonly Observations[]): SignalResult | undefined {
  const [first] = parts;
  if (first === undefined) return undefined;
  if (first.kind === "mean") {
    const means = parts.filter((part) => part.kind === "mean");
    // Scales differ where engines count in different units.
    const sum = means.reduce((total, one) => total + one.sum * one.scale, 0);
    const count = means.reduce((total, one) => total + one.count, 0);
    return meanOutcome({ kind: "mean", sum, count, scale: 1 });
  }
  const { q, scale } = first;
  const histograms = parts
    .filter((part) => part.kind === "buckets")
    .map((part) => part.buckets.map(({ le, count }) => ({ le: (le * part.scale) / scale, count })));
  return bucketsOutcome({ kind: "buckets", q, scale, buckets: mergedBuckets(histograms) });
}
