/**
 * What engines say of a metric.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import type { ScrapeTarget } from "#engine/scrape/target.ts";
import type { SignalResult } from "#engine/signal/result.ts";
import { metricOf } from "#metric/catalogue.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { Workload, WorkloadView } from "#workload/workload.ts";
import type { WorkloadRef } from "./answer.ts";
import type { EngineReader } from "./engine-reader.ts";
import { endpointTarget, podTarget } from "./engine-target.ts";
import type { EngineShare, MergedReadings } from "./explanation.ts";
import { type EngineQuery, lookUpWorkload, metricQuery } from "./query.ts";
import { type PodResult, replicaReducer } from "./replicas.ts";

/** What one engine says, and what of it stands in an explanation. */
export interface EngineResult {
  readonly reading: EngineReading;
  readonly share: EngineShare;
}

/** @throws {Fault} `overloaded` beyond the limits of the scraper. */
export function engineResult(
  target: ScrapeTarget,
  { signal, activity, purpose }: EngineQuery,
  { read }: Pick<EngineReader, "read">,
): EngineResult {
  const own = read(target, signal);
  const inUse = read(target, activity);
  const reading = purpose === "activity" && isToCome(inUse) ? inUse : own;
  const share = {
    target: reading.target,
    engine: reading.engine,
    ageMs: reading.ageMs,
    observations: reading.observations,
    activity: inUse.state === "known" ? inUse.value : undefined,
  };
  return reading.state === "known"
    ? { reading, share: { ...share, value: reading.value, queueState: reading.queueState } }
    : { reading, share: { ...share, reason: reading.fault.message } };
}

/**
 * @throws {Fault} `signal-unavailable` when no page has the metric; where some have, the others are
 * missing.
 */
export function refuseIfAllLack(readings: readonly EngineReading[]): void {
  const [first] = readings;
  if (first?.state === "absent" && readings.every(lacksMetric)) throw first.fault;
}

/** Whether the engine answers, and does not have what it is asked for. */
function lacksMetric(one: EngineReading): boolean {
  return one.state === "absent" && (one.reason === "lacking" || one.reason === "unavailable");
}

/** Soon it is known whether the engine is in use: until then it is not known to be idle. */
function isToCome(inUse: EngineReading): boolean {
  return inUse.state === "absent" && inUse.reason === "pending";
}

/**
 * The engines' observations as one number, where they are made of observations and it takes all of
 * them: quantiles of replicas must not be averaged, and requests are not spread evenly.
 */
export function mergedReadings(
  readings: readonly EngineReading[],
  { merge }: Pick<EngineReader, "merge">,
): MergedReadings {
  const merged = merge(readings.flatMap((reading) => mergeable(reading) ?? []));
  if (merged === undefined) return {};
  if ("value" in merged) return { value: merged.value };
  return merged.reason === "refused" ? { apart: merged.why } : {};
}

/** What it adds to a merged value: few requests are too few alone, and enough together. */
export function mergeable(reading: EngineReading): SignalResult | undefined {
  if (reading.state === "known") return reading;
  const { reason, observations, fault } = reading;
  return reason === "no-samples" && observations !== undefined
    ? { reason, why: fault.message, observations }
    : undefined;
}

/** Reads the engine of each pod that counts, at the pod's own address. */
export function podEngineResults(
  query: EngineQuery,
  workload: Workload,
  engines: EngineReader,
  nowMs: number,
): readonly PodResult[] {
  const read = workload.pods.map((pod) => {
    const target = pod.state === "counted" ? podTarget(pod, query.trigger, engines) : undefined;
    if (target instanceof Fault) return { pod, refusal: target };
    return { pod, result: target && engineResult(target, query, engines) };
  });
  const readings = read.flatMap(({ result }) => result?.reading ?? []);
  const merged = isMerged(query, workload) ? mergedReadings(readings, engines) : undefined;
  return read.map(({ pod, refusal, result }) =>
    refusal === undefined
      ? podEngineResult(pod, result, merged, nowMs)
      : { pod, state: "unfit", fault: refusal, devices: [] },
  );
}

/** The busiest replica decides on activity, so there each one's own value counts. */
function isMerged({ purpose, row, trigger }: EngineQuery, workload: Workload): boolean {
  return (
    purpose === "value" && row.kind === "intensity" && replicaReducer(trigger, workload) === "avg"
  );
}

/** @param merged Where one number is that of all replicas. */
function podEngineResult(
  pod: Pod,
  result: EngineResult | undefined,
  merged: MergedReadings | undefined,
  nowMs: number,
): PodResult {
  if (pod.state === "warming") return { pod, state: "warming", devices: [] };
  if (result === undefined)
    return { pod, state: "missing", reason: "it has no address yet", devices: [] };
  const { reading, share } = result;
  const base = { pod, devices: [], engine: { ...share, merged, pod: pod.name } };
  if (merged?.value !== undefined && mergeable(reading) !== undefined)
    return { ...base, state: "known", value: merged.value };
  if (reading.state === "known") return { ...base, state: "known", value: reading.value };
  const { fault } = reading;
  if (lacksMetric(reading)) return { ...base, state: "unfit", fault };
  return { ...base, state: "missing", reason: fault.message, sinceMs: lastHeardMs(reading, nowMs) };
}

/** When an engine that is silent was last heard; `undefined` of one that is not silent. */
export function lastHeardMs(reading: EngineReading, nowMs: number): number | undefined {
  return reading.state === "absent" &&
    reading.reason === "unreachable" &&
    reading.ageMs !== undefined
    ? nowMs - reading.ageMs
    : undefined;
}

/** Whether anything that a trigger asks for is read from engines. */
export function readsEngines({ metric, activationMetric }: Trigger): boolean {
  return [metric, activationMetric].some((name) => metricOf(name).source === "engine");
}

export interface NeedsOptions {
  readonly engines: Pick<EngineReader, "read" | "endpointsOf" | "mountedFile" | "podRefusal">;
  readonly workloads?: WorkloadView | undefined;
}

/**
 * Reads everything that an answer for this trigger would, so that it is in memory when somebody
 * asks.
 *
 * @throws {Fault} as the answer would.
 */
export function readNeeds(
  ref: WorkloadRef,
  trigger: Trigger,
  { engines, workloads }: NeedsOptions,
): void {
  const isOne = trigger.metric === trigger.activationMetric;
  const purposes = isOne ? (["value"] as const) : (["value", "activity"] as const);
  const queries = purposes
    .map((purpose) => metricQuery(ref, trigger, purpose))
    .filter((query) => query.source === "engine");
  const [query] = queries;
  if (query === undefined) return;
  // Use is one question, whatever metric asks it.
  const signals = [...queries.map(({ signal }) => signal), query.activity];
  for (const target of targetsOf(ref, trigger, engines, workloads))
    for (const signal of signals) engines.read(target, signal);
}

function targetsOf(
  ref: WorkloadRef,
  trigger: Trigger,
  engines: NeedsOptions["engines"],
  workloads: WorkloadView | undefined,
): readonly ScrapeTarget[] {
  const { endpoint, scope = "workload" } = trigger;
  const { namespace } = ref;
  if (endpoint !== undefined)
    return engines
      .endpointsOf(endpoint, namespace)
      .map((one) => endpointTarget(one, namespace, trigger, engines));
  if (workloads === undefined || scope !== "workload") return [];
  return lookUpWorkload({ ref, trigger }, workloads).pods.flatMap((pod) => {
    const target = pod.state === "counted" ? podTarget(pod, trigger, engines) : undefined;
    return target === undefined || target instanceof Fault ? [] : target;
  });
}
