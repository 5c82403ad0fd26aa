/**
 * What a trigger asks of which engine.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { Fault } from "#core/fault.ts";
import type { ScrapeTarget } from "#engine/scrape/target.ts";
import type { SignalQuery } from "#engine/signal/ask.ts";
import type { EngineMetric, SignalName } from "#metric/catalogue.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { EngineEndpoint, EngineReader } from "./engine-reader.ts";
import type { Wanted } from "./part.ts";

export type EngineWanted = Wanted & { readonly row: EngineMetric };

export function askOf({ windowSeconds, row }: EngineWanted, trigger: Trigger): SignalQuery {
  const { engineMetric, engineLabels: match = [] } = trigger;
  const signal = row.signal ?? engineMetric;
  assert(signal !== undefined, "a trigger that asks for engine_metric names it");
  return { signal, windowMs: windowSeconds * 1_000, match };
}

/**
 * Signals that are 0 while the engine still works: a busy server whose queue is empty must not be
 * taken for one that nobody uses.
 */
const queueSignals: ReadonlySet<unknown> = new Set<SignalName>(["queue_depth", "queue_wait_ms"]);

/** What also tells that an engine is in use; `undefined` where the metric says it all. */
export function guardOf(wanted: EngineWanted, trigger: Trigger): SignalQuery | undefined {
  const ask = askOf(wanted, trigger);
  return queueSignals.has(ask.signal)
    ? { ...ask, signal: "running_requests", windowMs: 0 }
    : undefined;
}

type Tokens = Pick<EngineReader, "tokenFile">;

/** Port names that people give to a page of metrics, in whatever words around them. */
const metricsPort = /metric|prom/;

/** Where a pod's engine is; `undefined` while the pod has no address. */
export function podTarget(pod: Pod, trigger: Trigger, engines: Tokens): ScrapeTarget | undefined {
  if (pod.ip === undefined) return undefined;
  const declared = pod.containers.flatMap(({ ports }) => ports);
  const isNamed = ({ name = "" }: (typeof declared)[number]) => metricsPort.test(name);
  const ports = [...declared.filter(isNamed), ...declared.filter((port) => !isNamed(port))];
  const at = {
    podAddress: pod.ip,
    ports: [...new Set(ports.map(({ port }) => port))],
    owner: pod.uid,
  };
  return { at, ...spoken(trigger, pod.namespace, engines) };
}

export function placeTarget(
  { at, port, path }: EngineEndpoint,
  namespace: string,
  trigger: Trigger,
  engines: Tokens,
): ScrapeTarget {
  return {
    at,
    ...spoken(trigger, namespace, engines),
    ...(port === undefined ? {} : { port }),
    ...(path === undefined ? {} : { path }),
  };
}

/** What the trigger itself says of the engine. */
function spoken(
  { engine, enginePort, enginePath, engineTokenFile }: Trigger,
  namespace: string,
  { tokenFile }: Tokens,
): Omit<ScrapeTarget, "at"> {
  return {
    ...(engineTokenFile === undefined ? {} : { tokenFile: tokenFile(namespace, engineTokenFile) }),
    ...(engine === undefined ? {} : { engine }),
    ...(enginePort === undefined ? {} : { port: enginePort }),
    ...(enginePath === undefined ? {} : { path: enginePath }),
  };
}

export function noEngines(metric: string, scope: string): Fault {
  return new Fault(
    "scope-unavailable",
    `Cannot answer ${metric} in scope ${scope}: it is read from the engines in the workload's ` +
      "pods, for which this process needs the Kubernetes API and scope workload; run it in the " +
      "cluster, or give the engine's URL in metadata endpoint",
    { scope },
  );
}
