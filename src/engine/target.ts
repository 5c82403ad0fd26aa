import { Fault } from "#core/fault.ts";
import { engineStaleIntervals, engineStaleLeastMs } from "#core/limits.ts";
import { engineFacts, engineNames } from "#metric/engines.ts";
import type { Adapter } from "./adapter.ts";
import type { Ask } from "./ask.ts";
import { adapterOf, adapters } from "./engines.ts";

/** Where an engine is, and what is known of it beforehand. */
export interface TargetSpec {
  /** A pod by the address that the Kubernetes API gives, or a URL from a trigger. */
  readonly at:
    | { readonly podAddress: string; readonly ports: readonly number[] }
    | { readonly url: string; readonly namespace: string };
  /** Absent: found out from the page. */
  readonly engine?: string;
  /** Absent: the engine's own, or those that engines commonly have. */
  readonly path?: string;
  /** A bearer token, read anew at each scrape because tokens rotate. */
  readonly tokenFile?: string;
}

/** One place to look for the metrics. */
export interface Candidate {
  /** Absent for a URL, which has one. */
  readonly port?: number;
  readonly path: string;
}

export function targetKey({ at, engine, path, tokenFile }: TargetSpec): string {
  return JSON.stringify([at, engine, path, tokenFile]);
}

/** As people read it. */
export function targetText({ at, path = "" }: TargetSpec): string {
  return "url" in at ? at.url : `http://${at.podAddress}:${at.ports.join("|")}${path}`;
}

/** @throws {Fault} `signal-unavailable` for an engine that does not exist. */
export function namedAdapter({ engine }: TargetSpec): Adapter | undefined {
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
export function candidatesOf(spec: TargetSpec): readonly Candidate[] {
  const adapter = namedAdapter(spec);
  const { at, path } = spec;
  const own = adapter === undefined ? commonPaths : [adapter.path, ...adapter.otherPaths];
  if ("url" in at) {
    const url = URL.parse(at.url);
    const given = url === null || url.pathname === "/" ? path : `${url.pathname}${url.search}`;
    return (given === undefined ? own : [given]).map((one) => ({ path: one }));
  }
  const known = adapter === undefined ? commonPorts : [adapter.port];
  const ports = at.ports.length > 0 ? at.ports : known;
  const paths = path === undefined ? own : [path];
  return ports.flatMap((port) => paths.map((one) => ({ port, path: one })));
}

/** Age from which a target's last scrape does not count any more. */
export function targetStaleMs(intervalMs: number): number {
  return Math.max(engineStaleIntervals * intervalMs, engineStaleLeastMs);
}

/** How long scrapes are kept to answer an ask; latencies may need their window widened. */
export function keptMs({ windowMs }: Ask, intervalMs: number): number {
  return Math.max(windowMs, widestKeptMs) + 2 * intervalMs;
}
const widestKeptMs = 300_000;
