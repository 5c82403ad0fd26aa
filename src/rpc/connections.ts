/**
 * The client connections, each from its first byte until its socket is closed.
 *
 * KEDA holds one connection for hours and pins every push stream to it. So that it spreads over new
 * replicas, a connection is drained when it is old: its streams end with OK, which KEDA answers with a
 * new stream within 2 s, and then a GOAWAY moves its unary calls to a new connection. The order
 * matters: a stream that is open when GOAWAY comes looks like a failure to grpc-go.
 *
 * Where there are too many, the peer with the most loses the one that it uses least: sockets that a
 * client opens and forgets never keep another client out.
 *
 * A session alone does not end a connection: under Bun a socket whose session is closed or destroyed
 * keeps its descriptor until the client closes too. So a cut always closes the socket itself, and a
 * connection counts for as long as its socket is open.
 *
 * @module
 */
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { setNewest } from "#core/bounded-map.ts";
import type { Cancel, Clock } from "#core/clock.ts";
import { peersMax } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import { peerOf } from "./peers.ts";
import { shares } from "./shares.ts";
import type { CallConnection } from "./streams.ts";

export interface ConnectionLimits {
  readonly connectionsMax: number;
  /** Time for a client to begin to speak HTTP/2. */
  readonly prefaceMs: number;
  /** Time without an open call after which a connection is drained. */
  readonly idleMs: number;
  /** Time for which a peer that misbehaved is not let in. */
  readonly barMs: number;
  /** Age at which a connection is drained. */
  readonly connectionAgeMs: number;
  /** Share of that age, from 0 to 1, by which it is made shorter or longer. */
  readonly connectionAgeJitter: number;
  /** Time for a connection to drain; then it is cut. */
  readonly shutdownMs: number;
}

export interface Connection extends CallConnection {
  /** Counts a call in; the function that it returns counts it out, and is called once. */
  readonly openCall: (kind: "stream" | "unary") => Cancel;
  readonly isOpen: () => boolean;
  /** Ends it at once. */
  readonly cut: () => void;
}

export interface Connections {
  /** Takes a new connection in; cuts it after `drainAll`. */
  readonly accept: (session: ServerHttp2Session, socket: Socket) => void;
  readonly of: (session: object | undefined) => Connection | undefined;
  /** Cuts a connection, and for `barMs` every one that its peer opens. */
  readonly bar: (connection: Connection) => void;
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

export function clientConnections(options: ConnectionsOptions): Connections {
  const { limits, clock, log, random, onCount } = options;
  const { connectionsMax, connectionAgeMs, connectionAgeJitter, barMs } = limits;
  const open = new Map<object, ClientConnection>();
  const byPeer = shares<ClientConnection>();
  const barredUntilMs = new Map<string, number>();
  let onEmpty: (() => void) | undefined;

  const accept = (session: ServerHttp2Session, socket: Socket) => {
    // A reset or a broken frame ends the connection; its calls see that, nobody else need.
    session.on("error", () => cut(session, socket));
    const isBarred = (barredUntilMs.get(peerOf(socket.remoteAddress)) ?? 0) > clock.monotonicMs();
    if (isBarred || onEmpty !== undefined) return cut(session, socket);
    const connection = clientConnection(session, socket, limits, clock);
    const { peer } = connection;
    const spread = 1 + connectionAgeJitter * (2 * random() - 1);
    const cancelAge = clock.after(connectionAgeMs * spread, connection.drain);
    open.set(session, connection);
    byPeer.add(peer, connection);
    onCount(open.size);
    socket.once("close", () => {
      cancelAge();
      open.delete(session);
      byPeer.remove(peer, connection);
      onCount(open.size);
      if (open.size === 0) onEmpty?.();
    });
    if (byPeer.size() <= connectionsMax) return;
    const surplus = idlest(byPeer.largest());
    if (surplus === undefined) return;
    log("warn", "connection cut", { limit: connectionsMax, peer: surplus.peer });
    // Now, and not when its socket tells: many may come before that.
    byPeer.remove(surplus.peer, surplus);
    surplus.cut();
  };

  return {
    accept,
    of: (session) => (session === undefined ? undefined : open.get(session)),
    bar: (connection) => {
      const { peer } = connection;
      log("warn", "peer barred", {
        peer,
        barMs,
        reason: "it cancels calls as soon as it opens them",
      });
      setNewest(barredUntilMs, peer, clock.monotonicMs() + barMs, peersMax);
      connection.cut();
    },
    drainAll: () =>
      new Promise((resolve) => {
        onEmpty = resolve;
        if (open.size === 0) resolve();
        for (const connection of [...open.values()]) connection.drain();
      }),
  };
}

interface ClientConnection extends Connection {
  readonly calls: () => number;
  /** When its last call ended, or when it came if it had none. */
  readonly idleSinceMs: () => number;
  /** Asks its streams to end, says GOAWAY and closes. */
  readonly drain: () => void;
}

/** The one without calls that had none for the longest; where all have calls, the oldest. */
function idlest(connections: Iterable<ClientConnection>): ClientConnection | undefined {
  let found: ClientConnection | undefined;
  for (const connection of connections) {
    if (found === undefined) found = connection;
    else if (connection.calls() > 0) continue;
    else if (found.calls() > 0 || connection.idleSinceMs() < found.idleSinceMs())
      found = connection;
  }
  return found;
}

function clientConnection(
  session: ServerHttp2Session,
  socket: Socket,
  { prefaceMs, idleMs, shutdownMs }: ConnectionLimits,
  clock: Clock,
): ClientConnection {
  const drains = listeners();
  let calls = 0;
  let streams = 0;
  let idleSinceMs = clock.monotonicMs();
  let draining = false;
  let cancelCut: Cancel | undefined;

  const cutNow = () => cut(session, socket);
  // The client has this long to close its side; what it has not read yet is not taken from it.
  const cutLater = () => {
    if (!socket.destroyed) cancelCut ??= clock.after(shutdownMs, cutNow);
  };
  const closeWhenEmpty = () => {
    if (draining && streams === 0 && !session.closed) session.close();
  };
  const drain = () => {
    if (draining) return;
    draining = true;
    cutLater();
    drains.notify();
    closeWhenEmpty();
  };
  const cancelPreface = clock.after(prefaceMs, cutNow);
  let cancelIdle: Cancel = () => undefined;
  const checkIdle = (delayMs: number) => {
    cancelIdle = clock.after(delayMs, () => {
      const leftMs = calls > 0 ? idleMs : idleSinceMs + idleMs - clock.monotonicMs();
      if (leftMs > 0) checkIdle(leftMs);
      else drain();
    });
  };
  checkIdle(idleMs);
  // A client's settings are the end of its preface.
  session.once("remoteSettings", cancelPreface);
  session.once("close", cutLater);
  socket.once("close", () => {
    cancelPreface();
    cancelIdle();
    cancelCut?.();
  });
  return {
    peer: peerOf(socket.remoteAddress),
    draining: () => draining,
    onDrain: drains.subscribe,
    calls: () => calls,
    idleSinceMs: () => idleSinceMs,
    openCall: (kind) => {
      calls += 1;
      if (kind === "stream") streams += 1;
      return () => {
        calls -= 1;
        if (kind === "stream") streams -= 1;
        idleSinceMs = clock.monotonicMs();
        closeWhenEmpty();
      };
    },
    isOpen: () => !(socket.destroyed || session.destroyed),
    drain,
    cut: cutNow,
  };
}

function cut(session: ServerHttp2Session, socket: Socket): void {
  session.destroy();
  socket.destroy();
}
