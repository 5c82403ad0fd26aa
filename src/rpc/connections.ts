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
import type { Clock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import { shares } from "#core/shares.ts";
import {
  addressOf,
  type ClientConnection,
  type Connection,
  type ConnectionTimes,
  clientConnection,
} from "./connection.ts";
import { type DoorLimits, doorkeeper } from "./doorkeeper.ts";
import { peerOf, type ReputationLimits, reputations } from "./peers.ts";

export interface ConnectionLimits extends ConnectionTimes, ReputationLimits, DoorLimits {
  readonly connectionsMax: number;
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
  /** Cuts a connection, and lets its peer in no more for a while. */
  readonly bar: (connection: Connection, what: string) => void;
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
  const peers = reputations(limits, clock, log);
  const enter = doorkeeper(options, peers, (peer) => byPeer.of(peer).size);
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
  const bar = (peer: string, what: string, culprit?: Connection): void => {
    peers.bar(peer, what);
    // Another one that works, for somebody else behind the same address, goes on.
    for (const one of [...byPeer.of(peer)]) if (one === culprit || !one.isUseful()) one.cut();
  };
  const cutSurplus = () => {
    if (byPeer.size() <= limits.connectionsMax) return;
    const surplus = idlest(byPeer.largest());
    if (surplus === undefined) return;
    log("warn", "connection cut", { limit: limits.connectionsMax, peer: surplus.peer });
    // Now, and not when its socket tells: many may come before that.
    byPeer.remove(surplus.peer, surplus);
    surplus.cut();
    if (peers.strike(surplus.peer)) bar(surplus.peer, "it opens too many connections");
  };
  return {
    accept: (socket) => {
      socket.on("error", () => socket.destroy());
      const isBarred = peers.isBarred(peerOf(socket.remoteAddress));
      if (isBarred || onEmpty !== undefined) return void socket.destroy();
      const connection = clientConnection(socket, limits, clock);
      add(connection, socket);
      cutSurplus();
      enter({ connection, socket });
    },
    begin: (session) => {
      const connection = byAddress.get(addressOf(session.socket));
      if (connection !== undefined) bySession.set(session, connection);
      connection?.begin(session);
    },
    of: (session) => (session === undefined ? undefined : bySession.get(session)),
    took: (connection) => {
      connection.took();
      peers.praise(connection.peer);
    },
    strike: (connection, what) => {
      if (peers.strike(connection.peer)) bar(connection.peer, what, connection);
    },
    bar: (connection, what) => bar(connection.peer, what, connection),
    drainAll: () =>
      new Promise((resolve) => {
        onEmpty = resolve;
        if (byAddress.size === 0) resolve();
        for (const connection of [...byAddress.values()]) connection.drain();
      }),
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
