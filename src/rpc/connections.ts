/**
 * The client connections, each from its first byte until its socket is closed.
 *
 * KEDA holds one connection for hours and pins every push stream to it. So that it spreads over new
 * replicas, a connection is drained when it is old: its streams end with OK, which KEDA answers with a
 * new stream within 2 s, and then a GOAWAY moves its unary calls to a new connection. The order
 * matters: a stream that is open when GOAWAY comes looks like a failure to grpc-go.
 *
 * Where there are too many, the peer with the most loses the one that it uses least: sockets that a
 * client opens and forgets never keep another client out. A crowd that comes at once is let in a few
 * at a time, peers in turn.
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
import { shares } from "#core/shares.ts";
import { slots } from "#core/slots.ts";
import { type AllowanceLimits, allowance, peerOf } from "./peers.ts";
import type { CallConnection } from "./streams.ts";

export interface ConnectionLimits {
  readonly connectionsMax: number;
  /** Time for a client to begin to speak HTTP/2. */
  readonly prefaceMs: number;
  /** Time without an open call after which a connection is drained. */
  readonly idleMs: number;
  /** Connections that begin at once; others wait, and peers take turns. */
  readonly newConnectionsMax: number;
  /** How long one counts as beginning. */
  readonly newConnectionMs: number;
  /** What a peer may do of what a client that works does not. */
  readonly strikes: AllowanceLimits;
  /** Time for which a peer that did more is not let in. */
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
  /** Takes a new socket in. */
  readonly accept: (socket: Socket) => void;
  /** Its client has begun to speak HTTP/2. */
  readonly begin: (session: ServerHttp2Session) => void;
  readonly of: (session: object | undefined) => Connection | undefined;
  /** Counts something against a connection's peer; cuts the connection when that was too much. */
  readonly strike: (connection: Connection, what: string) => void;
  /** Drains all; resolves when the last one is closed. */
  readonly drainAll: () => Promise<void>;
}

export interface ConnectionsOptions {
  readonly limits: ConnectionLimits;
  /** Gives a socket to the HTTP/2 server, which makes a session of it. */
  readonly letIn: (socket: Socket) => void;
  readonly clock: Clock;
  readonly log: Log;
  /** A number from 0 to below 1, for the spread of ages. */
  readonly random: () => number;
  /** Called with the number of open connections when it changes. */
  readonly onCount: (open: number) => void;
}

export function clientConnections(options: ConnectionsOptions): Connections {
  const { limits, letIn, clock, log, random, onCount } = options;
  const byAddress = new Map<string, ClientConnection>();
  const bySession = new WeakMap<object, ClientConnection>();
  const byPeer = shares<ClientConnection>();
  const inTurn = slots(limits.newConnectionsMax);
  const strikes = strikeCounter(limits, clock);
  let onEmpty: (() => void) | undefined;

  const add = (connection: ClientConnection, socket: Socket) => {
    const { peer, address } = connection;
    byAddress.set(address, connection);
    byPeer.add(peer, connection);
    onCount(byAddress.size);
    socket.once("close", () => {
      byAddress.delete(address);
      byPeer.remove(peer, connection);
      onCount(byAddress.size);
      if (byAddress.size === 0) onEmpty?.();
    });
  };
  const strike = (peer: string, what: string) => {
    const isBarred = strikes.add(peer);
    if (isBarred) log("warn", "peer barred", { peer, what, barMs: limits.barMs });
    return isBarred;
  };
  const cutSurplus = () => {
    if (byPeer.size() <= limits.connectionsMax) return;
    const surplus = idlest(byPeer.largest());
    if (surplus === undefined) return;
    log("warn", "connection cut", { limit: limits.connectionsMax, peer: surplus.peer });
    // Now, and not when its socket tells: many may come before that.
    byPeer.remove(surplus.peer, surplus);
    surplus.cut();
    strike(surplus.peer, "connections");
  };
  const enter = async (connection: ClientConnection, socket: Socket): Promise<void> => {
    if (socket.destroyed) return;
    connection.start(
      limits.connectionAgeMs * (1 + limits.connectionAgeJitter * (2 * random() - 1)),
    );
    letIn(socket);
    await new Promise<void>((resolve) => clock.after(limits.newConnectionMs, resolve));
  };

  return {
    accept: (socket) => {
      socket.on("error", () => socket.destroy());
      if (onEmpty !== undefined || strikes.isBarred(peerOf(socket.remoteAddress))) {
        socket.destroy();
        return;
      }
      const connection = clientConnection(socket, limits, clock);
      add(connection, socket);
      cutSurplus();
      void inTurn(() => enter(connection, socket), connection.peer);
    },
    begin: (session) => {
      const connection = byAddress.get(addressOf(session.socket));
      if (connection === undefined) return session.destroy();
      bySession.set(session, connection);
      connection.begin(session);
    },
    of: (session) => (session === undefined ? undefined : bySession.get(session)),
    strike: ({ peer, cut }, what) => {
      if (strike(peer, what)) cut();
    },
    drainAll: () =>
      new Promise((resolve) => {
        onEmpty = resolve;
        if (byAddress.size === 0) resolve();
        for (const connection of [...byAddress.values()]) connection.drain();
      }),
  };
}

/** What peers have done that a client which works does not; one that did too much is barred. */
function strikeCounter({ strikes, barMs }: ConnectionLimits, clock: Clock) {
  const mayStrike = allowance(strikes, clock);
  const barredUntilMs = new Map<string, number>();
  return {
    /** @returns Whether that was too much. */
    add: (peer: string): boolean => {
      if (mayStrike(peer)) return false;
      setNewest(barredUntilMs, peer, clock.monotonicMs() + barMs, peersMax);
      return true;
    },
    isBarred: (peer: string) => (barredUntilMs.get(peer) ?? 0) > clock.monotonicMs(),
  };
}

/** An open socket at the other end. */
function addressOf({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">) {
  return `${remoteAddress} ${remotePort}`;
}

interface ClientConnection extends Connection {
  readonly address: string;
  readonly calls: () => number;
  /** When its last call ended, or when it came if it had none. */
  readonly idleSinceMs: () => number;
  /** It is let in, and is to be drained at an age. */
  readonly start: (ageMs: number) => void;
  readonly begin: (session: ServerHttp2Session) => void;
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
  socket: Socket,
  { prefaceMs, idleMs, shutdownMs }: ConnectionLimits,
  clock: Clock,
): ClientConnection {
  const drains = listeners();
  const timers = new Set<Cancel>();
  let session: ServerHttp2Session | undefined;
  let calls = 0;
  let streams = 0;
  let idleSinceMs = clock.monotonicMs();
  let draining = false;

  const after = (delayMs: number, run: () => void): Cancel => {
    const cancel = clock.after(delayMs, run);
    timers.add(cancel);
    return cancel;
  };
  const cut = () => {
    session?.destroy();
    socket.destroy();
  };
  // The client has this long to close its side; what it has not read yet is not taken from it.
  const cutLater = () => {
    if (!socket.destroyed) after(shutdownMs, cut);
  };
  const closeWhenEmpty = () => {
    if (draining && streams === 0 && session?.closed === false) session.close();
  };
  const drain = () => {
    if (draining) return;
    draining = true;
    cutLater();
    drains.notify();
    closeWhenEmpty();
    // There is nothing yet that could be said goodbye to.
    if (session === undefined) cut();
  };
  const drainWhenIdle = (delayMs: number) =>
    after(delayMs, () => {
      const leftMs = calls > 0 ? idleMs : idleSinceMs + idleMs - clock.monotonicMs();
      if (leftMs > 0) drainWhenIdle(leftMs);
      else drain();
    });
  let cancelPreface: Cancel = () => undefined;
  socket.once("close", () => {
    for (const cancel of timers) cancel();
  });
  return {
    peer: peerOf(socket.remoteAddress),
    address: addressOf(socket),
    draining: () => draining,
    onDrain: drains.subscribe,
    calls: () => calls,
    idleSinceMs: () => idleSinceMs,
    isOpen: () => !socket.destroyed && session?.destroyed === false,
    start: (ageMs) => {
      cancelPreface = after(prefaceMs, cut);
      after(ageMs, drain);
      drainWhenIdle(idleMs);
    },
    begin: (begun) => {
      session = begun;
      // A reset or a broken frame ends the connection; its calls see that, nobody else need.
      session.on("error", cut);
      // A client's settings are the end of its preface.
      session.once("remoteSettings", cancelPreface);
      session.once("close", cutLater);
    },
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
    drain,
    cut,
  };
}
