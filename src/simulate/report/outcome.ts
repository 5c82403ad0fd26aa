/**
 * What a run comes to, in the numbers that people choose by.
 *
 * A request without a first token at the end counts with the time that it has waited until then: at
 * least as long it takes. Left out, the worst of all would be the ones that nobody sees.
 *
 * @module
 */
import type { Percentiles, Run } from "#simulate/run.ts";

export interface Outcome {
  readonly requests: number;
  /** Without a first token at the end. */
  readonly unserved: number;
  /** Absent where there was no request. */
  readonly waitMs: Percentiles | undefined;
  readonly firstTokenMs: Percentiles | undefined;
  /** Of the requests whose first token came, or should have come, within the limit; percent. */
  readonly withinPercent: number | undefined;
  readonly gpuHours: number;
  /** In the currency of the price; absent without a price. */
  readonly cost: number | undefined;
  /** Changes of the replicas. */
  readonly scaleUps: number;
  readonly scaleDowns: number;
  readonly replicasMean: number;
  readonly replicasMax: number;
  readonly zeroSeconds: number;
  /** Requests that came while no replica was ready. */
  readonly coldStarts: number;
  /** Requests that lost their replica and began anew. */
  readonly interrupted: number;
  /** Syncs of the HPA, and those of them for which a trigger had no value. */
  readonly syncs: number;
  readonly syncsWithoutValue: number;
  /** Why the first of them had none. */
  readonly error: string | undefined;
}

export interface OutcomeOptions {
  /** Limit for the first token. */
  readonly withinMs: number;
  readonly gpuHourPrice?: number | undefined;
}

export function outcomeOf(run: Run, { withinMs, gpuHourPrice }: OutcomeOptions): Outcome {
  const { requests, events, decisions } = run;
  const endMs = run.seconds * 1000;
  const firstTokens = orAge(requests.firstTokensMs, requests.arrivedMs, endMs);
  const gpuHours = run.gpuSeconds / 3600;
  const errors = decisions.flatMap(({ answers }) =>
    answers.flatMap((answer) => ("error" in answer ? [answer.error] : [])).slice(0, 1),
  );
  return {
    requests: requests.count,
    unserved: requests.firstTokensMs.filter(Number.isNaN).length,
    waitMs: percentilesOf(orAge(requests.waitsMs, requests.arrivedMs, endMs)),
    firstTokenMs: percentilesOf(firstTokens),
    withinPercent: withinPercent(requests.firstTokensMs, firstTokens, withinMs),
    gpuHours,
    cost: gpuHourPrice === undefined ? undefined : gpuHours * gpuHourPrice,
    scaleUps: events.filter(({ from, to }) => to > from).length,
    scaleDowns: events.filter(({ from, to }) => to < from).length,
    ...replicasOf(run),
    zeroSeconds: run.zeroSeconds,
    coldStarts: requests.coldStarts,
    interrupted: requests.interrupted,
    syncs: decisions.length,
    syncsWithoutValue: errors.length,
    error: errors[0],
  };
}

function orAge(ms: Float64Array, arrivedMs: Float64Array, endMs: number): Float64Array {
  return ms.map((one, request) => (Number.isNaN(one) ? endMs - (arrivedMs[request] ?? 0) : one));
}

function percentilesOf(all: Float64Array): Percentiles | undefined {
  const sorted = all.toSorted();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  const [p50, p95, p99] = [at(0.5), at(0.95), at(0.99)];
  if (p50 === undefined || p95 === undefined || p99 === undefined) return undefined;
  return { p50, p95, p99 };
}

/** Requests that came too late for the limit to pass before the end say nothing. */
function withinPercent(
  firstTokensMs: Float64Array,
  orAgesMs: Float64Array,
  withinMs: number,
): number | undefined {
  let [within, known] = [0, 0];
  for (const [request, ms] of orAgesMs.entries()) {
    if (Number.isNaN(firstTokensMs[request]) && ms <= withinMs) continue;
    known += 1;
    if (ms <= withinMs) within += 1;
  }
  return known === 0 ? undefined : (100 * within) / known;
}

function replicasOf({ timeline, seconds }: Run): Pick<Outcome, "replicasMean" | "replicasMax"> {
  let replicaMs = 0;
  let replicasMax = 0;
  for (const [index, { atMs, statusReplicas }] of timeline.entries()) {
    const fromMs = index === 0 ? 0 : atMs;
    replicaMs += statusReplicas * ((timeline[index + 1]?.atMs ?? seconds * 1000) - fromMs);
    replicasMax = Math.max(replicasMax, statusReplicas);
  }
  return { replicasMean: replicaMs / (seconds * 1000), replicasMax };
}
