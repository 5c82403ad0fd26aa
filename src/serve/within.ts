import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "#core/clock.ts";

/**
 * Passes a request's body on, and fails when its end has not come in time: answers come from memory, so
 * a call that lasts is a client that stopped sending, and it would hold its place for ever.
 *
 * The time is counted in two halves: when this process itself stands still, the first half ends late,
 * and what the client has sent meanwhile is read during the second.
 *
 * @param heard Told once, when the body has ended or failed.
 * @throws {ConnectError} DEADLINE_EXCEEDED.
 */
export async function* within<T>(
  limitMs: number,
  body: AsyncIterable<T>,
  clock: Clock,
  heard: () => void,
): AsyncGenerator<T> {
  const iterator = body[Symbol.asyncIterator]();
  let expire = () => {};
  const expired = new Promise<undefined>((resolve) => {
    expire = () => resolve(undefined);
  });
  let cancel = clock.after(limitMs / 2, () => {
    cancel = clock.after(limitMs / 2, expire);
  });
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), expired]);
      if (next === undefined) throw new ConnectError(tooSlow(limitMs), Code.DeadlineExceeded);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    cancel();
    heard();
  }
}

function tooSlow(limitMs: number): string {
  return `Cannot read the request: it did not end within ${limitMs} ms; send it whole`;
}
