/** Cumulative counts: how many observations were at most `le`. */
export interface Bucket {
  readonly le: number;
  readonly count: number;
}

/** Relative differences below this come from adding floating-point numbers, not from the data. */
const precision = 1e-12;

/**
 * The value below which a share `q` of the observations lies, as Prometheus'
 * `histogram_quantile` computes it for classic buckets: linear inside a bucket, from 0 in a first
 * bucket with a positive bound, and never above the highest finite bound.
 *
 * Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
 *
 * @param buckets In any order; equal bounds are added up.
 * @returns `undefined` where Prometheus says NaN: no observation, fewer than two buckets, or no
 *   bucket for +Inf. -Infinity and +Infinity for a `q` below 0 and above 1.
 */
export function bucketQuantile(q: number, buckets: readonly Bucket[]): number | undefined {
  if (Number.isNaN(q)) return undefined;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  const ascending = monotonic(coalesced(buckets));
  const last = ascending.at(-1);
  const beforeLast = ascending.at(-2);
  if (last === undefined || beforeLast === undefined) return undefined;
  if (last.le !== Infinity || !(last.count > 0)) return undefined;

  const rank = q * last.count;
  const at = ascending.findIndex(({ count }) => count >= rank);
  const bucket = ascending[at];
  if (bucket === undefined || bucket === last) return beforeLast.le;
  const below = ascending[at - 1];
  if (below === undefined && bucket.le <= 0) return bucket.le;
  const start = below?.le ?? 0;
  const startCount = below?.count ?? 0;
  return start + (bucket.le - start) * ((rank - startCount) / (bucket.count - startCount));
}

function coalesced(buckets: readonly Bucket[]): readonly Bucket[] {
  const counts = new Map<number, number>();
  for (const { le, count } of buckets) counts.set(le, (counts.get(le) ?? 0) + count);
  return [...counts].map(([le, count]) => ({ le, count })).sort((one, other) => one.le - other.le);
}

/** A count below the one before it is impossible: scrapes are not atomic, sums are not exact. */
function monotonic(buckets: readonly Bucket[]): readonly Bucket[] {
  let reached = Number.NEGATIVE_INFINITY;
  return buckets.map(({ le, count }) => {
    const isSame = Math.abs(count - reached) / count <= precision;
    if (!isSame && count > reached) reached = count;
    return { le, count: reached };
  });
}
