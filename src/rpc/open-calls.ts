/**
 * The calls that are open, what each of them keeps in memory, and which of them gives way.
 *
 * A client that sends a request in part, or does not read what it was sent, makes the process keep
 * it. A call of a client that works is over within milliseconds, so of too many calls the oldest
 * belong to one that does not.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { unsentCheckMs } from "#core/limits.ts";
import { type Listeners, listeners } from "#core/listeners.ts";
import type { CallSending } from "./streams.ts";

export interface OpenCallLimits {
  /** Open unary calls; of more than these the oldest is ended. */
  readonly callsOpenMax: number;
  /** Bytes of all requests that have come in part; of more the oldest request is ended. */
  readonly requestBytesMax: number;
  /** Time for a client to take what it was sent. */
  readonly writeMs: number;
}

/** A call as its stream shows it. */
export interface OpenCall {
  /** Bytes that were sent and wait for the client to let them through. */
  readonly unsentBytes: () => number;
  readonly giveWay: (why: Fault) => void;
}

interface FollowedCall extends OpenCall {
  readonly caughtUp: Listeners;
  requestBytes: number;
  unsentSinceMs: number | undefined;
  /** It is closed or on its way to be: what still comes of it is dropped. */
  isOver: boolean;
}

/** One call while it is followed. */
export interface CallFollower {
  readonly sending: CallSending;
  /** Says how much of its request is kept; 0 when that was passed on. */
  readonly setRequestBytes: (bytes: number) => void;
  /** Its stream is closed. */
  readonly close: () => void;
}

export type FollowCall = (call: OpenCall, kind: "stream" | "unary") => CallFollower;

export function openCalls(limits: OpenCallLimits, clock: Clock): FollowCall {
  const { callsOpenMax, requestBytesMax, writeMs } = limits;
  // In the order in which they were opened.
  const open = new Set<FollowedCall>();
  const unary = new Set<FollowedCall>();
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
    unary.delete(call);
    setRequestBytes(call, 0);
  };
  const giveWay = (call: FollowedCall, why: Fault) => {
    release(call);
    call.giveWay(why);
  };
  const checkUnsent = () => {
    const nowMs = clock.monotonicMs();
    for (const call of [...open]) {
      if (call.unsentBytes() === 0) {
        if (call.unsentSinceMs === undefined) continue;
        call.unsentSinceMs = undefined;
        call.caughtUp.notify();
      } else {
        call.unsentSinceMs ??= nowMs;
        if (nowMs - call.unsentSinceMs >= writeMs)
          giveWay(
            call,
            overloaded("go on sending", `${writeMs} ms to take what was sent`, writeMs),
          );
      }
    }
    if (open.size > 0) return;
    cancelCheck?.();
    cancelCheck = undefined;
  };

  return (opened, kind) => {
    const caughtUp = listeners();
    const call: FollowedCall = {
      ...opened,
      caughtUp,
      requestBytes: 0,
      unsentSinceMs: undefined,
      isOver: false,
    };
    open.add(call);
    if (kind === "unary") unary.add(call);
    cancelCheck ??= clock.every(unsentCheckMs, checkUnsent);
    for (const oldest of unary) {
      if (unary.size <= callsOpenMax) break;
      giveWay(oldest, overloaded("keep the call", `${callsOpenMax} open calls`, callsOpenMax));
    }
    return {
      sending: {
        isBehind: () => {
          if (call.unsentBytes() === 0) return false;
          call.unsentSinceMs ??= clock.monotonicMs();
          return true;
        },
        onCaughtUp: caughtUp.subscribe,
      },
      setRequestBytes: (bytes) => {
        if (call.isOver) return;
        setRequestBytes(call, bytes);
        for (const oldest of arriving) {
          if (requestBytes <= requestBytesMax) break;
          const rule = `${requestBytesMax} bytes of unfinished requests`;
          giveWay(oldest, overloaded("keep the call", rule, requestBytesMax));
        }
      },
      close: () => {
        open.delete(call);
        release(call);
      },
    };
  };
}

/** The refusal of what is over a limit, `at most <rule>`. */
export function overloaded(request: string, rule: string, limit: number): Fault {
  const message = `Cannot ${request}: at most ${rule}; ask again later or add replicas`;
  return new Fault("overloaded", message, { limit });
}
