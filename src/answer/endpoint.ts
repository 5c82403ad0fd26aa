/**
 * Answers from where a trigger's `endpoint` leads: a gateway in front of the workload, or an engine
 * that is named by its URL. It is there at zero replicas, and so it is what wakes the workload.
 *
 * Every address behind a Service counts. Nobody knows here how many replicas stand behind them, so
 * while one is missing there is no value, and KEDA holds the replicas.
 *
 * @module
 */
import type { Cancel } from "#core/clock.ts";
import { digest } from "#core/digest.ts";
import { Fault, unlessFault } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import { metricOf } from "#metric/catalogue.ts";
import { type ReducerName, reducers } from "#metric/reduce.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Activity, Answer, WorkloadRef } from "./answer.ts";
import { engineResult, lastHeardMs, mergeable, mergedReadings, refuseIfAllLack } from "./engine.ts";
import type { EngineReader } from "./engine-reader.ts";
import { endpointTarget } from "./engine-target.ts";
import {
  activationText,
  type EngineShare,
  type Explanation,
  listed,
  mergedText,
  windowText,
} from "./explanation.ts";
import type { MissingTracker } from "./missing.ts";
import { type EngineQuery, windowMsOf } from "./query.ts";
import { questionKey } from "./replicas.ts";

/** All that is behind a trigger's URL, read. */
export interface EndpointReadings {
  readonly scope: "endpoint";
  readonly query: EngineQuery;
  /** The trigger's. */
  readonly url: string;
  readonly shares: readonly EngineShare[];
  readonly knownCount: number;
  readonly missing: readonly MissingEndpoint[];
  /** Of what is known; absent when nothing is. */
  readonly partial: number | undefined;
  /** Requests that wait or run there, or else arrive in a second. */
  readonly activity: number;
  readonly nowMs: number;
}

interface MissingEndpoint {
  /** Where it is and what is wrong, for people. */
  readonly text: string;
  readonly sinceMs: number;
}

export function endpointReadings(
  query: EngineQuery,
  url: string,
  engines: EngineReader,
  tracker: MissingTracker,
  nowMs: number,
): EndpointReadings {
  const { trigger } = query;
  const { namespace } = query.ref;
  const question = questionKey(query);
  const results = engines.endpointsOf(url, namespace).map((endpoint) => {
    const target = endpointTarget(endpoint, namespace, trigger, engines);
    return { ...engineResult(target, query, engines), isReady: endpoint.ready };
  });
  const readings = results.map(({ reading }) => reading);
  refuseIfAllLack(readings);
  const reducer = reducerOf(query);
  const merged = reducer === "avg" ? mergedReadings(readings, engines) : undefined;
  const isKnown = (reading: EngineReading) =>
    reading.state === "known" || (merged?.value !== undefined && mergeable(reading) !== undefined);

  const missing = results.flatMap(({ reading, isReady }): readonly MissingEndpoint[] => {
    // A URL may be long, and the tracker keeps many keys.
    const key = `${digest(`${namespace} ${reading.target}`)} ${question}`;
    if (isKnown(reading)) tracker.present(key);
    if (isKnown(reading) || reading.state === "known" || !isReady) return [];
    const text = `${reading.target}: ${reading.fault.message}`;
    return [{ text, sinceMs: lastHeardMs(reading, nowMs) ?? tracker.missing(key) }];
  });
  const shares = results.map(({ share }) => ({ ...share, merged }));
  return {
    scope: "endpoint",
    query,
    url,
    shares,
    knownCount: readings.filter(isKnown).length,
    missing,
    partial: merged?.value ?? reduced(readings, reducer),
    activity: shares.reduce((sum, { activity = 0 }) => sum + activity, 0),
    nowMs,
  };
}

function reducerOf({ row, trigger }: EngineQuery): ReducerName {
  return trigger.replicaAggregation ?? (row.kind === "quantity" ? "sum" : "avg");
}

function reduced(readings: readonly EngineReading[], reducer: ReducerName): number | undefined {
  const [first, ...rest] = readings.flatMap((one) => (one.state === "known" ? [one.value] : []));
  return first === undefined ? undefined : reducers[reducer]([first, ...rest]);
}

export function endpointValue(readings: EndpointReadings): Answer {
  const value = wholeValue(readings);
  return { value, explanation: explained(readings, `${value}`) };
}

export function endpointActivity(readings: EndpointReadings): Activity {
  const { query, partial, activity } = readings;
  const { trigger } = query;
  const isAbove = partial !== undefined && partial > trigger.activationThreshold;
  const active = isAbove || activity > 0;
  const value = active ? partial : wholeValue(readings);
  const outcome = `${value ?? "unknown"}, ${activationText(trigger, isAbove, activity)}`;
  return { active, explanation: explained(readings, outcome) };
}

/** @throws {Fault} `data-missing` where what is known does not make a value. */
function wholeValue(readings: EndpointReadings): number {
  const { query, url, knownCount, missing, partial, nowMs } = readings;
  const isAwaited = missing.some(({ sinceMs }) => nowMs - sinceMs <= missingGraceMs);
  if (partial !== undefined && !isAwaited && knownCount >= missing.length) return partial;
  const rule = isAwaited
    ? `one that goes missing is waited for ${missingGraceMs / 1_000} s`
    : "at least half of them must be known";
  const texts = missing.map(({ text }) => text);
  throw new Fault(
    "data-missing",
    `Cannot answer ${query.metric} for ${url}: ${knownCount} of ` +
      `${knownCount + missing.length} addresses behind it are known, and ${rule}; look into ${listed(texts)}`,
    { known: knownCount, missing: texts },
  );
}

function explained(readings: EndpointReadings, outcome: string): Explanation {
  const { query, url, shares, knownCount, missing } = readings;
  const { metric, row } = query;
  return {
    metric,
    scope: "endpoint",
    rule:
      `${reducerOf(query)} of ${metric} in ${row.unit} over ${knownCount} of ` +
      `${knownCount + missing.length} addresses behind ${url}, ${windowText(windowMsOf(query))}${mergedText(shares)}: ${outcome}`,
    devices: [],
    engines: shares,
  };
}

/**
 * Listens to every address behind the URL from which a trigger's activity is read, as addresses
 * come and go. The workload's own pods are read at their usual pace: none is there while it is at
 * zero.
 */
export function watchActivity(
  { namespace }: WorkloadRef,
  trigger: Trigger,
  engines: EngineReader,
  listener: () => void,
): Cancel {
  const { endpoint: url, activationMetric } = trigger;
  if (url === undefined || metricOf(activationMetric).source !== "engine") return () => undefined;
  const cancels = new Map<string, Cancel>();

  // What cannot be found or followed is not listened to: the answer itself says what is wrong.
  const follow = () => {
    const endpoints = unlessFault(() => engines.endpointsOf(url, namespace)) ?? [];
    const current = new Map(endpoints.map((endpoint) => [JSON.stringify(endpoint), endpoint]));
    for (const [key, cancel] of cancels)
      if (!current.has(key)) {
        cancel();
        cancels.delete(key);
      }
    for (const [key, endpoint] of current) {
      if (cancels.has(key)) continue;
      const cancel = unlessFault(() =>
        engines.listen(endpointTarget(endpoint, namespace, trigger, engines), listener),
      );
      if (cancel !== undefined) cancels.set(key, cancel);
    }
  };
  follow();
  const unsubscribe = engines.onEndpointsChange(() => {
    follow();
    listener();
  });
  return () => {
    unsubscribe();
    for (const cancel of cancels.values()) cancel();
    cancels.clear();
  };
}
