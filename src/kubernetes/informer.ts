/**
 * Keeps a copy of one collection: list it in pages, watch it from there, for ever.
 *
 * The copy stays when the API server goes: whoever reads it decides how old is too old. A version
 * that is gone (410) begins the list anew; anything else that ends a watch goes on from the last
 * version seen, bookmarks included, so that a restart of the API server costs no lists.
 *
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 *
 * @module
 */

import { backOff } from "#core/back-off.ts";
import type { Clock } from "#core/clock.ts";
import { Fault, type FaultFacts, messageOf } from "#core/fault.ts";
import { apiPageItems, apiRetryLeastMs, apiRetryMostMs, apiWatchMs } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { KubernetesClient, Query } from "./client.ts";

export interface InformerOptions<Item> {
  readonly client: KubernetesClient;
  /** Of the collection: `/api/v1/namespaces/llm/pods`. */
  readonly path: string;
  readonly query?: Query;
  /** What is kept of an object; `undefined` keeps nothing of it. */
  readonly transform: (object: unknown) => Item | undefined;
  /** Runs for every item that is new, another than before or gone. */
  readonly changed: (change: InformerChange<Item>) => void;
  /** Runs after every whole list. */
  readonly listed?: () => void;
  readonly clock: Clock;
  /** From 0 to 1: spreads time-outs and retries. */
  readonly random: () => number;
  readonly log: Log;
}

/** One object's new state. */
export interface InformerChange<Item> {
  /** `namespace/name`. */
  readonly key: string;
  /** Absent when it is gone. */
  readonly item?: Item | undefined;
  /** Absent when it is new. */
  readonly before?: Item | undefined;
}

export interface Informer<Item> {
  /** By `namespace/name`. */
  readonly items: ReadonlyMap<string, Item>;
  /** False until the first whole list. */
  readonly synced: () => boolean;
  /** Milliseconds since the API server last confirmed it; infinite before it did. */
  readonly ageMs: () => number;
  /** Why the last attempt failed; `undefined` while there is no failure. */
  readonly failure: () => Fault | undefined;
  readonly stop: () => void;
}

/** What is read of every object, and of a list. */
interface RawObject {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly continue?: string;
  };
}
interface RawList extends RawObject {
  readonly items?: readonly RawObject[];
}
interface ErrorStatus {
  readonly code?: number;
  readonly message?: string;
}
interface WatchEvent {
  readonly type: string;
  readonly object: RawObject & ErrorStatus;
}

export function informer<Item>(options: InformerOptions<Item>): Informer<Item> {
  const { clock, listed = () => {} } = options;
  const store = itemStore(options);
  const stopped = new AbortController();
  const health = apiHealth(options);
  let version: string | undefined;
  let synced = false;

  const list = async () => {
    version = await listAll(options, stopped.signal, store, health.confirmed);
    synced = true;
    listed();
  };
  const received = ({ type, object }: WatchEvent) => {
    if (type === "ERROR") throw watchFault(options.path, object);
    health.confirmed();
    health.works();
    if (type === "DELETED") store.delete(keyOf(object));
    else if (type !== "BOOKMARK") store.put(object);
    version = object.metadata?.resourceVersion ?? version;
  };
  const watch = async () => {
    const openedAtMs = clock.monotonicMs();
    const events = openWatch(options, version, stopped.signal, health.confirmed);
    for await (const event of events) received(event as WatchEvent);
    // A watch that ends as soon as it began would otherwise be opened in a busy loop.
    if (clock.monotonicMs() - openedAtMs < apiRetryMostMs) await pause(health.delays.next());
    else health.works();
  };
  const pause = (delayMs: number) => abortablePause(clock, delayMs, stopped.signal);
  const run = async () => {
    while (!stopped.signal.aborted) {
      try {
        if (version === undefined) await list();
        else await watch();
      } catch (cause) {
        if (stopped.signal.aborted) return;
        const { isGone, retryMs } = health.failed(cause);
        if (isGone) version = undefined;
        await pause(retryMs);
      }
    }
  };
  void run();

  return {
    items: store.items,
    synced: () => synced,
    ageMs: health.ageMs,
    failure: health.failure,
    stop: () => stopped.abort(),
  };
}

/** The copy itself, which says what each object changed. */
function itemStore<Item>({
  transform,
  changed,
  path,
  log,
}: Pick<InformerOptions<Item>, "transform" | "changed" | "path" | "log">) {
  const items = new Map<string, Item>();
  const remove = (key: string) => {
    const before = items.get(key);
    if (items.delete(key)) changed({ key, before });
  };
  /** One that is not as its kind is would else stop the list or watch of all the others. */
  const readItem = (object: RawObject, key: string): Item | undefined => {
    try {
      return transform(object);
    } catch (error) {
      const why = messageOf(error);
      log("warn", "kubernetes object cannot be read, and is left out", { path, key, why });
      return undefined;
    }
  };
  return {
    items: items as ReadonlyMap<string, Item>,
    delete: remove,
    /** @returns The object's key. */
    put: (object: RawObject): string => {
      const key = keyOf(object);
      const item = readItem(object, key);
      if (item === undefined) {
        remove(key);
        return key;
      }
      const before = items.get(key);
      // Most events of a pod change nothing that is kept, and a list repeats what is known.
      if (Bun.deepEquals(before, item)) return key;
      items.set(key, item);
      changed({ key, item, before });
      return key;
    },
    retain: (keys: ReadonlySet<string>) => {
      for (const key of [...items.keys()]) if (!keys.has(key)) remove(key);
    },
  };
}

/** @returns The version from which to watch; absent when the server gave none. */
async function listAll<Item>(
  { client, path, query = {} }: InformerOptions<Item>,
  signal: AbortSignal,
  store: Pick<ReturnType<typeof itemStore>, "put" | "retain">,
  confirmed: () => void,
): Promise<string | undefined> {
  const listed = new Set<string>();
  let next: string | undefined;
  let version: string | undefined;
  do {
    const pageQuery = { ...query, limit: apiPageItems, continue: next };
    const { items = [], metadata } = (await client.get(path, pageQuery, signal)) as RawList;
    confirmed();
    for (const object of items) listed.add(store.put(object));
    next = metadata?.continue || undefined;
    version = metadata?.resourceVersion;
  } while (next !== undefined);
  store.retain(listed);
  return version;
}

function openWatch<Item>(
  { client, path, query, random }: InformerOptions<Item>,
  version: string | undefined,
  signal: AbortSignal,
  opened: () => void,
): AsyncIterable<unknown> {
  const watchQuery = {
    ...query,
    resourceVersion: version,
    allowWatchBookmarks: "true",
    timeoutSeconds: Math.round((apiWatchMs * (1 + random())) / 1_000),
  };
  return client.watch(path, watchQuery, { opened, signal });
}

/** When the API server last confirmed the copy, and how long to wait after it failed. */
function apiHealth<Item>({ path, clock, random, log }: InformerOptions<Item>) {
  const delays = backOff({ leastMs: apiRetryLeastMs, mostMs: apiRetryMostMs, random });
  // Whoever says that a version is gone is there: after an outage its long pauses are not waited for.
  const relists = backOff({ leastMs: apiRetryLeastMs, mostMs: apiRetryMostMs, random });
  let confirmedAtMs = Number.NEGATIVE_INFINITY;
  let failure: Fault | undefined;
  return {
    delays,
    ageMs: () => clock.monotonicMs() - confirmedAtMs,
    failure: () => failure,
    confirmed: () => {
      confirmedAtMs = clock.monotonicMs();
      if (failure !== undefined) log("info", "kubernetes answers again", { path });
      failure = undefined;
    },
    /** A watch brought something, or lasted: pauses begin from the shortest. */
    works: () => {
      delays.reset();
      relists.reset();
    },
    /** @returns Whether the version is gone, and how long to wait before the next attempt. */
    failed: (cause: unknown) => {
      const fault = cause instanceof Fault ? cause : watchFault(path, { message: String(cause) });
      const { status, retryAfterMs = 0 } = fault.facts as FaultFacts["kubernetes-failed"];
      if (failure === undefined) log("warn", "kubernetes failed", { path, why: fault.message });
      failure = fault;
      const isGone = status === 410;
      const pauses = isGone ? relists : delays;
      return { isGone, retryMs: Math.max(pauses.next(), retryAfterMs) };
    },
  };
}

function abortablePause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      cancel();
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = clock.after(delayMs, finish);
    signal.addEventListener("abort", finish);
  });
}

function keyOf({ metadata }: RawObject): string {
  return `${metadata?.namespace ?? ""}/${metadata?.name ?? ""}`;
}

function watchFault(path: string, { code = 0, message = "no message" }: ErrorStatus): Fault {
  const next = code === 410 ? "the list begins anew" : "the watch is opened again";
  return new Fault("kubernetes-failed", `Cannot watch ${path}: ${message}; ${next}`, {
    path,
    status: code,
  });
}
