/**
 * The engines as their scraper reads them.
 *
 * @module
 */
import type { EngineReader } from "#answer/engine-reader.ts";
import { Fault } from "#core/fault.ts";
import { engineStaleLeastMs } from "#core/limits.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import { meanResult, mergedResult, quantileResult } from "#engine/signal/result.ts";
import type { SignalName } from "#metric/catalogue.ts";
import type { EngineHistory } from "#simulate/history.ts";
import type { ServingReplica } from "#simulate/replica.ts";
import {
  engineSignals,
  frontEndSignals,
  isIdle,
  type ReadSignal,
  type Scrapes,
  waitingMs,
} from "#simulate/signals.ts";
import type { Simulation } from "#simulate/simulation.ts";
import { addressOf, namespace } from "./names.ts";

export function engineReader(simulation: Simulation, sinceMs: number): EngineReader {
  const read = signalReader(sinceMs);
  let byAddress = new Map<string, ServingReplica>();
  let generation = -1;

  const find = (address: string): ServingReplica | undefined => {
    if (generation !== simulation.pods.generation()) {
      generation = simulation.pods.generation();
      byAddress = new Map(simulation.pods.all().map((replica) => [addressOf(replica), replica]));
    }
    return byAddress.get(address);
  };

  const readPod = (address: string, signal: AskedName, windowMs: number): EngineReading => {
    const replica = find(address);
    const target = `http://${address}:8000`;
    if (replica === undefined) return unreachable(target, undefined);
    const scrapes = scrapesSince(replica.engine.history, sinceMs);
    const ageMs = scrapes.count === 0 ? undefined : simulation.nowMs() - scrapes.history.atMs(0);
    const isLost =
      ageMs === undefined ? simulation.isUnreachable(replica) : ageMs > engineStaleLeastMs;
    if (isLost) return unreachable(target, ageMs);
    const offered = simulation.isMisfit(replica) ? misfitSignals : engineSignals;
    const source = { target, engine: "vllm", windowMs, offered };
    const found = askedReading(signal, (one) => read({ ...source, signal: one }, scrapes.history));
    return ageMs === undefined ? found : { ...found, ageMs };
  };

  const unused = () => () => undefined;
  return {
    read: ({ at }, { signal, windowMs }) => {
      if (typeof signal !== "string") return notExported("the page", signal.metric, []);
      if (!("url" in at)) return readPod(at.podAddress, signal, windowMs);
      const { history } = simulation.traffic;
      const source = { target: at.url, engine: "epp", windowMs, offered: frontEndSignals };
      return askedReading(signal, (one) => read({ ...source, signal: one }, history));
    },
    merge: mergedResult,
    endpointsOf: (url) => [{ at: { url, namespace }, isOwn: true, ready: true }],
    mountedFile: (_key, owner, name) => `${owner}/${name}`,
    listen: unused,
    podRefusal: () => undefined,
    onEndpointsChange: unused,
  };
}

type AskedName = SignalName | "activity";

/** Activity is the first of these that is above 0. */
const activitySignals = ["concurrency", "queue_depth", "running_requests", "request_rate"] as const;

function askedReading(
  signal: AskedName,
  read: (signal: SignalName) => EngineReading,
): EngineReading {
  if (signal !== "activity") return read(signal);
  const readings = activitySignals.map(read);
  const known = readings.filter(({ state }) => state === "known");
  const inUse = known.find((one) => one.state === "known" && one.value > 0);
  return inUse ?? known[0] ?? read("concurrency");
}

const misfitSignals = { queue_depth: engineSignals.queue_depth };

/** Those scrapes that a process has made which began at that time. */
function scrapesSince(history: EngineHistory, sinceMs: number): Scrapes {
  let count = history.count();
  while (count > 0 && history.atMs(count - 1) < sinceMs) count -= 1;
  return { history, count };
}

/** One signal of one target. */
interface SignalSource {
  readonly target: string;
  readonly engine: string;
  readonly signal: SignalName;
  readonly windowMs: number;
  readonly offered: { readonly [Name in SignalName]?: ReadSignal | undefined };
}

/** Reads signals, and keeps what it read until the next scrape. */
function signalReader(sinceMs: number) {
  interface Kept {
    readonly scrapeMs: number;
    readonly reading: EngineReading;
    /** The last latency that was observed. */
    readonly lastMs: number;
  }
  const kept = new WeakMap<EngineHistory, Map<string, Kept>>();
  return (source: SignalSource, history: EngineHistory): EngineReading => {
    const scrapes = scrapesSince(history, sinceMs);
    if (source.offered[source.signal] === undefined || scrapes.count === 0)
      return reading(source, scrapes, 0);
    const own = kept.get(history) ?? new Map<string, Kept>();
    kept.set(history, own);
    const key = `${source.signal} ${source.windowMs}`;
    const before = own.get(key);
    const scrapeMs = history.atMs(0);
    if (before?.scrapeMs === scrapeMs) return before.reading;
    const now = reading(source, scrapes, before?.lastMs ?? 0);
    const isObserved = now.state === "known" && now.queueState === undefined;
    const lastMs = isObserved ? now.value : (before?.lastMs ?? 0);
    own.set(key, { scrapeMs, reading: now, lastMs });
    return now;
  };
}

function reading(source: SignalSource, scrapes: Scrapes, lastMs: number): EngineReading {
  const { target, engine, signal, windowMs, offered } = source;
  const read = offered[signal];
  if (read === undefined) return notExported(target, signal, Object.keys(offered));
  if (scrapes.count === 0) return absent(target, "pending", "no scrape yet");
  const outcome = read(scrapes, windowMs);
  if (outcome.kind === "pending") return absent(target, "pending", "it takes two scrapes");
  if (outcome.kind === "number") return { target, engine, state: "known", value: outcome.value };

  const observed =
    outcome.kind === "mean"
      ? meanResult({ sum: outcome.sumMs, count: outcome.count, scale: 1 })
      : quantileResult({ q: outcome.q, buckets: outcome.buckets, scale: 1000 });
  if ("value" in observed) return { target, engine, state: "known", ...observed };
  if (isIdle(scrapes)) return { target, engine, state: "known", value: 0, queueState: "idle" };
  const waitedMs = waitingMs(scrapes);
  return waitedMs > 0
    ? { target, engine, state: "known", value: Math.max(lastMs, waitedMs), queueState: "stalled" }
    : { ...absent(target, "no-samples", observed.why), observations: observed.observations };
}

function absent(
  target: string,
  reason: "pending" | "no-samples",
  why: string,
): Extract<EngineReading, { state: "absent" }> {
  const missing = [target];
  const fault = new Fault("data-missing", `Cannot read ${target}: ${why}`, { known: 0, missing });
  return { target, state: "absent", reason, fault };
}

function unreachable(target: string, ageMs: number | undefined): EngineReading {
  const message = `Cannot read ${target}: it does not answer; see whether it runs`;
  const fault = new Fault("engine-unreachable", message, { target });
  return {
    target,
    ...(ageMs === undefined ? {} : { ageMs }),
    state: "absent",
    reason: "unreachable",
    fault,
  };
}

function notExported(target: string, signal: string, offered: readonly string[]): EngineReading {
  const message = `Cannot read ${signal} of ${target}: it is not exported`;
  const facts = { engine: "vllm", signal, offered };
  const fault = new Fault("signal-unavailable", message, facts);
  return { target, state: "absent", reason: "unavailable", fault };
}
