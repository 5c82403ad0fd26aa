import { Code, ConnectError } from "@connectrpc/connect";
import type { Cancel, Clock } from "#core/clock.ts";

export interface RequestBodyOptions {
  /** Time for the body to end; absent when it may go on as long as the call. */
  readonly limitMs: number | undefined;
  readonly clock: Clock;
  /** Told once, when the body has ended or failed. */
  readonly heard: () => void;
}

/**
 * Passes a request's body on, and fails when its end has not come in time: answers come from memory, so
 * a call that lasts is a client that stopped sending, and it would hold its place for ever.
 *
 * The time is counted in two halves: when this process itself stands still, the first half ends late,
 * and what the client has sent meanwhile is read during the second.
 *
 * @throws {ConnectError} DEADLINE_EXCEEDED when it is late, CANCELED when the client went away.
 */
export async function* requestBody<T>(
  body: AsyncIterable<T>,
  { limitMs, clock, heard }: RequestBodyOptions,
): AsyncGenerator<T> {
  const iterator = body[Symbol.asyncIterator]();
  let fail: (error: ConnectError) => void = () => undefined;
  const read = () =>
    new Promise<IteratorResult<T>>((resolve, reject) => {
      fail = reject;
      iterator.next().then(resolve, (cause: unknown) => reject(goneAway(cause)));
    });
  const cancel =
    limitMs === undefined ? undefined : inHalves(limitMs, clock, () => fail(tooLate(limitMs)));
  try {
    for (let part = await read(); part.done !== true; part = await read()) yield part.value;
  } finally {
    cancel?.();
    heard();
  }
}

function inHalves(delayMs: number, clock: Clock, run: () => void): Cancel {
  let cancel = clock.after(delayMs / 2, () => {
    cancel = clock.after(delayMs / 2, run);
  });
  return () => cancel();
}

function tooLate(limitMs: number): ConnectError {
  const text = `Cannot read the request: it did not end within ${limitMs} ms; send it whole`;
  return new ConnectError(text, Code.DeadlineExceeded);
}

function goneAway(cause: unknown): ConnectError {
  const text = "Cannot read the request: the client went away";
  return new ConnectError(text, Code.Canceled, undefined, undefined, cause);
}
