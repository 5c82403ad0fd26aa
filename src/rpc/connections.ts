/**
 * The client connections, each from its first byte to its end.
 *
 * KEDA holds one connection for hours and pins every push stream to it. So that it spreads over new
 * replicas, a connection is drained when it is old: its streams end with OK, which KEDA answers with a
 * new stream within 2 s, and then a GOAWAY moves its unary calls to a new connection. The order
 * matters: a stream that is open when GOAWAY comes looks like a failure to grpc-go.
 *
 * @module
 */
import type { ServerHttp2Session } from "node:http2";
import type { Cancel, Clock } from "#core/clock.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import type { GrpcLimits } from "./limits.ts";
import type { Draining } from "./wakeups.ts";

export interface Connection extends Draining {
  /** Counts a stream in; the function that it returns counts it out. */
  readonly openStream: () => Cancel;
  /** Asks its streams to end, says GOAWAY and closes; cuts it after `shutdownMs`. */
  readonly drain: () => void;
}

export interface Connections {
  /** Takes a new connection in, or cuts it when there are too many or `drainAll` was called. */
  readonly accept: (session: ServerHttp2Session) => void;
  readonly of: (session: object | undefined) => Connection | undefined;
  /** Drains all; resolves when the last one is closed. */
  readonly drainAll: () => Promise<void>;
}

export interface ConnectionsOptions {
  readonly limits: Pick<
    GrpcLimits,
    "connectionsMax" | "connectionAgeMs" | "connectionAgeJitter" | "shutdownMs"
  >;
  readonly clock: Clock;
  readonly log: Log;
  /** A number from 0 to below 1, for the spread of ages. */
  readonly random: () => number;
  readonly count: (open: number) => void;
}

export function clientConnections({
  limits,
  clock,
  log,
  random,
  count,
}: ConnectionsOptions): Connections {
  const open = new Map<object, Connection>();
  let emptied: (() => void) | undefined;

  const accept = (session: ServerHttp2Session) => {
    // A reset or a broken frame ends the connection; its calls see that, nobody else need.
    session.on("error", () => session.destroy());
    const crowded = open.size >= limits.connectionsMax;
    if (crowded) log("warn", "connection refused", { limit: limits.connectionsMax });
    if (crowded || emptied !== undefined) {
      session.destroy();
      return;
    }
    const connection = clientConnection(session, limits.shutdownMs, clock);
    const spread = 1 + limits.connectionAgeJitter * (2 * random() - 1);
    const cancelAge = clock.after(limits.connectionAgeMs * spread, connection.drain);
    open.set(session, connection);
    count(open.size);
    session.once("close", () => {
      cancelAge();
      connection.closed();
      open.delete(session);
      count(open.size);
      if (open.size === 0) emptied?.();
    });
  };

  return {
    accept,
    of: (session) => (session === undefined ? undefined : open.get(session)),
    drainAll: () =>
      new Promise((resolve) => {
        emptied = resolve;
        if (open.size === 0) resolve();
        for (const connection of [...open.values()]) connection.drain();
      }),
  };
}

function clientConnection(
  session: ServerHttp2Session,
  drainMs: number,
  clock: Clock,
): Connection & { readonly closed: () => void } {
  const drains = listeners();
  let streams = 0;
  let draining = false;
  let cancelCut: Cancel = () => undefined;

  const closeWhenEmpty = () => {
    if (draining && streams === 0 && !session.closed) session.close();
  };
  return {
    draining: () => draining,
    onDrain: drains.subscribe,
    openStream: () => {
      streams += 1;
      let counted = true;
      return () => {
        if (counted) streams -= 1;
        counted = false;
        closeWhenEmpty();
      };
    },
    drain: () => {
      if (draining) return;
      draining = true;
      cancelCut = clock.after(drainMs, () => session.destroy());
      drains.notify();
      closeWhenEmpty();
    },
    closed: () => cancelCut(),
  };
}
