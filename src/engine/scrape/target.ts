/**
 * Which engine or gateway to scrape, and where its metrics may be.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import { engineStaleIntervals, engineStaleLeastMs, targetTextPortsMax } from "#core/limits.ts";
import type { Adapter } from "#engine/adapters/adapter.ts";
import { adapterOf, adapters } from "#engine/adapters/all.ts";
import { engineFacts, engineNames, type JsonMetric } from "#metric/engines.ts";
import type { CredentialFiles } from "./credentials.ts";

/** How a target shows that it is the one that was meant. */
export interface TargetTls {
  /** The DNS name or address that its certificate must be for. */
  readonly serverName: string;
  /** PEM authorities of which one must have signed it; absent: the system's. */
  readonly caFile?: string | undefined;
}

/** Where an engine is, and what is known of it beforehand. */
export interface ScrapeTarget extends CredentialFiles {
  /** A pod by the address that the Kubernetes API gives, or a URL from a trigger. */
  readonly at:
    | {
        readonly podAddress: string;
        /** Whose shares it takes part of. */
        readonly namespace: string;
        /** Those that it declares, the likeliest first; none: the engine's own is tried. */
        readonly ports: readonly number[];
        /** Who has the address: pods come and go, and the next one is another target. */
        readonly owner?: string | undefined;
      }
    | { readonly url: string; readonly namespace: string };
  /** The only port to try. */
  readonly port?: number | undefined;
  /** Absent: found out from the page. */
  readonly engine?: string | undefined;
  /** Absent: the engine's own, or those that engines commonly have. */
  readonly path?: string | undefined;
  /** The number of a page in JSON that it is read for, which makes it engine `json`. */
  readonly json?: JsonMetric | undefined;
  /** Absent: it is asked in plain text. */
  readonly tls?: TargetTls | undefined;
}

/** Where a target's metrics may be. */
export interface PageLocation {
  /** Absent for a URL, which has one. */
  readonly port?: number;
  readonly path: string;
}

export function targetKey(target: ScrapeTarget): string {
  const { at, port, engine, path, json, tls, tokenFile, basicAuthFile } = target;
  return JSON.stringify([at, port, engine, path, json, tls, tokenFile, basicAuthFile]);
}

/** As people read it. */
export function targetText(target: ScrapeTarget): string {
  const { at, path = "", tls } = target;
  if ("url" in at) return at.url;
  const host = at.podAddress.includes(":") ? `[${at.podAddress}]` : at.podAddress;
  const ports = portsOf(at.ports, target);
  const port = ports.length > targetTextPortsMax ? "" : `:${ports.join("|")}`;
  return `${tls === undefined ? "http" : "https"}://${host}${port}${path}`;
}

/** @throws {Fault} `signal-unavailable` for an engine that does not exist. */
export function namedAdapter({ engine }: Pick<ScrapeTarget, "engine">): Adapter | undefined {
  if (engine === undefined) return undefined;
  const adapter = adapterOf(engine);
  if (adapter !== undefined) return adapter;
  throw new Fault(
    "signal-unavailable",
    `Cannot read engine ${JSON.stringify(engine)}: it is one of ${engineNames.join(", ")}`,
    { engine, signal: "", offered: engineNames },
  );
}

/** Where engines have their metrics when nobody said which engine it is. */
const commonPaths = ["/metrics", "/prometheus/metrics", "/v1/metrics", "/api/ps"] as const;
const commonPorts: readonly number[] = [
  ...new Set(
    adapters.filter(({ engine }) => !engineFacts(engine).isFrontEnd).map(({ port }) => port),
  ),
];

/** Every location to try, the likeliest first. */
export function locationsOf(target: ScrapeTarget): readonly PageLocation[] {
  const { at } = target;
  const path = "url" in at ? (urlPath(at.url) ?? target.path) : target.path;
  const paths = path === undefined ? knownPaths(target) : [path];
  if ("url" in at) return paths.map((one) => ({ path: one }));
  return portsOf(at.ports, target).flatMap((port) => paths.map((one) => ({ port, path: one })));
}

/** The path of a URL that has one; a URL of a host alone leaves it open. */
function urlPath(text: string): string | undefined {
  const url = URL.parse(text);
  return url === null || url.pathname === "/" ? undefined : `${url.pathname}${url.search}`;
}

function knownPaths(target: ScrapeTarget): readonly string[] {
  const adapter = namedAdapter(target);
  return adapter === undefined ? commonPaths : [adapter.path, ...adapter.otherPaths];
}

/**
 * The ports to try, the likeliest first. What a pod declares is only information for people, so
 * a named engine's own port counts too.
 */
function portsOf(declared: readonly number[], target: ScrapeTarget): readonly number[] {
  if (target.port !== undefined) return [target.port];
  const adapter = namedAdapter(target);
  if (adapter === undefined) return declared.length > 0 ? declared : commonPorts;
  const { port } = adapter;
  return declared.includes(port)
    ? [port, ...declared.filter((other) => other !== port)]
    : [...declared, port];
}

/** A pod that may be asked for metrics, as its spec says. */
interface PodSpec {
  readonly name: string;
  /** What its containers declare. */
  readonly ports: readonly number[];
  readonly onHostNetwork: boolean;
}

/**
 * Why a pod is not asked for metrics; `undefined` when it is.
 *
 * Who writes a trigger chooses a port, but must not reach what else listens at an address: a pod is
 * asked at ports that it declares, and at its engine's own. On its node's network every port of the
 * node would be in reach, the kubelet's too.
 */
export function podRefusal(
  { name, ports, onHostNetwork }: PodSpec,
  target: Pick<ScrapeTarget, "engine" | "port">,
  allowHostNetwork: boolean,
): Fault | undefined {
  const refused = (rule: string) =>
    new Fault("endpoint-refused", `Cannot ask pod ${name} for metrics: ${rule}`, {
      endpoint: name,
      rule,
    });
  if (onHostNetwork && !allowHostNetwork)
    return refused(
      "it is on its node's network, where every port of the node would be in reach; give it a " +
        "network of its own, or have the operator set --allow-host-network",
    );
  const { port } = target;
  const allowed = new Set([...ports, ...ownPorts(ports, target)]);
  if (port === undefined || allowed.has(port)) return undefined;
  return refused(
    `enginePort ${port} is none that its containers declare or its engine has ` +
      `(${[...allowed].join(", ")}); declare it as a containerPort, or correct enginePort`,
  );
}

/** Ports of engines: the named one's, or where nothing says which port it is, those of all. */
function ownPorts(
  declared: readonly number[],
  target: Pick<ScrapeTarget, "engine">,
): readonly number[] {
  const adapter = namedAdapter(target);
  if (adapter !== undefined) return [adapter.port];
  return declared.length === 0 ? commonPorts : [];
}

/** Age from which a target's last scrape does not count any more. */
export function targetStaleMs(intervalMs: number): number {
  return Math.max(engineStaleIntervals * intervalMs, engineStaleLeastMs);
}
