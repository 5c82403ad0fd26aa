/**
 * The way to one agent: dialled again after every end, with growing and jittered pauses.
 *
 * @module
 */
import type { Cancel, Clock } from "#core/clock.ts";
import { type Heard, snapshotDecoder } from "#telemetry/decode.ts";
import type { WatchAgent } from "#telemetry/watch.ts";
import type { AgentEndpoint } from "./agents.ts";

/** An agent repeats itself every 5 s at least, so by now it missed two of its messages. */
const agentSilentMs = 10_000;
const pauseLeastMs = 500;
const pauseMostMs = 30_000;

export interface Silence {
  readonly sinceMs: number;
  readonly reason: string;
}

export interface AgentLink {
  readonly endpoint: AgentEndpoint;
  readonly listedAtMs: number;
  /** What the agent said last, on whichever connection. */
  readonly heard: () => Heard | undefined;
  /** Since when and why nothing is heard; `undefined` while the agent speaks. */
  readonly silence: () => Silence | undefined;
  /** Gives up a connection on which nothing came for `agentSilentMs`. */
  readonly check: () => void;
  readonly close: () => void;
}

export interface AgentLinkOptions {
  readonly endpoint: AgentEndpoint;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly watch: WatchAgent;
  /** So that a replica that starts does not open all connections in one instant. */
  readonly firstPauseMs: number;
  readonly onHeard: (heard: Heard) => void;
}

export function agentLink(options: AgentLinkOptions): AgentLink {
  const { endpoint, clock, random, watch, firstPauseMs, onHeard } = options;
  const listedAtMs = clock.monotonicMs();
  let heard: Heard | undefined;
  let spokeAtMs = listedAtMs;
  let dialledAtMs = listedAtMs;
  let reason = "not connected yet";
  let failures = 0;
  let connection: AbortController | undefined;
  let cancelPause: Cancel = () => {};
  let closed = false;

  async function dial() {
    const current = new AbortController();
    connection = current;
    dialledAtMs = clock.monotonicMs();
    const decode = snapshotDecoder();
    const onSnapshot = (snapshot: Parameters<typeof decode>[0]) => {
      if (current.signal.aborted) return;
      spokeAtMs = clock.monotonicMs();
      const now = decode(snapshot);
      if (now === undefined) {
        reason = "it is there and has read no device yet";
        return;
      }
      failures = 0;
      reason = "connected, and nothing comes";
      heard = now;
      onHeard(now);
    };
    try {
      await watch({ ...endpoint, signal: current.signal, onSnapshot });
      reason = "it ended the stream";
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    connection = undefined;
    if (!closed) pause(pauseAfter(failures, random()));
    failures += 1;
  }
  function pause(delayMs: number) {
    cancelPause = clock.after(delayMs, () => void dial());
  }
  pause(firstPauseMs);

  return {
    endpoint,
    listedAtMs,
    heard: () => heard,
    silence: () => {
      if (heard !== undefined && clock.monotonicMs() - spokeAtMs < agentSilentMs) return undefined;
      return { sinceMs: heard === undefined ? listedAtMs : spokeAtMs, reason };
    },
    check: () => {
      const quietMs = clock.monotonicMs() - Math.max(spokeAtMs, dialledAtMs);
      if (connection !== undefined && quietMs >= agentSilentMs)
        connection.abort(new Error(`connected, and silent for ${agentSilentMs} ms`));
    },
    close: () => {
      closed = true;
      cancelPause();
      connection?.abort(new Error("not listed any more"));
    },
  };
}

/**
 * Time to wait before the next attempt: between half and all of a span that doubles.
 *
 * @param failures Attempts since the agent last said something.
 * @param chance From 0 to 1.
 */
export function pauseAfter(failures: number, chance: number): number {
  const spanMs = Math.min(pauseLeastMs * 2 ** Math.min(failures, 30), pauseMostMs);
  return (spanMs / 2) * (1 + chance);
}
