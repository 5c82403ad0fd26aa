import type { Http2ServerRequest, ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "#core/clock.ts";

export interface BodyLimits {
  /** What is longer is cut: whoever reads the part that came sees that it is too long. */
  readonly bytesMax: number;
  /** Time for the body to end. */
  readonly limitMs: number;
  readonly clock: Clock;
}

/**
 * Collects a request's body, and fails when its end has not come in time: answers come from memory, so
 * a call that lasts is a client that stopped sending, and it would hold its place for ever.
 *
 * The time is counted in two halves: when this process itself stands still, the first half ends late,
 * and what the client has sent meanwhile is read during the second.
 *
 * @throws {ConnectError} DEADLINE_EXCEEDED when it is late, CANCELED when the client went away.
 */
export function wholeBody(
  stream: ServerHttp2Stream,
  { bytesMax, limitMs, clock }: BodyLimits,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    let ended = false;
    let cancel = clock.after(limitMs / 2, () => {
      cancel = clock.after(limitMs / 2, () => reject(tooLate(limitMs)));
    });
    const end = () => {
      ended = true;
      cancel();
      const [first, ...more] = parts;
      resolve(first !== undefined && more.length === 0 ? first : Buffer.concat(parts));
    };
    stream.on("data", (part: Buffer) => {
      if (ended) return;
      parts.push(part);
      bytes += part.length;
      if (bytes > bytesMax) end();
    });
    stream.once("end", end);
    stream.once("close", () => {
      cancel();
      if (!ended) reject(goneAway());
    });
  });
}

/**
 * Passes on a body that may go on for as long as its call.
 *
 * @throws {ConnectError} CANCELED when the client went away.
 */
export async function* endlessBody(request: Http2ServerRequest): AsyncGenerator<Uint8Array> {
  try {
    yield* request as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw goneAway(cause);
  }
}

function tooLate(limitMs: number): ConnectError {
  const text = `Cannot read the request: it did not end within ${limitMs} ms; send it whole`;
  return new ConnectError(text, Code.DeadlineExceeded);
}

function goneAway(cause?: unknown): ConnectError {
  const text = "Cannot read the request: the client went away";
  return new ConnectError(text, Code.Canceled, undefined, undefined, cause);
}
