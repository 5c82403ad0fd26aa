/**
 * Inference engines as answers see them: where a trigger's URL leads, which token goes there, what
 * was read, and what is read before anybody asks.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { join } from "node:path";
import type { EngineEndpoint, EngineReader } from "#answer/engine-reader.ts";
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { isLabel } from "#core/kubernetes-names.ts";
import { credentialFileBytesMax } from "#core/limits.ts";
import { readRegularFile } from "#core/regular-file.ts";
import {
  allowedUrl,
  type EndpointRules,
  hostOf,
  isNamed,
  isTlsUrl,
  portOf,
} from "#engine/scrape/address-policy.ts";
import { type EngineScraper, engineScraper } from "#engine/scrape/scraper.ts";
import { podRefusal } from "#engine/scrape/target.ts";
import { mergedResult } from "#engine/signal/result.ts";
import { type NamedEndpoint, type Services, watchServices } from "#kubernetes/services.ts";
import type { EngineStats } from "#observe/scaler-metrics.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Workloads } from "#workload/watch-workloads.ts";
import type { Kubernetes } from "./cluster.ts";
import type { ServeOptions } from "./options.ts";
import { type EnginePrefetch, enginePrefetch } from "./prefetch.ts";
import type { RoleContext } from "./role.ts";

export type EnginesOptions = Pick<
  ServeOptions,
  "role" | "allowedEndpoints" | "allowHostNetwork" | "engineTokenDirectory" | "engineCaDirectory"
>;

export interface EnginesContext extends Pick<RoleContext, "clock" | "log" | "random" | "changes"> {
  /** Absent where there is no Kubernetes API. */
  readonly kubernetes: Kubernetes | undefined;
  readonly workloads: Workloads | undefined;
  readonly parse: (metadata: Readonly<Record<string, string>>) => Trigger;
}

export interface Engines extends Pick<EnginePrefetch, "requested" | "waitingFor" | "stop"> {
  readonly reader: EngineReader;
  /** What is read of a target anyway. */
  readonly peek: EngineScraper["peek"];
  readonly stats: EngineStats;
}

export function startEngines(options: EnginesOptions, context: EnginesContext): Engines {
  const { clock, log, random, changes, kubernetes, workloads, parse } = context;
  const rules: EndpointRules = {
    allow: allowedHosts(options, kubernetes),
    clusterDomain: "cluster.local",
    resolve: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
  };
  const scraper = engineScraper({
    clock,
    log,
    random,
    rules,
    readFile: (path) => readRegularFile(path, credentialFileBytesMax),
    scraped: changes.notify,
  });
  const services = kubernetes && watchServices({ client: kubernetes.client, clock, random, log });
  const reader: EngineReader = {
    read: scraper.read,
    podRefusal: (pod, target) => podRefusal(pod, target, options.allowHostNetwork),
    merge: mergedResult,
    endpointsOf: endpointsOf(rules, services),
    mountedFile: mountedFile(options),
    listen: scraper.listen,
    onEndpointsChange: (listener) => services?.subscribe(listener) ?? (() => undefined),
  };
  const prefetch = enginePrefetch({
    clock,
    log,
    workloads,
    parse,
    engines: reader,
    targets: scraper.targets,
    onChange: changes.notify,
  });
  const cancels = [services, workloads].map((watched) => watched?.subscribe(prefetch.refresh));
  return {
    reader,
    peek: scraper.peek,
    stats: engineStats(scraper, clock),
    requested: prefetch.requested,
    waitingFor: prefetch.waitingFor,
    stop: () => {
      for (const cancel of cancels) cancel?.();
      prefetch.stop();
      services?.stop();
      scraper.stop();
    },
  };
}

/** On a laptop an engine is on the same machine; in a cluster only the operator may allow that. */
function allowedHosts(
  { role, allowedEndpoints }: EnginesOptions,
  kubernetes: Kubernetes | undefined,
): readonly string[] {
  const isAlone = role === "all" && kubernetes === undefined;
  return isAlone ? [...allowedEndpoints, "localhost", "127.0.0.1", "[::1]"] : allowedEndpoints;
}

function mountedFile(options: EnginesOptions): EngineReader["mountedFile"] {
  const { engineTokenDirectory, engineCaDirectory } = options;
  const secret = { flag: "--engine-token-dir", directory: engineTokenDirectory };
  const kinds = {
    engineTokenFile: { ...secret, what: "bearer token" },
    engineBasicAuthFile: { ...secret, what: "user and password" },
    engineCaFile: { flag: "--engine-ca-dir", directory: engineCaDirectory, what: "authorities" },
  };
  return (key, namespace, name) => {
    const { what, flag, directory } = kinds[key];
    // A call made by hand names any namespace, which must not lead out of the directory.
    if (directory !== undefined && isLabel(namespace)) return join(directory, namespace, name);
    const problem =
      directory === undefined
        ? `${flag} is not given`
        : `${JSON.stringify(namespace)} is no namespace`;
    const message = `Cannot read the ${what} ${name}: ${problem}; correct it, or leave ${key} out`;
    throw new Fault("file-invalid", message, { path: name, problems: [problem] });
  };
}

/**
 * A Service of the trigger's namespace means every pod behind it; any other host is itself. Where there
 * is no Kubernetes API, there is one tenant, and everything is its own.
 */
function endpointsOf(
  rules: EndpointRules,
  services: Services | undefined,
): EngineReader["endpointsOf"] {
  return (text, namespace) => {
    const { url, service } = allowedUrl(text, namespace, rules);
    const serverName = isTlsUrl(url) ? hostOf(url) : undefined;
    if (service === undefined || services === undefined) {
      const isOwn = services === undefined;
      return [{ at: { url: text, namespace }, isOwn, ready: true, serverName }];
    }
    const path = `${url.pathname === "/" ? "" : url.pathname}${url.search}`;
    const isAllowed = ({ address, port, isPod }: NamedEndpoint) =>
      isPod || isNamed(address, port, rules);
    return services.endpoints(namespace, service, portOf(url), isAllowed).map(
      ({ address, port, ready }): EngineEndpoint => ({
        isOwn: true,
        at: {
          podAddress: address,
          namespace,
          ports: [],
          owner: `Service ${namespace}/${service}`,
        },
        port,
        ready,
        serverName,
        path: path === "" ? undefined : path,
      }),
    );
  };
}

function engineStats(
  { targets, scrapes }: Pick<EngineScraper, "targets" | "scrapes">,
  clock: Clock,
): EngineStats {
  return {
    targets: () => {
      const nowMs = clock.monotonicMs();
      return targets().map(({ adapter, goodAtMs, failure }) => ({
        engine: adapter?.engine ?? "unknown",
        isFailing: failure !== undefined,
        ageMs: goodAtMs === undefined ? undefined : nowMs - goodAtMs,
      }));
    },
    scrapes,
  };
}
