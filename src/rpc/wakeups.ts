import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Cancel } from "#core/clock.ts";

/** What a stream must know of its connection: whether it is being emptied. */
export interface Draining {
  readonly draining: () => boolean;
  readonly onDrain: (listener: () => void) => Cancel;
}

/** The connection that carries a call; without a connection, as in a test, nothing ever drains. */
export const drainingKey = createContextKey<Draining>({
  draining: () => false,
  onDrain: () => () => undefined,
});

/** Starts to call `ring`; returns the way to stop it. */
export type WakeSource = (ring: () => void) => Cancel;

/**
 * The heart of every stream: yields at once and then whenever a source has rung, until the
 * connection drains. Rings that come while the reader is busy count as one, so a slow client costs
 * no memory, and a ring that came before the drain is still delivered.
 *
 * @throws {ConnectError} When the caller has cancelled or its deadline has passed.
 */
export async function* wakeups(
  context: Pick<HandlerContext, "signal" | "values">,
  ...sources: readonly WakeSource[]
): AsyncGenerator<void> {
  const connection = context.values.get(drainingKey);
  let rung = true;
  let wake = () => {};
  const ring = () => {
    rung = true;
    wake();
  };
  const look = () => wake();
  const stops = [...sources.map((start) => start(ring)), connection.onDrain(look)];
  context.signal.addEventListener("abort", look);
  try {
    for (;;) {
      if (context.signal.aborted) throw ConnectError.from(context.signal.reason, Code.Canceled);
      if (rung) {
        rung = false;
        yield;
      } else if (connection.draining()) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    context.signal.removeEventListener("abort", look);
    for (const stop of stops) stop();
  }
}

/**
 * Passes on what a client streams, until the connection drains: what is sent after that is not read.
 *
 * @throws {ConnectError} When the caller has cancelled or its deadline has passed.
 */
export async function* untilDrained<T>(
  context: Pick<HandlerContext, "signal" | "values">,
  messages: AsyncIterable<T>,
): AsyncGenerator<T> {
  const { draining, onDrain } = context.values.get(drainingKey);
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
