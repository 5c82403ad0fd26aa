/**
 * What a query gives at one target, and several targets' results as one.
 *
 * @module
 */
import { bucketLayoutsMax, quantileSamplesLeast } from "#core/limits.ts";
import { type Bucket, bucketQuantile } from "./quantile.ts";

/**
 * Why there is no value:
 * - `pending`: it comes with one of the next scrapes
 * - `no-samples`: too few events for a mean or a quantile
 * - `lacking`: the page lacks it: this version, or as it was started, or not yet
 * - `not-exported`: the engine does not have it, in any version
 * - `refused`: there is a number, but it would be another's or count something twice
 */
export type NoValueReason = "pending" | "no-samples" | "lacking" | "not-exported" | "refused";

interface BucketObservations {
  readonly kind: "buckets";
  readonly q: number;
  readonly scale: number;
  readonly buckets: readonly Bucket[];
}
interface MeanObservations {
  readonly kind: "mean";
  readonly sum: number;
  readonly count: number;
  readonly scale: number;
}
/** What a value was made of, so that those of several targets can be put together. */
export type Observations = BucketObservations | MeanObservations;

/** Why a latency is not from observations: nothing is there to wait, or nothing gets through. */
export type QueueState = "idle" | "stalled";

export interface NoValue {
  readonly reason: NoValueReason;
  readonly why: string;
}

/** A value in the signal's unit, or why there is none. Never 0 for what is not known. */
export type SignalResult = {
  readonly observations?: Observations | undefined;
} & ({ readonly value: number; readonly queueState?: QueueState | undefined } | NoValue);

/** The mean, if anything was counted. */
export function meanResult(counted: Omit<MeanObservations, "kind">): SignalResult {
  const { sum, count, scale } = counted;
  const observations: Observations = { kind: "mean", ...counted };
  return count > 0
    ? { value: (sum / count) * scale, observations }
    : { reason: "no-samples", why: "nothing was counted in the window", observations };
}

/** The quantile, if there are enough observations for it. */
export function quantileResult(counted: Omit<BucketObservations, "kind">): SignalResult {
  const { q, buckets, scale } = counted;
  const observations: Observations = { kind: "buckets", ...counted };
  const least = quantileSamplesLeast.find((row) => q >= row.q)?.samples ?? 1;
  const samples = buckets.find(({ le }) => le === Infinity)?.count ?? 0;
  const value = bucketQuantile(q, buckets);
  const why = `${Math.floor(samples)} requests in the window, ${least} needed`;
  // At the window's edge requests count in parts, whose sum is not exact.
  return samples + 1e-9 >= least && value !== undefined
    ? { value: value * scale, observations }
    : { reason: "no-samples", why, observations };
}

/**
 * One value for several targets: the quantile of all their observations, or what all of them counted
 * for each event. Quantiles of targets must not be averaged, and nor are ratios of unequal parts.
 *
 * Targets that are stalled have no observations to add; their wait is a lower bound of the answer.
 * Idle ones add nothing.
 *
 * @param results Of the same query at each target.
 * @returns `undefined` when the signal is not made of observations, and replicas are to be reduced
 *   one by one. `refused` when only some are, or not of one kind: none may be left out of a value.
 */
export function mergedResult(results: readonly SignalResult[]): SignalResult | undefined {
  if (!areAlike(results)) {
    const why = "some engines give no observations, or others than the rest";
    return { reason: "refused", why };
  }
  const merged = mergedObservations(results.flatMap(({ observations }) => observations ?? []));
  const waits = results.flatMap((result) =>
    "value" in result && result.queueState !== undefined ? [result.value] : [],
  );
  if (waits.length === 0) return merged;
  const longest = Math.max(...waits);
  if (merged === undefined) return { value: longest, queueState: longest > 0 ? "stalled" : "idle" };
  if (longest === 0) return merged;
  return "value" in merged && merged.value >= longest
    ? merged
    : { value: longest, queueState: "stalled" };
}

/** Whether all values are made of observations, and of the same kind of them, or none is. */
function areAlike(results: readonly SignalResult[]): boolean {
  const kinds = new Set(results.flatMap(({ observations }) => observations?.kind ?? []));
  const values = results.filter((result) => "value" in result);
  const made = values.filter(
    ({ observations, queueState }) => observations !== undefined || queueState !== undefined,
  );
  const isNone = made.length === 0 && kinds.size === 0;
  return isNone || (kinds.size <= 1 && made.length === values.length);
}

function mergedObservations(observations: readonly Observations[]): SignalResult | undefined {
  const [first] = observations;
  if (first === undefined) return undefined;
  // Scales differ where engines count in different units.
  if (first.kind === "mean") {
    const means = observations.filter((one) => one.kind === "mean");
    const sum = means.reduce((total, one) => total + one.sum * one.scale, 0);
    const count = means.reduce((total, one) => total + one.count, 0);
    return meanResult({ sum, count, scale: 1 });
  }
  const { q, scale } = first;
  const histograms = observations
    .filter((one) => one.kind === "buckets")
    .map((one) => one.buckets.map(({ le, count }) => ({ le: (le * one.scale) / scale, count })));
  return mergedQuantile({ q, scale, histograms });
}

interface Histograms extends Omit<BucketObservations, "kind" | "buckets"> {
  readonly histograms: readonly (readonly Bucket[])[];
}

/**
 * The quantile of several histograms' observations, over the bounds that any of them has. One that lacks
 * a bound has its observations spread evenly inside the bucket around it, as `bucketQuantile` takes
 * them to be; what lies above its last finite bound is taken for below the next one that another has,
 * or the quantile would be the highest bound of all, of which its own engine knows nothing.
 */
export function mergedQuantile({ q, scale, histograms }: Histograms): SignalResult {
  const layouts = summedLayouts(
    histograms
      .filter((buckets) => buckets.some(({ count }) => count > 0))
      .map((buckets) => buckets.toSorted((one, other) => one.le - other.le)),
  );
  if (layouts.length > bucketLayoutsMax) {
    const why = `its buckets have ${layouts.length} different sets of bounds, and at most ${bucketLayoutsMax} are put together; choose among them with engineLabels`;
    return { reason: "refused", why };
  }
  const bounds = [...new Set(layouts.flatMap((buckets) => buckets.map(({ le }) => le)))];
  bounds.sort((one, other) => one - other);
  const counts = layouts.map((buckets) => countsBelow(buckets, bounds));
  const buckets = bounds.map((le, at) => ({
    le,
    count: counts.reduce((total, ofLayout) => total + (ofLayout[at] ?? 0), 0),
  }));
  return quantileResult({ q, scale, buckets });
}

/** Histograms with the same bounds as one: most pages and replicas have one set of them. */
function summedLayouts(histograms: readonly (readonly Bucket[])[]): readonly (readonly Bucket[])[] {
  const alike = Map.groupBy(histograms, (buckets) => buckets.map(({ le }) => le).join(" "));
  return [...alike.values()].map(([first = [], ...more]) =>
    first.map(({ le, count }, at) => ({
      le,
      count: more.reduce((total, buckets) => total + (buckets[at]?.count ?? 0), count),
    })),
  );
}

/**
 * @param buckets Ascending, as `bounds` are.
 * @returns For each bound the observations that are at most that.
 */
function countsBelow(buckets: readonly Bucket[], bounds: readonly number[]): readonly number[] {
  let at = 0;
  return bounds.map((le) => {
    while (at < buckets.length - 1 && (buckets[at]?.le ?? le) < le) at += 1;
    return countBelow(le, buckets[at], buckets[at - 1]);
  });
}

/** @param above The first bucket that is not below `le`, or the last one. */
function countBelow(le: number, above: Bucket | undefined, before: Bucket | undefined): number {
  if (above === undefined) return 0;
  if (above.le <= le) return above.count;
  if (above.le === Infinity) return before === undefined ? 0 : above.count;
  const below = before ?? { le: Math.min(0, le), count: 0 };
  if (above.le <= below.le) return below.count;
  return below.count + ((le - below.le) / (above.le - below.le)) * (above.count - below.count);
}
