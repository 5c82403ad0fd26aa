/**
 * Answers from where a trigger's `endpoint` leads: a gateway in front of the workload, or an engine
 * that is named by its URL. It is there at zero replicas, and so it is what wakes the workload.
 *
 * Every place behind a Service counts. Nobody knows here how many replicas stand behind them, so
 * while one is missing there is no value, and KEDA holds the replicas.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import { reducers } from "#metric/reduce.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Activity, Answer, EngineShare, Explanation } from "./answer.ts";
import { windowWords } from "./device-value.ts";
import { type EngineWanted, placeTarget } from "./engine-ask.ts";
import type { EngineEndpoint } from "./engine-reader.ts";
import { type EngineSight, isObserved, type Looked, lookAt, mergedValue } from "./engine-signal.ts";
import type { MissingTracker } from "./missing.ts";
import { listed } from "./words.ts";
import { comparison } from "./workload-answer.ts";

export interface EndpointQuestion extends Looked {
  /** The trigger's URL. */
  readonly url: string;
  readonly namespace: string;
  readonly tracker: MissingTracker;
  readonly nowMs: number;
}

interface Seen {
  readonly knownCount: number;
  readonly absent: readonly { readonly name: string; readonly sinceMs: number }[];
  readonly value: number | undefined;
  readonly running: number;
  readonly shares: readonly EngineShare[];
}

export function endpointValue(question: EndpointQuestion): Answer {
  const seen = look(question);
  const value = whole(question, seen);
  return { value, explanation: explained(question, seen, `${value}`) };
}

export function endpointActivity(question: EndpointQuestion): Activity {
  const { trigger } = question;
  const seen = look(question);
  const isAbove = (value = Number.NaN) => value > trigger.activationThreshold;
  const active = isAbove(seen.value) || seen.running > 0;
  const value = active ? seen.value : whole(question, seen);
  const compared = comparison(trigger, isAbove(seen.value), seen.running);
  return { active, explanation: explained(question, seen, `${value ?? "unknown"}, ${compared}`) };
}

function look(question: EndpointQuestion): Seen {
  const { trigger, wanted, engines, url, namespace, tracker } = question;
  const places = engines.endpointsOf(url, namespace);
  const sights = places.map((place) => sightOf(question, place));
  const readings = sights.map(({ reading }) => reading);
  const reducer = reducerOf(trigger, wanted);
  const merged = reducer === "avg" ? mergedValue(readings, engines) : undefined;
  const isKnown = (reading: EngineReading) =>
    reading.state === "known" || (merged !== undefined && isObserved(reading));

  const absent = sights.flatMap(({ place, reading }) => {
    const key = [namespace, url, reading.target, wanted.metric].join(" ");
    if (isKnown(reading)) tracker.present(key);
    if (isKnown(reading) || reading.state === "known" || !place.ready) return [];
    const name = `${reading.target}: ${reading.fault.message}`;
    return [{ name, sinceMs: tracker.missing(key) }];
  });
  const [first, ...rest] = readings.flatMap((one) => (one.state === "known" ? [one.value] : []));
  const reduced = first === undefined ? undefined : reducers[reducer]([first, ...rest]);
  return {
    knownCount: readings.filter(isKnown).length,
    absent,
    value: merged ?? reduced,
    running: sights.reduce((sum, { share: { running = 0 } }) => sum + running, 0),
    shares: sights.map(({ share }) => share),
  };
}

function sightOf(
  question: EndpointQuestion,
  place: EngineEndpoint,
): EngineSight & { readonly place: EngineEndpoint } {
  const { namespace, trigger, engines } = question;
  return { place, ...lookAt(placeTarget(place, namespace, trigger, engines), question) };
}

function reducerOf({ replicaAggregation }: Trigger, { row }: EngineWanted) {
  return replicaAggregation ?? (row.kind === "quantity" ? "sum" : "avg");
}

/** @throws {Fault} `data-missing` where what is known does not make a value. */
function whole(
  { wanted, url, nowMs }: EndpointQuestion,
  { knownCount, absent, value }: Seen,
): number {
  const isAwaited = absent.some(({ sinceMs }) => nowMs - sinceMs <= missingGraceMs);
  if (value !== undefined && !isAwaited && knownCount >= absent.length) return value;
  const rule = isAwaited
    ? `one that goes missing is waited for ${missingGraceMs / 1_000} s`
    : "at least half of them must be known";
  const missing = absent.map(({ name }) => name);
  throw new Fault(
    "data-missing",
    `Cannot answer ${wanted.metric} for ${url}: ${knownCount} of ` +
      `${knownCount + absent.length} places behind it are known, and ${rule}; look into ${listed(missing)}`,
    { known: knownCount, missing },
  );
}

function explained(
  { trigger, wanted, url }: EndpointQuestion,
  { knownCount, absent, shares }: Seen,
  outcome: string,
): Explanation {
  const { metric, row } = wanted;
  return {
    metric,
    scope: "endpoint",
    rule:
      `${reducerOf(trigger, wanted)} of ${metric} in ${row.unit} over ${knownCount} of ` +
      `${knownCount + absent.length} places behind ${url}, ${windowWords(wanted)}: ${outcome}`,
    devices: [],
    engines: shares,
  };
}
