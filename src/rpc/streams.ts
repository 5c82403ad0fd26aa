/**
 * How long a stream lives: until its client goes or its connection drains.
 *
 * @module
 */
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Cancel } from "#core/clock.ts";

/** What a stream must know of the connection that carries it: whether its streams are to end. */
export interface CallConnection {
  /** Who is at its other end; connections of one client have the same. */
  readonly peer: string;
  readonly draining: () => boolean;
  readonly onDrain: (listener: () => void) => Cancel;
}

/** The connection that carries a call. Without one, as in a test, nothing ever drains. */
export const connectionKey = createContextKey<CallConnection>({
  peer: "",
  draining: () => false,
  onDrain: () => () => undefined,
});

/** Whether a call's client takes what it is sent. */
export interface CallSending {
  /** Whether something that was sent still waits for the client to let it through. */
  readonly isBehind: () => boolean;
  /** Runs `listener` when nothing waits any more. */
  readonly onCaughtUp: (listener: () => void) => Cancel;
}

/** How a call's messages go out. Without it, as in a test, they go out at once. */
export const sendingKey = createContextKey<CallSending>({
  isBehind: () => false,
  onCaughtUp: () => () => undefined,
});

/** Runs `listener` at each change; returns the way to stop that. */
export type Subscribe = (listener: () => void) => Cancel;

type StreamContext = Pick<HandlerContext, "signal" | "values">;

/**
 * The loop of every stream: yields at once and then whenever a source has changed, until the
 * connection drains. Changes that come while the client has not taken the message before count as one,
 * so that it costs the memory of one message; a change that came before the drain is still delivered
 * to a client that takes it.
 *
 * @throws {ConnectError} When the caller has cancelled or its deadline has passed.
 */
export async function* updates(
  { signal, values }: StreamContext,
  ...sources: readonly Subscribe[]
): AsyncGenerator<void> {
  const connection = values.get(connectionKey);
  const sending = values.get(sendingKey);
  let changed = true;
  let wake = () => {};
  const onChange = () => {
    changed = true;
    wake();
  };
  const onWake = () => wake();
  const stops = [
    ...sources.map((subscribe) => subscribe(onChange)),
    connection.onDrain(onWake),
    sending.onCaughtUp(onWake),
  ];
  signal.addEventListener("abort", onWake);
  try {
    for (;;) {
      if (signal.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
      if (changed && !sending.isBehind()) {
        changed = false;
        yield;
      } else if (connection.draining()) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal.removeEventListener("abort", onWake);
    for (const stop of stops) stop();
  }
}

/**
 * Passes on what a client streams, until the connection drains: what is sent after that is not read.
 *
 * @throws {ConnectError} When the caller has cancelled or its deadline has passed.
 */
export async function* untilDrained<T>(
  { values }: StreamContext,
  messages: AsyncIterable<T>,
): AsyncGenerator<T> {
  const { draining, onDrain } = values.get(connectionKey);
  const iterator = messages[Symbol.asyncIterator]();
  let stop: Cancel = () => undefined;
  const drained = new Promise<undefined>((resolve) => {
    stop = onDrain(() => resolve(undefined));
  });
  try {
    while (!draining()) {
      const next = await Promise.race([iterator.next(), drained]);
      if (next === undefined || next.done === true) return;
      yield next.value;
    }
  } finally {
    stop();
  }
}

/** Waits until a call's client has taken what it was sent, or its call is over. */
export async function caughtUp({ signal, values }: StreamContext): Promise<void> {
  const { isBehind, onCaughtUp } = values.get(sendingKey);
  if (!isBehind() || signal.aborted) return;
  await new Promise<void>((resolve) => {
    const stop = onCaughtUp(resolve);
    signal.addEventListener("abort", () => {
      stop();
      resolve();
    });
  });
}
