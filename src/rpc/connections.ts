/**
 * The client connections, each from its first byte until its socket is closed.
 *
 * KEDA holds one connection for hours and pins every push stream to it. So that it spreads over new
 * replicas, a connection is drained when it is old: its streams end with OK, which KEDA answers with a
 * new stream within 2 s, and then a GOAWAY moves its unary calls to a new connection. The order
 * matters: a stream that is open when GOAWAY comes looks like a failure to grpc-go.
 *
 * A session alone does not end a connection: under Bun a socket whose session is closed or destroyed
 * keeps its descriptor until the client closes too. So a cut always closes the socket itself, and a
 * connection counts for as long as its socket is open.
 *
 * @module
 */
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Cancel, Clock } from "#core/clock.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import type { CallConnection } from "./streams.ts";

export interface ConnectionLimits {
  readonly connectionsMax: number;
  /** Age at which a connection is drained. */
  readonly connectionAgeMs: number;
  /** Share of that age, from 0 to 1, by which it is made shorter or longer. */
  readonly connectionAgeJitter: number;
  /** Time for a connection to drain; then it is cut. */
  readonly shutdownMs: number;
}

export interface Connection extends CallConnection {
  /** Counts a stream in; the function that it returns counts it out, and is called once. */
  readonly openStream: () => Cancel;
}

export interface Connections {
  /** Takes a new connection in, or cuts it when there are too many or `drainAll` was called. */
  readonly accept: (session: ServerHttp2Session, socket: Socket) => void;
  readonly of: (session: object | undefined) => Connection | undefined;
  /** Drains all; resolves when the last one is closed. */
  readonly drainAll: () => Promise<void>;
}

export interface ConnectionsOptions {
  readonly limits: ConnectionLimits;
  readonly clock: Clock;
  readonly log: Log;
  /** A number from 0 to below 1, for the spread of ages. */
  readonly random: () => number;
  /** Called with the number of open connections when it changes. */
  readonly onCount: (open: number) => void;
}

export function clientConnections({
  limits,
  clock,
  log,
  random,
  onCount,
}: ConnectionsOptions): Connections {
  const { connectionsMax, connectionAgeMs, connectionAgeJitter, shutdownMs } = limits;
  const open = new Map<object, DrainableConnection>();
  let onEmpty: (() => void) | undefined;

  const accept = (session: ServerHttp2Session, socket: Socket) => {
    // A reset or a broken frame ends the connection; its calls see that, nobody else need.
    session.on("error", () => cut(session, socket));
    const crowded = open.size >= connectionsMax;
    if (crowded) log("warn", "connection refused", { limit: connectionsMax });
    if (crowded || onEmpty !== undefined) return cut(session, socket);
    const connection = drainable(session, socket, shutdownMs, clock);
    const spread = 1 + connectionAgeJitter * (2 * random() - 1);
    const cancelAge = clock.after(connectionAgeMs * spread, connection.drain);
    open.set(session, connection);
    onCount(open.size);
    socket.once("close", () => {
      cancelAge();
      open.delete(session);
      onCount(open.size);
      if (open.size === 0) onEmpty?.();
    });
  };

  return {
    accept,
    of: (session) => (session === undefined ? undefined : open.get(session)),
    drainAll: () =>
      new Promise((resolve) => {
        onEmpty = resolve;
        if (open.size === 0) resolve();
        for (const connection of [...open.values()]) connection.drain();
      }),
  };
}

interface DrainableConnection extends Connection {
  /** Asks its streams to end, says GOAWAY and closes. */
  readonly drain: () => void;
}

function drainable(
  session: ServerHttp2Session,
  socket: Socket,
  shutdownMs: number,
  clock: Clock,
): DrainableConnection {
  const drains = listeners();
  let streams = 0;
  let draining = false;
  let cancelCut: Cancel | undefined;

  // The client has this long to close its side; what it has not read yet is not taken from it.
  const cutLater = () => {
    if (!socket.destroyed) cancelCut ??= clock.after(shutdownMs, () => cut(session, socket));
  };
  const closeWhenEmpty = () => {
    if (draining && streams === 0 && !session.closed) session.close();
  };
  session.once("close", cutLater);
  socket.once("close", () => cancelCut?.());
  return {
    draining: () => draining,
    onDrain: drains.subscribe,
    openStream: () => {
      streams += 1;
      return () => {
        streams -= 1;
        closeWhenEmpty();
      };
    },
    drain: () => {
      if (draining) return;
      draining = true;
      cutLater();
      drains.notify();
      closeWhenEmpty();
    },
  };
}

function cut(session: ServerHttp2Session, socket: Socket): void {
  session.destroy();
  socket.destroy();
}
