import type { Socket } from "node:net";
import type { Clock } from "#core/clock.ts";
import type { ClientConnection } from "./connection.ts";
import type { Reputations } from "./peers.ts";

export interface DoorLimits {
  /** Connections that begin at once; others wait, and peers take turns. */
  readonly newConnectionsMax: number;
  /** How long one counts as beginning. */
  readonly newConnectionMs: number;
  /** Age at which a connection is drained. */
  readonly connectionAgeMs: number;
  /** Share of that age, from 0 to 1, by which it is made shorter or longer. */
  readonly connectionAgeJitter: number;
}

interface DoorOptions {
  readonly limits: DoorLimits;
  /** Gives a socket to the HTTP/2 server, which makes a session of it. */
  readonly letIn: (socket: Socket) => void;
  readonly clock: Clock;
  /** A number from 0 to below 1, for the spread of ages. */
  readonly random: () => number;
}

interface Arrival {
  readonly connection: ClientConnection;
  readonly socket: Socket;
}

/**
 * Lets sockets in a few at a time: each may bring as many calls as it likes in its first moment. Peers
 * whose calls were answered are first, then those with the fewest connections, so that a crowd waits
 * behind whoever comes alone.
 *
 * @param connectionsOf How many a peer has, those that wait included.
 */
export function doorkeeper(
  { limits, letIn, clock, random }: DoorOptions,
  { isKnown, isBarred }: Pick<Reputations, "isKnown" | "isBarred">,
  connectionsOf: (peer: string) => number,
): (arrival: Arrival) => void {
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
      const free = () => {
        cancel();
        socket.off("close", freeIfUnused);
        beginning -= 1;
        next();
      };
      // Of a crowd that has gone while it waited nobody needs the time.
      const freeIfUnused = () => {
        if (!connection.wasUsed()) free();
      };
      const cancel = clock.after(newConnectionMs, free);
      socket.once("close", freeIfUnused);
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
