/**
 * Tells whoever watches the status what changed, as server-sent events: the whole once, then the rows
 * that are different.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import { statusIntervalMs, statusUnreadBytesMax, statusWatchersMax } from "#core/limits.ts";
import type { Status } from "./status.ts";

export interface StatusStream {
  /** @returns `undefined` while `statusWatchersMax` watch already. */
  readonly open: () => ReadableStream<Uint8Array> | undefined;
  readonly stop: () => void;
}

interface Watcher {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** What this one was sent, as JSON by key. */
  readonly sent: SentRows;
}

type SentRows = { readonly [Kind in RowKind]: Map<string, string> };
type RowKind = "nodes" | "agents" | "triggers";
const rowKinds: readonly RowKind[] = ["nodes", "agents", "triggers"];

/** @param status Is made once for all that watch, and not at all while nobody does. */
export function statusStream(status: () => Status, clock: Pick<Clock, "every">): StatusStream {
  const watchers = new Set<Watcher>();
  let cancel: Cancel | undefined;
  const encoder = new TextEncoder();

  const forget = (watcher: Watcher) => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    cancel?.();
    cancel = undefined;
  };
  const send = (watcher: Watcher, rows: KeyedRows, { process, atMs }: Status) => {
    const { controller, sent } = watcher;
    // One that does not read gets the difference to what it was sent when it reads again.
    if ((controller.desiredSize ?? 0) <= -statusUnreadBytesMax) return;
    const kinds = rowKinds.map((kind) => `"${kind}":${rowChanges(rows[kind], sent[kind])}`);
    const head = `"process":${JSON.stringify(process)},"atMs":${atMs}`;
    controller.enqueue(encoder.encode(`event: rows\ndata: {${[head, ...kinds].join()}}\n\n`));
  };
  const tick = () => {
    const now = status();
    const rows = keyedRows(now);
    for (const watcher of watchers) send(watcher, rows, now);
  };
  const open = () => {
    let watcher: Watcher | undefined;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          watcher = {
            controller,
            sent: { nodes: new Map(), agents: new Map(), triggers: new Map() },
          };
          watchers.add(watcher);
          const now = status();
          send(watcher, keyedRows(now), now);
          cancel ??= clock.every(statusIntervalMs, tick);
        },
        cancel: () => {
          if (watcher !== undefined) forget(watcher);
        },
      },
      { highWaterMark: 0, size: (chunk) => chunk?.byteLength ?? 0 },
    );
  };
  return {
    open: () => (watchers.size >= statusWatchersMax ? undefined : open()),
    stop: () => {
      for (const watcher of watchers) {
        watcher.controller.close();
        forget(watcher);
      }
    },
  };
}

type KeyedRows = { readonly [Kind in RowKind]: ReadonlyMap<string, string> };

function keyedRows({ nodes, agents, triggers }: Status): KeyedRows {
  return {
    nodes: new Map(nodes.map((row) => [row.name, JSON.stringify(row)])),
    agents: new Map(agents.map((row) => [row.address, JSON.stringify(row)])),
    triggers: new Map(triggers.map((row) => [row.id, JSON.stringify(row)])),
  };
}

/** The rows that are new or different, and the keys of those that are gone; remembered as sent. */
function rowChanges(rows: ReadonlyMap<string, string>, sent: Map<string, string>): string {
  const changed: string[] = [];
  for (const [key, json] of rows) {
    if (sent.get(key) === json) continue;
    sent.set(key, json);
    changed.push(json);
  }
  const gone = [...sent.keys()].filter((key) => !rows.has(key));
  for (const key of gone) sent.delete(key);
  return `{"changed":[${changed.join()}],"gone":${JSON.stringify(gone)}}`;
}
