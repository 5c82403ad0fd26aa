import type { ServerResponse } from "node:http";
import type { KubernetesObject } from "./kinds.ts";
import { apiVersionOf, type Kind } from "./kinds.ts";
import { statusObject } from "./status.ts";
import type { ObjectStore } from "./store.ts";

/** A watch as it was asked for. */
export interface WatchRequest {
  readonly kind: Kind;
  /** Absent: of all namespaces. */
  readonly namespace?: string;
  /** Events after this version are sent. */
  readonly version: number;
  readonly bookmarks: boolean;
  readonly timeoutMs?: number;
  readonly matches: (object: KubernetesObject) => boolean;
  /** History is gone: the watch opens, says 410 and ends. */
  readonly expired: boolean;
}

export interface Watches {
  /** @param limitMs The watch ends no later than this. */
  readonly begin: (response: ServerResponse, watch: WatchRequest, limitMs?: number) => void;
  readonly bookmark: () => void;
  /** Ends every open watch with an event of type `ERROR`. */
  readonly fail: (code: number, message: string) => void;
  readonly disconnect: () => void;
  readonly count: () => number;
}

/** The open watches of one server. */
export function watches(store: ObjectStore): Watches {
  const open = new Map<ServerResponse, WatchRequest>();

  const line = (response: ServerResponse, type: string, object: unknown) =>
    response.write(`${JSON.stringify({ type, object })}\n`);

  const begin: Watches["begin"] = (response, watch, limitMs = Number.POSITIVE_INFINITY) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (watch.expired) {
      line(response, "ERROR", statusObject(410, "too old resource version", "Expired"));
      response.end();
      return;
    }
    const send = (type: string, object: KubernetesObject) => {
      if (watch.namespace !== undefined && object.metadata.namespace !== watch.namespace) return;
      if (watch.matches(object)) line(response, type, object);
    };
    for (const { type, object } of store.since(watch.kind, watch.version)) send(type, object);
    const unsubscribe = store.subscribe((event) => {
      if (event.kind === watch.kind) send(event.type, event.object);
    });
    const endsInMs = Math.min(watch.timeoutMs ?? Number.POSITIVE_INFINITY, limitMs);
    const timer = Number.isFinite(endsInMs)
      ? setTimeout(() => response.end(), endsInMs)
      : undefined;
    open.set(response, watch);
    response.on("close", () => {
      clearTimeout(timer);
      unsubscribe();
      open.delete(response);
    });
  };

  return {
    begin,
    bookmark: () => {
      for (const [response, { kind, bookmarks }] of open)
        if (bookmarks)
          line(response, "BOOKMARK", {
            kind: kind.kind,
            apiVersion: apiVersionOf(kind),
            metadata: { resourceVersion: `${store.version()}`, creationTimestamp: null },
          });
    },
    fail: (code, message) => {
      for (const response of open.keys()) {
        line(response, "ERROR", statusObject(code, message));
        response.end();
      }
    },
    disconnect: () => {
      for (const response of open.keys()) {
        response.write('{"type":"MODIFIED","object":{"metada');
        response.socket?.destroy();
      }
    },
    count: () => open.size,
  };
}
