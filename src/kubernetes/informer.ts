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
import { Fault, type FaultFacts } from "#core/fault.ts";
import { apiPageItems, apiRetryLeastMs, apiRetryMostMs, apiWatchMs } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import type { KubernetesClient, Query } from "./client.ts";

export interface InformerOptions<Item> {
  readonly client: KubernetesClient;
  /** Of the collection: `/api/v1/namespaces/llm/pods`. */
  readonly path: string;
  readonly query?: Query;
  /** What is kept of an object; `undefined` keeps nothing of it. */
  readonly trim: (object: unknown) => Item | undefined;
  readonly changed: (change: InformerChange<Item>) => void;
  readonly clock: Clock;
  /** From 0 to 1: spreads time-outs and retries. */
  readonly random: () => number;
  readonly log: Log;
}

/** One object's new state: `item` is absent when it is gone, `key` when a whole list is done. */
export interface InformerChange<Item> {
  readonly key?: string;
  readonly item?: Item;
  readonly before?: Item;
}

export interface Informer<Item> {
  /** By `namespace/name`. */
  readonly items: ReadonlyMap<string, Item>;
  /** False until the first whole list. */
  readonly synced: () => boolean;
  /** Milliseconds since the API server last said anything of it; infinite before it did. */
  readonly ageMs: () => number;
  /** Why the last attempt failed; `undefined` while all is well. */
  readonly failure: () => Fault | undefined;
  readonly stop: () => void;
}

/** Metadata that every object has. */
interface Meta {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly continue?: string;
  };
}
interface Page extends Meta {
  readonly items?: readonly Meta[];
}
interface ErrorStatus {
  readonly code?: number;
  readonly message?: string;
}
interface WatchEvent {
  readonly type: string;
  readonly object: Meta & ErrorStatus;
}

export function informer<Item>(options: InformerOptions<Item>): Informer<Item> {
  const { client, path, query = {}, trim, changed, clock, random, log } = options;
  const items = new Map<string, Item>();
  const stopped = new AbortController();
  const delays = backOff({ leastMs: apiRetryLeastMs, mostMs: apiRetryMostMs, random });
  let version: string | undefined;
  let synced = false;
  let heardAtMs = Number.NEGATIVE_INFINITY;
  let failure: Fault | undefined;

  const heard = () => {
    heardAtMs = clock.monotonicMs();
    if (failure !== undefined) log("info", "kubernetes answers again", { path });
    failure = undefined;
  };
  const drop = (key: string) => {
    const before = items.get(key);
    if (items.delete(key)) changed({ key, ...(before === undefined ? {} : { before }) });
  };
  const put = (key: string, object: unknown) => {
    const item = trim(object);
    if (item === undefined) return drop(key);
    const before = items.get(key);
    // Most events of a pod change nothing that is kept, and a list repeats what is known.
    if (Bun.deepEquals(before, item)) return;
    items.set(key, item);
    changed({ key, item, ...(before === undefined ? {} : { before }) });
  };

  const list = async () => {
    const seen = new Set<string>();
    let next: string | undefined;
    let listed: string | undefined;
    do {
      const asked = { ...query, limit: apiPageItems, continue: next };
      const page = (await client.get(path, asked, stopped.signal)) as Page;
      heard();
      for (const object of page.items ?? []) {
        seen.add(keyOf(object));
        put(keyOf(object), object);
      }
      next = page.metadata?.continue || undefined;
      listed = page.metadata?.resourceVersion;
    } while (next !== undefined);
    for (const key of [...items.keys()]) if (!seen.has(key)) drop(key);
    version = listed;
    synced = true;
    changed({});
  };

  const take = ({ type, object }: WatchEvent) => {
    if (type === "ERROR") throw errorEvent(path, object);
    heard();
    delays.reset();
    if (type === "DELETED") drop(keyOf(object));
    else if (type !== "BOOKMARK") put(keyOf(object), object);
    version = object.metadata?.resourceVersion ?? version;
  };

  /** A watch that ends as soon as it began would otherwise be opened in a busy loop. */
  const watch = async () => {
    const asked = {
      ...query,
      resourceVersion: version,
      allowWatchBookmarks: "true",
      timeoutSeconds: Math.round((apiWatchMs * (1 + random())) / 1_000),
    };
    const openedAtMs = clock.monotonicMs();
    const limits = { opened: heard, signal: stopped.signal };
    for await (const line of client.watch(path, asked, limits)) take(line as WatchEvent);
    if (clock.monotonicMs() - openedAtMs < apiRetryMostMs) await pause(delays.next());
    else delays.reset();
  };

  const failed = (cause: unknown): number => {
    const fault = cause instanceof Fault ? cause : errorEvent(path, { message: String(cause) });
    const { status, retryAfterMs = 0 } = fault.facts as FaultFacts["kubernetes-failed"];
    if (status === 410) version = undefined;
    if (failure === undefined) log("warn", "kubernetes failed", { path, why: fault.message });
    failure = fault;
    return Math.max(delays.next(), retryAfterMs);
  };

  const pause = (delayMs: number) =>
    new Promise<void>((resolve) => {
      const cancel = clock.after(delayMs, resolve);
      const stop = () => {
        cancel();
        resolve();
      };
      stopped.signal.addEventListener("abort", stop, { once: true });
    });

  const run = async () => {
    while (!stopped.signal.aborted) {
      try {
        if (version === undefined) await list();
        else await watch();
      } catch (cause) {
        if (!stopped.signal.aborted) await pause(failed(cause));
      }
    }
  };
  void run();

  return {
    items,
    synced: () => synced,
    ageMs: () => clock.monotonicMs() - heardAtMs,
    failure: () => failure,
    stop: () => stopped.abort(),
  };
}

function keyOf({ metadata }: Meta): string {
  return `${metadata?.namespace ?? ""}/${metadata?.name ?? ""}`;
}

function errorEvent(path: string, { code = 0, message = "no message" }: ErrorStatus): Fault {
  const next = code === 410 ? "the list begins anew" : "the watch is opened again";
  return new Fault("kubernetes-failed", `Cannot watch ${path}: ${message}; ${next}`, {
    path,
    status: code,
  });
}
