/**
 * How a workload is used at one instant, whatever its triggers read: its replicas, what their devices
 * do, and what their engines tell anyway. Nothing more is read for it, and what is not known is absent.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import type { EngineReading } from "#engine/scrape/reading.ts";
import type { ScrapeTarget } from "#engine/scrape/target.ts";
import type { SignalQuery } from "#engine/signal/query.ts";
import type { FleetView } from "#fleet/view.ts";
import type { MetricName } from "#metric/catalogue.ts";
import { engineNames } from "#metric/engines.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { Workload } from "#workload/workload.ts";
import type { ParsedTrigger } from "./answer.ts";
import { readsEngines } from "./engine.ts";
import type { EngineReader } from "./engine-reader.ts";
import { podTarget } from "./engine-target.ts";
import { podDevicesResult } from "./pod-devices.ts";
import { metricQuery } from "./query.ts";

/** Of the replicas that are known. */
export interface ReplicaSpread {
  readonly least: number;
  readonly mean: number;
  readonly most: number;
}

export interface WorkloadUsage {
  /** `spec.replicas` of the scale target. */
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** Each replica is the mean of its devices; of a shared one its equal part counts. */
  readonly utilizationPercent?: ReplicaSpread | undefined;
  readonly memoryUsedPercent?: ReplicaSpread | undefined;
  readonly powerWatts?: ReplicaSpread | undefined;
  /** Absent where the object's triggers have no engine of its pods read. */
  readonly engine?: EngineUsage | undefined;
  /** By the name of a container, where no engine was read. */
  readonly likelyEngine?: string | undefined;
  /** Of each pod that is not ready and never was: its uid. */
  readonly startingPods: readonly string[];
  /** Milliseconds from the creation of each ready pod to its last becoming ready, by its uid. */
  readonly readyAfterMs: ReadonlyMap<string, number>;
}

/** Of the replicas whose engine tells it. */
export interface EngineUsage {
  readonly name?: string | undefined;
  readonly waiting?: number | undefined;
  readonly running?: number | undefined;
  /** In the replica that runs most. */
  readonly runningMost?: number | undefined;
  /** In the replica that runs most among those where nothing waits. */
  readonly unqueuedMost?: number | undefined;
  /** In the replica whose cache is fullest. */
  readonly cachePercentMost?: number | undefined;
}

export interface UsageSources {
  readonly view: FleetView;
  readonly engines: Pick<EngineReader, "podRefusal" | "mountedFile"> & {
    /** What is read of the target anyway; empty where nothing is. */
    readonly peek: (
      target: ScrapeTarget,
      queries: readonly SignalQuery[],
    ) => readonly EngineReading[];
  };
  readonly nowMs: number;
}

/** @throws {Fault} as the answer to this trigger would, where its own keys are wrong. */
export function workloadUsage(
  one: ParsedTrigger,
  workload: Workload,
  sources: UsageSources,
): WorkloadUsage {
  const { replicas, minReplicas, maxReplicas, pods } = workload;
  const ready = pods.filter((pod) => pod.state === "counted" && pod.ready);
  const spread = (metric: MetricName) => deviceSpread(one, metric, ready, sources);
  const engine = engineUsage(one.trigger, ready, sources);
  return {
    replicas,
    readyReplicas: ready.length,
    minReplicas,
    maxReplicas,
    utilizationPercent: spread("gpu_utilization"),
    memoryUsedPercent: spread("memory_used_percent"),
    powerWatts: spread("power_draw"),
    engine,
    likelyEngine: engine?.name === undefined ? likelyEngine(pods) : undefined,
    startingPods: pods.flatMap(({ state, uid }) => (state === "warming" ? [uid] : [])),
    readyAfterMs: new Map(
      ready.flatMap(({ uid, readyAfterMs }) =>
        readyAfterMs === undefined ? [] : [[uid, readyAfterMs]],
      ),
    ),
  };
}

/** The newest readings, as an activity has them. */
function deviceSpread(
  { ref, trigger }: ParsedTrigger,
  metric: MetricName,
  pods: readonly Pod[],
  { view, nowMs }: UsageSources,
): ReplicaSpread | undefined {
  const ofMetric: Trigger = { ...trigger, activationMetric: metric, aggregation: "avg" };
  const query = metricQuery(ref, ofMetric, "activity");
  if (query.source !== "device") return undefined;
  const values = pods.flatMap((pod) => {
    const result = podDevicesResult(pod, query, view, nowMs);
    return result.state === "known" ? [result.value] : [];
  });
  if (values.length === 0) return undefined;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { least: Math.min(...values), mean, most: Math.max(...values) };
}

const signals = ["queue_depth", "running_requests", "kv_cache_usage"] as const;

function engineUsage(
  trigger: Trigger,
  pods: readonly Pod[],
  { engines }: UsageSources,
): EngineUsage | undefined {
  if (trigger.endpoint !== undefined || !readsEngines(trigger)) return undefined;
  const match = trigger.engineLabels ?? [];
  const queries = signals.map((signal): SignalQuery => ({ signal, windowMs: 0, match }));
  const replicas = pods.flatMap((pod) => {
    const target = podTarget(pod, trigger, engines);
    if (target === undefined || target instanceof Fault) return [];
    const readings = engines.peek(target, queries);
    const [waiting, running, cache] = readings.map((reading) =>
      reading.state === "known" ? reading.value : undefined,
    );
    return [{ name: readings[0]?.engine, waiting, running, cache }];
  });
  const all = (key: "waiting" | "running" | "cache") => replicas.flatMap((one) => one[key] ?? []);
  const unqueued = replicas.flatMap(({ waiting, running }) =>
    waiting === 0 ? (running ?? []) : [],
  );
  return {
    name: replicas.find(({ name }) => name !== undefined)?.name,
    waiting: sumOf(all("waiting")),
    running: sumOf(all("running")),
    runningMost: mostOf(all("running")),
    unqueuedMost: mostOf(unqueued),
    cachePercentMost: mostOf(all("cache")),
  };
}

function sumOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
}

function mostOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.max(...values);
}

const longestFirst = engineNames.toSorted((one, other) => other.length - one.length);

/** `vllm`, `vllm-openai`: people name the container after what runs in it. */
function likelyEngine(pods: readonly Pod[]): string | undefined {
  const names = new Set(pods.flatMap(({ containers }) => containers.map(({ name }) => name)));
  return longestFirst.find((engine) =>
    [...names].some((name) => name === engine || name.startsWith(`${engine}-`)),
  );
}
