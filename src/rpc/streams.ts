/**
 * How long a stream lives: until its client goes or its connection drains.
 *
 * @module
 */
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Cancel } from "#core/clock.ts";

/** What a stream must know of the connection that carries it: whether its streams are to end. */
export interface CallConnection {
  readonly draining: () => boolean;
  readonly onDrain: (listener: () => void) => Cancel;
}

/** The connection that carries a call. Without one, as in a test, nothing ever drains. */
export const connectionKey = createContextKey<CallConnection>({
  draining: () => false,
  onDrain: () => () => undefined,
});

/** Runs `listener` at each change; returns the way to stop that. */
export type Subscribe = (listener: () => void) => Cancel;

type StreamContext = Pick<HandlerContext, "signal" | "values">;

/**
 * The loop of every stream: yields at once and then whenever a source has changed, until the
 * connection drains. Changes that come while the reader is busy count as one, so a slow client costs
 * no memory, and a change that came before the drain is still delivered.
 *
 * @throws {ConnectError} When the caller has cancelled or its deadline has passed.
 */
export async function* updates(
  { signal, values }: StreamContext,
  ...sources: readonly Subscribe[]
): AsyncGenerator<void> {
  const connection = values.get(connectionKey);
  let changed = true;
  let wake = () => {};
  const onChange = () => {
    changed = true;
    wake();
  };
  const onEnd = () => wake();
  const stops = [...sources.map((subscribe) => subscribe(onChange)), connection.onDrain(onEnd)];
  signal.addEventListener("abort", onEnd);
  try {
    for (;;) {
      if (signal.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
      if (changed) {
        changed = false;
        yield;
      } else if (connection.draining()) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal.removeEventListener("abort", onEnd);
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
