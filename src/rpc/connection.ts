/**
 * One client connection, from its first byte until its socket is closed.
 *
 * A session alone does not end it: under Bun a socket whose session is closed or destroyed keeps its
 * descriptor until the client closes too. So a cut always closes the socket itself.
 *
 * @module
 */
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Cancel, Clock } from "#core/clock.ts";
import { listeners } from "#core/listeners.ts";
import { peerOf } from "./peers.ts";
import type { CallConnection } from "./streams.ts";

/** How long a connection may do nothing. */
export interface ConnectionTimes {
  /** Time for a client to begin to speak HTTP/2. */
  readonly prefaceMs: number;
  /** Time without an open call after which a connection is drained. */
  readonly idleMs: number;
  /** Time for a connection to drain; then it is cut. */
  readonly shutdownMs: number;
}

type CallKind = "stream" | "unary";

export interface Connection extends CallConnection {
  /** Counts a call in; the function that it returns counts it out, and is called once. */
  readonly openCall: (kind: CallKind) => Cancel;
  readonly isOpen: () => boolean;
  /** Whether its client has taken an answer, or a message of a stream. */
  readonly isUseful: () => boolean;
  /** Its client has taken an answer, or a message of a stream. */
  readonly took: () => void;
  /** Ends it at once. */
  readonly cut: () => void;
}

export interface ClientConnection extends Connection {
  readonly address: string;
  readonly hasCalls: () => boolean;
  /** Whether it ever had a call. */
  readonly wasUsed: () => boolean;
  /** When its last call ended, or when it came if it had none. */
  readonly idleSinceMs: () => number;
  /** It is let in, and is to be drained at an age. */
  readonly start: (ageMs: number) => void;
  readonly begin: (session: ServerHttp2Session) => void;
  /** Asks its streams to end, says GOAWAY and closes. */
  readonly drain: () => void;
}

/** What no other open socket has: its other end. */
export function addressOf({
  remoteAddress,
  remotePort,
}: Pick<Socket, "remoteAddress" | "remotePort">) {
  return `${remoteAddress} ${remotePort}`;
}

export function clientConnection(
  socket: Socket,
  { prefaceMs, idleMs, shutdownMs }: ConnectionTimes,
  clock: Clock,
): ClientConnection {
  const drains = listeners();
  const after = socketTimers(socket, clock);
  const calls = callCounter(clock, () => closeWhenEmpty());
  let session: ServerHttp2Session | undefined;
  let draining = false;
  let isUseful = false;
  const cut = () => {
    session?.destroy();
    socket.destroy();
  };
  // The client has this long to close its side; what it has not read yet is not taken from it.
  const cutLater = () => {
    if (!socket.destroyed) after(shutdownMs, cut);
  };
  const closeWhenEmpty = () => {
    if (draining && !calls.hasStreams() && session?.closed === false) session.close();
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
      const leftMs = calls.hasAny() ? idleMs : calls.endedAtMs() + idleMs - clock.monotonicMs();
      if (leftMs > 0) drainWhenIdle(leftMs);
      else drain();
    });
  // From here on: who waits at the door for so long comes again.
  const cancelPreface = after(prefaceMs, cut);
  return {
    peer: peerOf(socket.remoteAddress),
    address: addressOf(socket),
    draining: () => draining,
    onDrain: drains.subscribe,
    hasCalls: calls.hasAny,
    wasUsed: calls.hadAny,
    isUseful: () => isUseful,
    idleSinceMs: calls.endedAtMs,
    openCall: calls.open,
    took: () => {
      isUseful = true;
    },
    isOpen: () => !socket.destroyed && session?.destroyed === false,
    start: (ageMs) => {
      after(ageMs, drain);
      drainWhenIdle(idleMs);
    },
    begin: (begun) => {
      session = begun;
      // A reset or a broken frame ends the connection; its calls see that, nobody else need.
      session.on("error", cut);
      // A client's settings are the end of its preface.
      session.once("remoteSettings", () => cancelPreface());
      session.once("close", cutLater);
    },
    drain,
    cut,
  };
}

/** Timers that end with a socket. */
function socketTimers(socket: Socket, clock: Clock): Clock["after"] {
  const timers = new Set<Cancel>();
  socket.once("close", () => {
    for (const cancel of timers) cancel();
  });
  return (delayMs, run) => {
    const cancel = clock.after(delayMs, () => {
      timers.delete(cancel);
      run();
    });
    timers.add(cancel);
    return cancel;
  };
}

/** Counts the open calls of a connection. */
function callCounter(clock: Clock, onEnd: () => void) {
  let calls = 0;
  let streams = 0;
  let hadAny = false;
  let endedAtMs = clock.monotonicMs();
  return {
    hasAny: () => calls > 0,
    hadAny: () => hadAny,
    hasStreams: () => streams > 0,
    /** When the last one ended; without any, when counting began. */
    endedAtMs: () => endedAtMs,
    open: (kind: CallKind): Cancel => {
      calls += 1;
      hadAny = true;
      if (kind === "stream") streams += 1;
      return () => {
        calls -= 1;
        if (kind === "stream") streams -= 1;
        endedAtMs = clock.monotonicMs();
        onEnd();
      };
    },
  };
}
