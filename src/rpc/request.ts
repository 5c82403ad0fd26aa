/**
 * Requests on their way in, and how long they may take.
 *
 * Answers come from memory, so a call that lasts is a client that stopped sending, and it would hold
 * what was reserved for it for ever. It ends with DEADLINE_EXCEEDED.
 *
 * @module
 */
import type { Http2ServerRequest } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Cancel, Clock } from "#core/clock.ts";

export interface ReceiverEvents {
  /** More has come, but not all. */
  readonly onPart: (bytes: number) => void;
  /** The request has come: whole, or as much of it as an unread stream holds. */
  readonly onReceived: (isWhole: boolean) => void;
  readonly onLate: (error: ConnectError) => void;
}

/** Waits for a request that nobody reads yet. When its stream closes before, nothing is called. */
export type Receiver = (request: Http2ServerRequest, events: ReceiverEvents) => void;

/**
 * Waits for the requests of one connection.
 *
 * They are late when nothing of any of them came for `limitMs`, half as much again at most. A burst
 * of calls is not: HTTP/2's flow control lets its messages come one after another, each when those
 * before it are read.
 */
export function receiver(limitMs: number, clock: Clock): Receiver {
  const awaited = new Set<() => void>();
  let quietHalves = 0;
  let cancel: Cancel = () => undefined;

  const countHalf = () => {
    cancel = clock.after(limitMs / 2, () => {
      quietHalves += 1;
      if (quietHalves > 2) for (const giveUp of [...awaited]) giveUp();
      if (awaited.size > 0) countHalf();
    });
  };
  return ({ stream }, { onPart, onReceived, onLate }) => {
    const stop = () => {
      stream.off("readable", onReadable);
      awaited.delete(giveUp);
      if (awaited.size === 0) cancel();
    };
    const onReadable = () => {
      quietHalves = 0;
      // Whether the client has said that it sends no more.
      const isWhole = stream.endAfterHeaders || stream.state.remoteClose === 1;
      if (!isWhole) onPart(stream.readableLength);
      if (!isWhole && stream.readableLength < stream.readableHighWaterMark / 2) return;
      stop();
      onReceived(isWhole);
    };
    const giveUp = () => {
      stop();
      onLate(tooLate(limitMs));
    };
    if (awaited.size === 0) countHalf();
    awaited.add(giveUp);
    stream.on("readable", onReadable);
    stream.once("close", stop);
    quietHalves = 0;
  };
}

/** Makes a request that is being read fail for its reader when its end does not come in time. */
export function limitReading(request: Http2ServerRequest, limitMs: number, clock: Clock): void {
  const { stream } = request;
  // The reader hears the error; without a reader it must not be an uncaught one.
  request.on("error", () => undefined);
  const cancel = clock.after(limitMs, () => request.destroy(tooLate(limitMs)));
  stream.once("end", cancel);
  stream.once("close", cancel);
}

function tooLate(limitMs: number): ConnectError {
  const text = `Cannot read the request: it did not end within ${limitMs} ms; send it whole`;
  return new ConnectError(text, Code.DeadlineExceeded);
}
