/**
 * The `/scale` of every workload that may be asked for: which pods are its own, and how many it
 * should have.
 *
 * `/scale` cannot be watched. A selector hardly ever changes and pods are watched anyway, so each is
 * read when its workload is new or changed, `scaleSettleMs` after its pods came, went or changed
 * their readiness, as often while one is not ready or there are not as many as it should have,
 * within `scaleRetryMostMs` after a read that failed, and otherwise every `scaleEveryMs`: at rest
 * 500 workloads cost 100 requests a minute, and each that starts a pod costs 6.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { type BackOff, backOff } from "#core/back-off.ts";
import type { Clock } from "#core/clock.ts";
import { Fault, type FaultFacts } from "#core/fault.ts";
import {
  apiRetryLeastMs,
  scaleEveryMs,
  scaleQueueMs,
  scaleReadsAtOnce,
  scaleRetryMostMs,
  scaleSettleMs,
  scaleStaleMs,
} from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import { slots } from "#core/slots.ts";
import type { ScaleTarget } from "#kubernetes/api-resources.ts";
import { groupPath, resourceNames } from "#kubernetes/api-resources.ts";
import type { KubernetesClient } from "#kubernetes/client.ts";
import {
  type Labels,
  matchesLabels,
  parseSelector,
  type SelectorRequirement,
} from "#kubernetes/label-selector.ts";

/** What `/scale` said last. */
export interface Scale {
  /** What its pods' labels fulfil; absent when the kind does not say which pods are its own. */
  readonly selector?: readonly SelectorRequirement[] | undefined;
  /** `spec.replicas`, which is what the HPA changes. */
  readonly replicas: number;
  /** Pods have come or gone since it was read, so that the count may be another by now. */
  readonly isOutdated?: boolean | undefined;
}

export interface ScaleReader {
  /** Reads the target from now on; another target under the same key replaces it. */
  readonly add: (key: string, namespace: string, target: ScaleTarget) => void;
  readonly delete: (key: string) => void;
  /** Deletes every other. */
  readonly retain: (keys: ReadonlySet<string>) => void;
  /** After a pod came or went: the targets that select it are outdated, and read again soon. */
  readonly podChanged: (namespace: string, labels: Labels) => void;
  /** After a pod became ready or unready, which its controller may have waited for: read again soon. */
  readonly readinessChanged: (namespace: string, labels: Labels) => void;
  /**
   * @returns The newest, why there is none, or `undefined` while it is read for the first time. One
   * that was read longer ago than `scaleStaleMs` is a `data-stale`.
   */
  readonly get: (key: string) => Scale | Fault | undefined;
  readonly stop: () => void;
}

export interface ScaleReaderOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Runs when what `get` returns has changed. */
  readonly changed: (key: string) => void;
  /** Whether a pod that it selects is not ready. */
  readonly isStarting: (namespace: string, selector: readonly SelectorRequirement[]) => boolean;
}

interface ScaleEntry {
  readonly namespace: string;
  readonly target: ScaleTarget;
  readonly delays: BackOff;
  dueAtMs: number;
  /** It is read now, or waits for its turn. */
  reading: boolean;
  latest?: Scale | Fault;
  /** How often its pods have come or gone. */
  podChanges: number;
  /** When `latest` was read. */
  readAtMs: number;
  /** Why the newest read failed; absent when it did not. */
  failure?: Fault | undefined;
}

interface RawScale {
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly selector?: string; readonly replicas?: number };
}

export function scaleReader(options: ScaleReaderOptions): ScaleReader {
  const { client, clock, random, log } = options;
  const entries = new Map<string, ScaleEntry>();
  const stopped = new AbortController();
  const inSlot = slots(scaleReadsAtOnce);
  const readScale = scaleRequest(client, clock, stopped.signal);

  const store = (key: string, entry: ScaleEntry, latest: Scale | Fault, nextInMs: number) => {
    if (entries.get(key) !== entry) return;
    // A pod that came or went while it was read has asked for an earlier time.
    entry.dueAtMs = Math.min(entry.dueAtMs, clock.monotonicMs() + nextInMs);
    if (Bun.deepEquals(latest, entry.latest)) return;
    entry.latest = latest;
    options.changed(key);
  };
  const refresh = async (key: string, entry: ScaleEntry) => {
    if (stopped.signal.aborted || entries.get(key) !== entry) return;
    entry.dueAtMs = Number.POSITIVE_INFINITY;
    const { podChanges } = entry;
    try {
      const { scale, isSettled } = await readScale(entry);
      entry.delays.reset();
      entry.readAtMs = clock.monotonicMs();
      entry.failure = undefined;
      const latest = entry.podChanges === podChanges ? scale : { ...scale, isOutdated: true };
      const isMoving = !isSettled || latest.isOutdated || hasStarting(entry, scale, options);
      store(key, entry, latest, isMoving ? scaleSettleMs : scaleEveryMs * (0.8 + random() * 0.4));
    } catch (cause) {
      store(key, entry, afterFailure(key, entry, cause, log), entry.delays.next());
    }
    entry.reading = false;
  };
  const readDue = () => {
    for (const [key, entry] of dueEntries(entries, clock.monotonicMs())) {
      entry.reading = true;
      void inSlot(() => refresh(key, entry));
    }
  };
  const readSoon = (namespace: string, labels: Labels) => {
    const changed = selecting(entries, namespace, labels);
    const soonMs = clock.monotonicMs() + scaleSettleMs;
    for (const entry of changed) entry.dueAtMs = Math.min(entry.dueAtMs, soonMs);
    return changed;
  };
  const cancel = clock.every(scaleQueueMs, readDue);

  return {
    add: (key, namespace, target) => {
      if (Bun.deepEquals(entries.get(key)?.target, target)) return;
      entries.set(key, newEntry(namespace, target, options));
      readDue();
    },
    delete: (key) => void entries.delete(key),
    retain: (keys) => {
      for (const key of entries.keys()) if (!keys.has(key)) entries.delete(key);
    },
    podChanged: (namespace, labels) => {
      for (const entry of readSoon(namespace, labels)) outdate(entry);
    },
    readinessChanged: readSoon,
    get: (key) => {
      const entry = entries.get(key);
      return entry && latestOf(entry, clock.monotonicMs());
    },
    stop: () => {
      stopped.abort();
      cancel();
    },
  };
}

function dueEntries(entries: ReadonlyMap<string, ScaleEntry>, nowMs: number) {
  return [...entries].filter(([, { reading, dueAtMs }]) => !reading && dueAtMs <= nowMs);
}

function newEntry(
  namespace: string,
  target: ScaleTarget,
  { clock, random }: Pick<ScaleReaderOptions, "clock" | "random">,
): ScaleEntry {
  return {
    namespace,
    target,
    delays: backOff({ leastMs: apiRetryLeastMs, mostMs: scaleRetryMostMs, random }),
    dueAtMs: 0,
    reading: false,
    podChanges: 0,
    readAtMs: clock.monotonicMs(),
  };
}

/**
 * Where a controller waits for a pod to be ready, no pod tells that the count has changed; and pods
 * that come or go one by one leave the HPA time to change it in between.
 */
function hasStarting(
  { namespace }: ScaleEntry,
  { selector }: Scale,
  { isStarting }: Pick<ScaleReaderOptions, "isStarting">,
): boolean {
  return selector !== undefined && isStarting(namespace, selector);
}

/** Those whose selector, where it is known, has a pod of these labels. */
function selecting(entries: ReadonlyMap<string, ScaleEntry>, namespace: string, labels: Labels) {
  return [...entries.values()].filter((entry) => {
    const { latest } = entry;
    if (entry.namespace !== namespace || latest === undefined || latest instanceof Fault)
      return false;
    return latest.selector !== undefined && matchesLabels(latest.selector, labels);
  });
}

function outdate(entry: ScaleEntry): void {
  const { latest } = entry;
  entry.podChanges += 1;
  if (latest !== undefined && !(latest instanceof Fault))
    entry.latest = { ...latest, isOutdated: true };
}

function latestOf(entry: ScaleEntry, nowMs: number): Scale | Fault | undefined {
  const { latest, readAtMs } = entry;
  if (latest === undefined || latest instanceof Fault) return latest;
  const ageMs = nowMs - readAtMs;
  return ageMs > scaleStaleMs ? stale(entry, ageMs) : latest;
}

function scaleRequest(client: KubernetesClient, clock: Clock, signal: AbortSignal) {
  const resourceOf = resourceNames(client, clock);
  return async ({ namespace, target }: ScaleEntry) => {
    const names = [namespace, await resourceOf(target), target.name].map(encodeURIComponent);
    const path = `${groupPath(target)}/namespaces/${names.join("/")}/scale`;
    const { spec, status } = (await client.get(path, {}, signal)) as RawScale;
    const parsed = parseSelector(status?.selector ?? "");
    if ("problem" in parsed) throw unusable(target, namespace, `its selector ${parsed.problem}`);
    const { requirements } = parsed;
    const replicas = spec?.replicas ?? 0;
    const selector = requirements.length === 0 ? undefined : requirements;
    const scale: Scale = { replicas, selector };
    return { scale, isSettled: (status?.replicas ?? replicas) === replicas };
  };
}

/**
 * An API server that is away, or that refuses, says nothing of the target: what it said last still
 * serves for `scaleStaleMs`.
 */
function afterFailure(key: string, entry: ScaleEntry, cause: unknown, log: Log): Scale | Fault {
  const { namespace, target, latest } = entry;
  assert(cause instanceof Fault, `a read of /scale failed with ${String(cause)}`);
  const fault = isNotFound(cause)
    ? unusable(target, namespace, "it does not exist or has no /scale", cause)
    : cause;
  entry.failure = fault;
  if (fault.code !== "scale-target-unusable") return latest ?? fault;
  if (!(latest instanceof Fault)) log("warn", "scale target unusable", { key, why: fault.message });
  return fault;
}

function isNotFound({ code, facts }: Fault): boolean {
  return code === "kubernetes-failed" && (facts as FaultFacts["kubernetes-failed"]).status === 404;
}

function stale({ namespace, target: { kind, name }, failure }: ScaleEntry, ageMs: number): Fault {
  const seconds = Math.round(ageMs / 1_000);
  const why = failure === undefined ? "" : ` (${failure.message})`;
  return new Fault(
    "data-stale",
    `Cannot tell the replicas of ${kind} ${namespace}/${name}: its /scale was last read ` +
      `${seconds} s ago, and ${scaleStaleMs / 1_000} s is the limit${why}; let the scaler read it`,
    { limitMs: scaleStaleMs, ageMs },
    failure,
  );
}

function unusable(
  { kind, name }: ScaleTarget,
  namespace: string,
  problem: string,
  cause?: unknown,
): Fault {
  const target = `${kind} ${namespace}/${name}`;
  return new Fault(
    "scale-target-unusable",
    `Cannot find the pods of ${target}: ${problem}; correct it, or the scaleTargetRef`,
    { target },
    cause,
  );
}
