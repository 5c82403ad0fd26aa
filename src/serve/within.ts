import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "#core/clock.ts";

/**
 * Passes a request's body on, and fails when its end has not come in time: answers come from memory, so
 * a call that lasts is a client that stopped sending, and it would hold its place for ever.
 *
 * @throws {ConnectError} DEADLINE_EXCEEDED.
 */
export async function* within<T>(
  limitMs: number,
  body: AsyncIterable<T>,
  clock: Clock,
): AsyncGenerator<T> {
  const iterator = body[Symbol.asyncIterator]();
  let expire = () => {};
  const expired = new Promise<undefined>((resolve) => {
    expire = () => resolve(undefined);
  });
  const cancel = clock.after(limitMs, () => expire());
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), expired]);
      if (next === undefined) throw new ConnectError(tooSlow(limitMs), Code.DeadlineExceeded);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    cancel();
  }
}

function tooSlow(limitMs: number): string {
  return `Cannot read the request: it did not end within ${limitMs} ms; send it whole`;
}
