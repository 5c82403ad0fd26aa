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
 * @module
 */
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { setNewest } from "#core/bounded-map.ts";
import type { Clock } from "#core/clock.ts";
import { peersMax } from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import {
  addressOf,
  type ClientConnection,
  type Connection,
  type ConnectionTimes,
  clientConnection,
} from "./connection.ts";
import { type AllowanceLimits, allowance, peerOf } from "./peers.ts";
import { shares } from "./shares.ts";

export interface ConnectionLimits extends ConnectionTimes {
  readonly connectionsMax: number;
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
}

export interface Connections {
  /** Takes a new socket in. */
  readonly accept: (socket: Socket) => void;
  /** Its client has begun to speak HTTP/2. */
  readonly begin: (session: ServerHttp2Session) => void;
  readonly of: (session: object | undefined) => Connection | undefined;
  /** A client has taken an answer, or a message of a stream. */
  readonly took: (connection: Connection) => void;
  /** Counts something against a connection's peer, which is barred when that was too much. */
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
  const { limits, clock, log, onCount } = options;
  const byAddress = new Map<string, ClientConnection>();
  const bySession = new WeakMap<object, ClientConnection>();
  const byPeer = shares<ClientConnection>();
  const knownPeers = new Map<string, true>();
  const enter = doorkeeper(options, {
    isKnown: (peer) => knownPeers.has(peer),
    isBarred: strikes.isBarred,
    connectionsOf: (peer) => byPeer.of(peer).size,
  });
  const strikes = strikeCounter(options);
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
  /** @returns Whether the peer is barred now. */
  const strike = (peer: string, what: string): boolean => {
    if (!strikes.add(peer, what)) return false;
    knownPeers.delete(peer);
    // One that works, for somebody else behind the same address, goes on.
    for (const connection of [...byPeer.of(peer)]) if (!connection.isUseful()) connection.cut();
    return true;
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
      enter({ connection, socket });
    },
    begin: (session) => {
      const connection = byAddress.get(addressOf(session.socket));
      if (connection === undefined) return session.destroy();
      bySession.set(session, connection);
      connection.begin(session);
    },
    of: (session) => (session === undefined ? undefined : bySession.get(session)),
    took: (connection) => {
      connection.took();
      if (!knownPeers.has(connection.peer)) setNewest(knownPeers, connection.peer, true, peersMax);
    },
    strike: (connection, what) => {
      if (strike(connection.peer, what)) connection.cut();
    },
    drainAll: () =>
      new Promise((resolve) => {
        onEmpty = resolve;
        if (byAddress.size === 0) resolve();
        for (const connection of [...byAddress.values()]) connection.drain();
      }),
  };
}

/** What is known of peers. */
interface Peers {
  readonly isKnown: (peer: string) => boolean;
  readonly isBarred: (peer: string) => boolean;
  /** How many a peer has, those that wait included. */
  readonly connectionsOf: (peer: string) => number;
}

interface Arrival {
  readonly connection: ClientConnection;
  readonly socket: Socket;
}

/**
 * Lets sockets in a few at a time: each may bring as many calls as it likes in its first moment. Peers
 * whose calls were answered are first, then those with the fewest connections, so that a crowd waits
 * behind whoever comes alone.
 */
function doorkeeper(
  { limits, letIn, clock, random }: ConnectionsOptions,
  { isKnown, isBarred, connectionsOf }: Peers,
) {
  const waiting = new Map<string, Arrival[]>();
  let beginning = 0;

  const first = (): Arrival | undefined => {
    let [peer, fewest] = ["", Number.POSITIVE_INFINITY];
    for (const [other, arrivals] of waiting) {
      const inside = isKnown(other) ? -1 : connectionsOf(other) - arrivals.length;
      if (inside < fewest) [peer, fewest] = [other, inside];
    }
    const arrivals = waiting.get(peer);
    if (arrivals?.length === 1) waiting.delete(peer);
    return arrivals?.shift();
  };
  const next = () => {
    const { connectionAgeMs, connectionAgeJitter, newConnectionsMax, newConnectionMs } = limits;
    while (beginning < newConnectionsMax) {
      const arrival = first();
      if (arrival === undefined) return;
      const { connection, socket } = arrival;
      if (isBarred(connection.peer)) connection.cut();
      if (socket.destroyed) continue;
      beginning += 1;
      connection.start(connectionAgeMs * (1 + connectionAgeJitter * (2 * random() - 1)));
      letIn(socket);
      clock.after(newConnectionMs, () => {
        beginning -= 1;
        next();
      });
    }
  };
  return (arrival: Arrival): void => {
    const { peer } = arrival.connection;
    const arrivals = waiting.get(peer);
    if (arrivals === undefined) waiting.set(peer, [arrival]);
    else arrivals.push(arrival);
    next();
  };
}

/** What peers have done that a client which works does not; one that did too much is barred. */
function strikeCounter({ limits, clock, log }: ConnectionsOptions) {
  const { barMs } = limits;
  const mayStrike = allowance(limits.strikes, clock);
  const barredUntilMs = new Map<string, number>();
  return {
    /** @returns Whether that was too much. */
    add: (peer: string, what: string): boolean => {
      if (mayStrike(peer)) return false;
      log("warn", "peer barred", { peer, what, barMs });
      setNewest(barredUntilMs, peer, clock.monotonicMs() + barMs, peersMax);
      return true;
    },
    isBarred: (peer: string) => (barredUntilMs.get(peer) ?? 0) > clock.monotonicMs(),
  };
}

/** The one without calls that had none for the longest; where all have calls, the oldest. */
function idlest(connections: Iterable<ClientConnection>): ClientConnection | undefined {
  let found: ClientConnection | undefined;
  for (const connection of connections) {
    if (found === undefined) found = connection;
    else if (connection.hasCalls()) continue;
    else if (found.hasCalls() || connection.idleSinceMs() < found.idleSinceMs()) found = connection;
  }
  return found;
}
