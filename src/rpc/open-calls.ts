/**
 * The calls that are open, what each of them keeps in memory, and which of them gives way.
 *
 * A client that sends a request in part, or does not read what it was sent, makes the process keep
 * it. A call of a client that works is over within milliseconds, so of too many calls the peer with
 * the most loses its oldest.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { unsentCheckMs, unsentEndsMax } from "#core/limits.ts";
import { type Listeners, listeners } from "#core/listeners.ts";
import { shares } from "#core/shares.ts";
import type { CallSending } from "./streams.ts";

export interface OpenCallLimits {
  /** Open unary calls; where there are more, the peer with the most loses its oldest. */
  readonly callsOpenMax: number;
  /** Bytes of all requests that have come in part; of more the oldest request is ended. */
  readonly requestBytesMax: number;
}

/** A call as its stream shows it. */
export interface OpenCall {
  readonly peer: string;
  readonly kind: "stream" | "unary";
  /** Whether its answer has begun. */
  readonly isAnswered: () => boolean;
  /** Bytes that were sent and wait for the client to let them through. */
  readonly unsentBytes: () => number;
  /** Time for its client to take what it was sent. */
  readonly takeMs: () => number;
  /** Its client was seen to take something. */
  readonly onTaken: () => void;
  /** @param isStrike Whether a client that works would not have let it come to that. */
  readonly giveWay: (why: Fault, isStrike: boolean) => void;
}

interface FollowedCall extends OpenCall {
  readonly caughtUp: Listeners;
  requestBytes: number;
  unsentSinceMs: number | undefined;
  isReceived: boolean;
  /** Whether its client took anything that was sent. */
  hasTaken: boolean;
  /** It is closed or on its way to be: what still comes of it is dropped. */
  isOver: boolean;
}

/** One call while it is followed. */
export interface CallFollower {
  readonly sending: CallSending;
  /** Says how much of its request is kept; 0 when that was passed on. */
  readonly setRequestBytes: (bytes: number) => void;
  /** Its request has come whole: what it waits for now is its turn. */
  readonly received: () => void;
  /** Its stream is closed. */
  readonly close: () => void;
}

export type FollowCall = (call: OpenCall) => CallFollower;

export function openCalls(limits: OpenCallLimits, clock: Clock): FollowCall {
  const { callsOpenMax, requestBytesMax } = limits;
  // In the order in which they were opened.
  const open = new Set<FollowedCall>();
  const unary = shares<FollowedCall>();
  const arriving = new Set<FollowedCall>();
  let requestBytes = 0;
  let cancelCheck: Cancel | undefined;

  const setRequestBytes = (call: FollowedCall, bytes: number) => {
    requestBytes += bytes - call.requestBytes;
    call.requestBytes = bytes;
    if (bytes === 0) arriving.delete(call);
    else arriving.add(call);
  };
  const release = (call: FollowedCall) => {
    call.isOver = true;
    unary.remove(call.peer, call);
    setRequestBytes(call, 0);
  };
  const giveWay = (call: FollowedCall, why: Fault) => {
    if (call.isOver) return;
    const isStrike = !call.isReceived || (call.unsentBytes() > 0 && !call.hasTaken);
    release(call);
    call.giveWay(why, isStrike);
  };
  const checkUnsent = () => {
    const nowMs = clock.monotonicMs();
    let ended = 0;
    for (const call of [...open]) {
      if (call.isOver || !isStuck(call, nowMs)) continue;
      giveWay(call, notTaken(call.takeMs()));
      ended += 1;
      // To end many at once would keep the process from everybody else.
      if (ended === unsentEndsMax) break;
    }
    if (open.size > 0) return;
    cancelCheck?.();
    cancelCheck = undefined;
  };

  const makeRoom = (calls: Iterable<FollowedCall>, rule: string, limit: number) => {
    for (const oldest of calls) return giveWay(oldest, overloaded("keep the call", rule, limit));
  };

  return (opened) => {
    const call = followedCall(opened);
    open.add(call);
    if (call.kind === "unary") unary.add(call.peer, call);
    cancelCheck ??= clock.every(unsentCheckMs, checkUnsent);
    if (unary.size() > callsOpenMax)
      makeRoom(unary.largest(), `${callsOpenMax} open calls`, callsOpenMax);
    return {
      sending: sendingOf(call, clock),
      setRequestBytes: (bytes) => {
        if (call.isOver) return;
        setRequestBytes(call, bytes);
        while (requestBytes > requestBytesMax)
          makeRoom(arriving, `${requestBytesMax} bytes of unfinished requests`, requestBytesMax);
      },
      received: () => {
        call.isReceived = true;
      },
      close: () => {
        open.delete(call);
        release(call);
      },
    };
  };
}

function followedCall(opened: OpenCall): FollowedCall {
  return {
    ...opened,
    caughtUp: listeners(),
    requestBytes: 0,
    unsentSinceMs: undefined,
    isReceived: false,
    hasTaken: false,
    isOver: false,
  };
}

function sendingOf(call: FollowedCall, clock: Clock): CallSending {
  return {
    isBehind: () => {
      if (call.unsentBytes() === 0) return false;
      call.unsentSinceMs ??= clock.monotonicMs();
      return true;
    },
    onCaughtUp: call.caughtUp.subscribe,
  };
}

/** Looks whether a call's client takes what it is sent. @returns Whether its time for that is over. */
function isStuck(call: FollowedCall, nowMs: number): boolean {
  if (call.unsentBytes() > 0) {
    call.unsentSinceMs ??= nowMs;
    return nowMs - call.unsentSinceMs >= call.takeMs();
  }
  if (!call.hasTaken && call.isAnswered()) {
    call.hasTaken = true;
    call.onTaken();
  }
  if (call.unsentSinceMs !== undefined) {
    call.unsentSinceMs = undefined;
    call.caughtUp.notify();
  }
  return false;
}

function notTaken(limitMs: number): Fault {
  return overloaded("go on sending", `${limitMs} ms to take what was sent`, limitMs);
}

/** The refusal of what is over a limit, `at most <rule>`. */
export function overloaded(request: string, rule: string, limit: number): Fault {
  const message = `Cannot ${request}: at most ${rule}; ask again later or add replicas`;
  return new Fault("overloaded", message, { limit });
}
