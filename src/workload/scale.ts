/**
 * The `/scale` of every prepared workload: which pods are its own, and how many it should have.
 *
 * `/scale` cannot be watched. A selector changes hardly ever and pods are watched anyway, so each is
 * read when its workload is new or changed, `scaleSettleMs` after its pods came or went, and
 * otherwise every `scaleEveryMs`: 500 workloads at rest cost 100 requests a minute.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { type BackOff, backOff } from "#core/back-off.ts";
import type { Clock } from "#core/clock.ts";
import { Fault, type FaultFacts } from "#core/fault.ts";
import { apiRetryLeastMs, scaleEveryMs, scaleReadsAtOnce, scaleSettleMs } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { ScaleTarget } from "#kubernetes/api-resources.ts";
import { groupPath, resourceNames } from "#kubernetes/api-resources.ts";
import type { KubernetesClient } from "#kubernetes/client.ts";
import { type Labels, matchesTerms, parseSelector, type Term } from "#kubernetes/label-selector.ts";

/** What `/scale` said last. */
export interface Scale {
  /** Absent when the kind does not say which pods are its own. */
  readonly terms?: readonly Term[];
  /** As asked for, which is what the HPA changes. */
  readonly replicas: number;
}

export interface ScaleReader {
  /** Reads the target from now on; another target under the same key replaces it. */
  readonly want: (key: string, namespace: string, target: ScaleTarget) => void;
  readonly forget: (key: string) => void;
  /** Forgets every other. */
  readonly keep: (keys: ReadonlySet<string>) => void;
  /** Says that a pod came or went: those it belongs to are read again soon. */
  readonly touch: (namespace: string, labels: Labels) => void;
  /** @returns The newest, why there is none, or `undefined` while it is being read. */
  readonly of: (key: string) => Scale | Fault | undefined;
  readonly stop: () => void;
}

export interface ScaleReaderOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Runs when what `of` returns has changed. */
  readonly changed: (key: string) => void;
}

interface Wanted {
  readonly namespace: string;
  readonly target: ScaleTarget;
  readonly delays: BackOff;
  dueAtMs: number;
  reading: boolean;
  known?: Scale | Fault;
}

interface RawScale {
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly selector?: string };
}

/** How often the queue is looked at. */
const tickMs = 1_000;

export function scaleReader(options: ScaleReaderOptions): ScaleReader {
  const { client, clock, random, log, changed } = options;
  const wanted = new Map<string, Wanted>();
  const resourceOf = resourceNames(client, clock);
  const stopped = new AbortController();
  let reads = 0;

  const read = async ({ namespace, target }: Wanted): Promise<Scale> => {
    const names = [namespace, await resourceOf(target), target.name].map(encodeURIComponent);
    const path = `${groupPath(target)}/namespaces/${names.join("/")}/scale`;
    const { spec, status } = (await client.get(path, {}, stopped.signal)) as RawScale;
    const { selector = "" } = status ?? {};
    const parsed = parseSelector(selector);
    if ("problem" in parsed) throw unusable(target, namespace, `its selector ${parsed.problem}`);
    const { terms } = parsed;
    return { replicas: spec?.replicas ?? 0, ...(terms.length === 0 ? {} : { terms }) };
  };

  const settle = (key: string, entry: Wanted, known: Scale | Fault, waitMs: number) => {
    if (wanted.get(key) !== entry) return;
    entry.dueAtMs = clock.monotonicMs() + waitMs;
    const same = Bun.deepEquals(known, entry.known);
    entry.known = known;
    if (!same) changed(key);
  };

  /** An API server that is away says nothing of the target: what it said last still serves. */
  const failed = (key: string, { namespace, target, known }: Wanted, cause: unknown) => {
    assert(cause instanceof Fault, `a read of /scale failed with ${String(cause)}`);
    const fault = isNotFound(cause)
      ? unusable(target, namespace, "it does not exist or has no /scale", cause)
      : cause;
    if (fault.code !== "scale-target-unusable") return known ?? fault;
    if (!(known instanceof Fault))
      log("warn", "scale target unusable", { key, why: fault.message });
    return fault;
  };

  const refresh = async (key: string, entry: Wanted) => {
    entry.reading = true;
    entry.dueAtMs = Number.POSITIVE_INFINITY;
    reads += 1;
    try {
      const known = await read(entry);
      entry.delays.reset();
      settle(key, entry, known, scaleEveryMs * (0.8 + random() * 0.4));
    } catch (cause) {
      settle(key, entry, failed(key, entry, cause), entry.delays.next());
    } finally {
      entry.reading = false;
      reads -= 1;
      pump();
    }
  };

  const pump = () => {
    if (stopped.signal.aborted) return;
    const nowMs = clock.monotonicMs();
    for (const [key, entry] of wanted) {
      if (reads >= scaleReadsAtOnce) return;
      if (!entry.reading && entry.dueAtMs <= nowMs) void refresh(key, entry);
    }
  };
  const cancel = clock.every(tickMs, pump);

  return {
    want: (key, namespace, target) => {
      const known = wanted.get(key);
      if (known !== undefined && Bun.deepEquals(known.target, target)) return;
      const delays = backOff({ leastMs: apiRetryLeastMs, mostMs: scaleEveryMs, random });
      wanted.set(key, { namespace, target, delays, dueAtMs: 0, reading: false });
      pump();
    },
    forget: (key) => {
      wanted.delete(key);
    },
    keep: (keys) => {
      for (const key of wanted.keys()) if (!keys.has(key)) wanted.delete(key);
    },
    touch: (namespace, labels) => {
      const soonMs = clock.monotonicMs() + scaleSettleMs;
      for (const entry of wanted.values()) {
        const { terms } = entry.known instanceof Fault ? {} : (entry.known ?? {});
        if (entry.namespace !== namespace || terms === undefined) continue;
        if (matchesTerms(terms, labels)) entry.dueAtMs = Math.min(entry.dueAtMs, soonMs);
      }
    },
    of: (key) => wanted.get(key)?.known,
    stop: () => {
      stopped.abort();
      cancel();
    },
  };
}

function isNotFound({ code, facts }: Fault): boolean {
  return code === "kubernetes-failed" && (facts as FaultFacts["kubernetes-failed"]).status === 404;
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
