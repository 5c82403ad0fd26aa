/**
 * The engines that this process reads: those of every trigger that may ask at any time, and of those
 * that asked lately, whether anybody asks now or not. KEDA's connection may move here at any moment,
 * and then the answer must be in memory.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import { readNeeds, readsEngines } from "#answer/engine-needs.ts";
import type { EngineSource, Place } from "#answer/engine-source.ts";
import { Fault } from "#core/fault.ts";
import { askedForMs, engineIntervalMs, enginesFirstMs, engineTriggersMax } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import { allowedUrl, type EndpointRules, portOf } from "#engine/endpoint.ts";
import { fleetOutcome } from "#engine/fleet-outcome.ts";
import { type EngineScraper, engineScraper } from "#engine/scraper.ts";
import type { Trigger } from "#trigger/trigger.ts";
import { type Services, watchServices } from "#workload/services.ts";
import type { Workloads } from "#workload/workloads.ts";
import type { Kubernetes } from "./cluster.ts";
import type { World } from "./run.ts";

export interface EnginesOptions {
  readonly world: Pick<World, "clock">;
  readonly log: Log;
  /** Absent where there is no Kubernetes API. */
  readonly kubernetes?: Kubernetes | undefined;
  readonly workloads?: Workloads | undefined;
  /** Of `--allow-endpoint`. */
  readonly allow: readonly string[];
  readonly parse: (metadata: Readonly<Record<string, string>>) => Trigger;
  /** Runs whenever an answer may have changed. */
  readonly changed: () => void;
}

export interface Engines {
  readonly source: EngineSource;
  /** Keeps warm what is asked of these answers. */
  readonly remembering: (answers: Answerer) => Answerer;
  readonly scraper: Pick<EngineScraper, "targets" | "scrapes">;
  /** What has to be read yet before this process is as warm as one that runs; else `undefined`. */
  readonly waitingFor: () => string | undefined;
  readonly stop: () => void;
}

/** How often it is looked whether pods, places or triggers have changed. */
const lookMs = 1_000;

export function startEngines(options: EnginesOptions): Engines {
  const { world, log, kubernetes, workloads, changed } = options;
  const { clock } = world;
  const rules: EndpointRules = {
    allow: options.allow,
    clusterDomain: "cluster.local",
    resolve: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
  };
  const random = Math.random;
  const scraper = engineScraper({
    clock,
    log,
    random,
    rules,
    readFile: (path) => readFile(path, "utf8"),
    scraped: changed,
  });
  const services = kubernetes && watchServices({ client: kubernetes.client, clock, random, log });
  const source: EngineSource = {
    read: scraper.read,
    merge: fleetOutcome,
    placesOf: places(rules, services),
    listen: scraper.listen,
    onPlaces: (listener) => services?.subscribe(listener) ?? (() => undefined),
  };
  const warmth = keepWarm(options, source, scraper);
  const stops = [services?.subscribe(warmth.look), workloads?.subscribe(warmth.look)];
  return {
    source,
    scraper,
    remembering: (answers) => remembering(answers, warmth.asked),
    waitingFor: warmth.waitingFor,
    stop: () => {
      for (const stop of stops) stop?.();
      warmth.stop();
      services?.stop();
      scraper.stop();
    },
  };
}

/** A Service of the trigger's namespace means every pod behind it; any other host is itself. */
function places(rules: EndpointRules, services: Services | undefined): EngineSource["placesOf"] {
  return (text, namespace) => {
    const { url, service } = allowedUrl(text, namespace, rules);
    if (service === undefined || services === undefined)
      return [{ at: { url: text, namespace }, ready: true }];
    const path = `${url.pathname === "/" ? "" : url.pathname}${url.search}`;
    return services.endpoints(namespace, service, portOf(url)).map(
      ({ address, port, ready }): Place => ({
        at: { podAddress: address, ports: [], owner: `Service ${namespace}/${service}` },
        port,
        ready,
        ...(path === "" ? {} : { path }),
      }),
    );
  };
}

interface Need {
  readonly ref: WorkloadRef;
  readonly trigger: Trigger;
}

function keepWarm(
  { world: { clock }, log, workloads, parse, changed }: EnginesOptions,
  source: EngineSource,
  scraper: EngineScraper,
) {
  const asked = new Map<string, Need & { readonly atMs: number }>();
  /** Metadata is the same object until its ScaledObject changes. */
  const parsed = new WeakMap<object, Trigger | undefined>();
  let isStale = true;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let readyBeforeMs: number | undefined;
  let isWarm = workloads === undefined;

  const triggerOf = (ref: WorkloadRef): Trigger | undefined => {
    const { scalerMetadata } = ref;
    if (!parsed.has(scalerMetadata)) parsed.set(scalerMetadata, usable(ref));
    return parsed.get(scalerMetadata);
  };
  const usable = (ref: WorkloadRef): Trigger | undefined => {
    const { namespace, name, scalerMetadata } = ref;
    // What KEDA will resolve is not known before it asks.
    if (Object.keys(scalerMetadata).some((key) => key.endsWith("FromEnv"))) return undefined;
    try {
      const trigger = parse(scalerMetadata);
      return readsEngines(trigger) ? trigger : undefined;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      log("warn", "trigger cannot be prepared", { namespace, name, problem: error.message });
      return undefined;
    }
  };

  const needs = (nowMs: number): readonly Need[] => {
    const all = new Map<string, Need>();
    for (const { namespace, name, metadata } of workloads?.prepared() ?? []) {
      const ref = { namespace, name, scalerMetadata: metadata };
      const trigger = triggerOf(ref);
      if (trigger !== undefined) all.set(keyOf(ref), { ref, trigger });
    }
    for (const [key, need] of asked)
      if (nowMs - need.atMs > askedForMs) asked.delete(key);
      else if (!all.has(key)) all.set(key, need);
    return [...all.values()];
  };

  const readAll = (nowMs: number) => {
    isStale = false;
    readAtMs = nowMs;
    for (const { ref, trigger } of needs(nowMs)) {
      try {
        readNeeds(ref, trigger, {
          engines: source,
          ...(workloads === undefined ? {} : { workloads: workloads.glance }),
        });
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        // Whoever asks is told the same.
        const { namespace, name } = ref;
        log("debug", "engines cannot be read", { namespace, name, problem: error.message });
      }
    }
  };
  const cancel = clock.every(lookMs, () => {
    const nowMs = clock.monotonicMs();
    if (isStale || nowMs - readAtMs >= engineIntervalMs) readAll(nowMs);
    if (isWarm || waitingFor() !== undefined) return;
    changed();
  });

  const waitingFor = (): string | undefined => {
    if (isWarm || workloads === undefined || workloads.waitingFor().length > 0) return undefined;
    const nowMs = clock.monotonicMs();
    if (readyBeforeMs === undefined) {
      readyBeforeMs = nowMs + enginesFirstMs;
      readAll(nowMs);
    }
    const untried = scraper.targets().filter(({ tries }) => tries === 0);
    isWarm = untried.length === 0 || nowMs >= readyBeforeMs;
    return isWarm ? undefined : `${untried.length} engines have not been read yet`;
  };

  return {
    asked: (ref: WorkloadRef, trigger: Trigger) => {
      if (!readsEngines(trigger)) return;
      const key = keyOf(ref);
      asked.delete(key);
      asked.set(key, { ref, trigger, atMs: clock.monotonicMs() });
      const [oldest] = asked.keys();
      if (asked.size > engineTriggersMax && oldest !== undefined) asked.delete(oldest);
    },
    look: () => {
      isStale = true;
    },
    waitingFor,
    stop: cancel,
  };
}

function keyOf({ namespace, name, scalerMetadata }: WorkloadRef): string {
  return JSON.stringify([namespace, name, Object.entries(scalerMetadata).sort()]);
}

function remembering(answers: Answerer, asked: (ref: WorkloadRef, trigger: Trigger) => void) {
  const told =
    <Result>(answer: (ref: WorkloadRef, trigger: Trigger) => Result) =>
    (ref: WorkloadRef, trigger: Trigger): Result => {
      asked(ref, trigger);
      return answer(ref, trigger);
    };
  return { ...answers, value: told(answers.value), activity: told(answers.activity) };
}
