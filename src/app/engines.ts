/**
 * The engine room as answers see it: where a trigger's URL leads, what is read there, and what is
 * kept warm.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import type { EngineEndpoint, EngineReader } from "#answer/engine-reader.ts";
import type { ServeOptions } from "#cli/commands.ts";
import type { World } from "#cli/run.ts";
import { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import { allowedUrl, type EndpointRules, label, portOf } from "#engine/scrape/address-policy.ts";
import { type EngineScraper, engineScraper } from "#engine/scrape/scraper.ts";
import { mergedResult } from "#engine/signal/result.ts";
import { type Services, watchServices } from "#kubernetes/services.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Workloads } from "#workload/watch-workloads.ts";
import type { Kubernetes } from "./cluster.ts";
import { keepWarm } from "./engine-warmth.ts";

export interface EnginesOptions {
  readonly world: Pick<World, "clock">;
  readonly log: Log;
  /** Absent where there is no Kubernetes API. */
  readonly kubernetes?: Kubernetes | undefined;
  readonly workloads?: Workloads | undefined;
  /** Of `--allow-endpoint`. */
  readonly allow: readonly string[];
  /** Of `--engine-token-dir`. */
  readonly tokenDir?: string | undefined;
  readonly parse: (metadata: Readonly<Record<string, string>>) => Trigger;
  /** Runs whenever an answer may have changed. */
  readonly changed: () => void;
}

export interface Engines {
  readonly source: EngineReader;
  /** Keeps warm what is asked of these answers. */
  readonly remembering: (answers: Answerer) => Answerer;
  readonly scraper: Pick<EngineScraper, "targets" | "scrapes">;
  /** What has to be read yet before this process is as warm as one that runs; else `undefined`. */
  readonly waitingFor: () => string | undefined;
  readonly stop: () => void;
}

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
  const source: EngineReader = {
    read: scraper.read,
    merge: mergedResult,
    endpointsOf: places(rules, services),
    tokenFile: tokenFiles(options.tokenDir),
    listen: scraper.listen,
    onEndpointsChange: (listener) => services?.subscribe(listener) ?? (() => undefined),
  };
  const { parse } = options;
  const { targets } = scraper;
  const warmth = keepWarm({ clock, log, workloads, parse, source, targets, changed });
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

/** On a laptop an engine is on the same machine; in a cluster only the operator may say so. */
export function allowedEndpoints(
  { role, "allow-endpoint": allow = [] }: ServeOptions,
  kubernetes: Kubernetes | undefined,
): readonly string[] {
  const isAlone = role === "all" && kubernetes === undefined;
  return isAlone ? [...allow, "localhost", "127.0.0.1", "[::1]"] : allow;
}

function tokenFiles(directory: string | undefined): EngineReader["tokenFile"] {
  return (namespace, name) => {
    // A call made by hand names any namespace, which must not lead out of the directory.
    if (directory !== undefined && label.test(namespace)) return join(directory, namespace, name);
    const problems = [
      directory === undefined
        ? "--engine-token-dir is not given"
        : `${JSON.stringify(namespace)} is no namespace`,
    ];
    throw new Fault(
      "file-invalid",
      `Cannot read the bearer token ${name}: ${problems[0]}; correct it, or leave ` +
        "engineTokenFile out",
      { path: name, problems },
    );
  };
}

/** A Service of the trigger's namespace means every pod behind it; any other host is itself. */
function places(rules: EndpointRules, services: Services | undefined): EngineReader["endpointsOf"] {
  return (text, namespace) => {
    const { url, service } = allowedUrl(text, namespace, rules);
    if (service === undefined || services === undefined)
      return [{ at: { url: text, namespace }, ready: true }];
    const path = `${url.pathname === "/" ? "" : url.pathname}${url.search}`;
    return services.endpoints(namespace, service, portOf(url)).map(
      ({ address, port, ready }): EngineEndpoint => ({
        at: { podAddress: address, ports: [], owner: `Service ${namespace}/${service}` },
        port,
        ready,
        ...(path === "" ? {} : { path }),
      }),
    );
  };
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
