import { Fault } from "#core/fault.ts";
import { engineStaleIntervals, engineStaleLeastMs } from "#core/limits.ts";
import type { Adapter } from "#engine/adapters/adapter.ts";
import { adapterOf, adapters } from "#engine/adapters/all.ts";
import { engineFacts, engineNames } from "#metric/engines.ts";

/** Where an engine is, and what is known of it beforehand. */
export interface ScrapeTarget {
  /** A pod by the address that the Kubernetes API gives, or a URL from a trigger. */
  readonly at:
    | {
        readonly podAddress: string;
        /** Those that it declares, the likeliest first; none: the engine's own. */
        readonly ports: readonly number[];
        /** Who has the address: pods come and go, and the next one is another target. */
        readonly owner?: string;
      }
    | { readonly url: string; readonly namespace: string };
  /** The only port to look at. */
  readonly port?: number | undefined;
  /** Absent: found out from the page. */
  readonly engine?: string | undefined;
  /** Absent: the engine's own, or those that engines commonly have. */
  readonly path?: string | undefined;
  /** A bearer token, read anew at each scrape because tokens rotate. */
  readonly tokenFile?: string | undefined;
}

/** One place to look for the metrics. */
export interface Candidate {
  /** Absent for a URL, which has one. */
  readonly port?: number;
  readonly path: string;
}

export function targetKey({ at, port, engine, path, tokenFile }: ScrapeTarget): string {
  return JSON.stringify([at, port, engine, path, tokenFile]);
}

const textPortsMax = 4;

/** As people read it. */
export function targetText(spec: ScrapeTarget): string {
  const { at, path = "" } = spec;
  if ("url" in at) return at.url;
  const host = at.podAddress.includes(":") ? `[${at.podAddress}]` : at.podAddress;
  const ports = portsOf(at.ports, spec);
  // Of an engine that nobody named there are a dozen.
  const port = ports.length > textPortsMax ? "" : `:${ports.join("|")}`;
  return `http://${host}${port}${path}`;
}

/** @throws {Fault} `signal-unavailable` for an engine that does not exist. */
export function namedAdapter({ engine }: ScrapeTarget): Adapter | undefined {
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

/** Every place to look, the likeliest first. */
export function candidatesOf(spec: ScrapeTarget): readonly Candidate[] {
  const adapter = namedAdapter(spec);
  const { at, path } = spec;
  const own = adapter === undefined ? commonPaths : [adapter.path, ...adapter.otherPaths];
  if ("url" in at) {
    const url = URL.parse(at.url);
    const given = url === null || url.pathname === "/" ? path : `${url.pathname}${url.search}`;
    return (given === undefined ? own : [given]).map((one) => ({ path: one }));
  }
  const paths = path === undefined ? own : [path];
  return portsOf(at.ports, spec).flatMap((port) => paths.map((one) => ({ port, path: one })));
}

/**
 * The ports to look at, the likeliest first. What a pod declares is only information for people, so
 * a named engine's own port counts too.
 */
function portsOf(declared: readonly number[], spec: ScrapeTarget): readonly number[] {
  if (spec.port !== undefined) return [spec.port];
  const adapter = namedAdapter(spec);
  if (adapter === undefined) return declared.length > 0 ? declared : commonPorts;
  const { port } = adapter;
  return declared.includes(port)
    ? [port, ...declared.filter((other) => other !== port)]
    : [...declared, port];
}

/** Age from which a target's last scrape does not count any more. */
export function targetStaleMs(intervalMs: number): number {
  return Math.max(engineStaleIntervals * intervalMs, engineStaleLeastMs);
}
