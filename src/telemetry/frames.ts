/**
 * gRPC's messages on a stream: each in a frame that says how long it is.
 *
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 *
 * @module
 */
import type { ClientHttp2Stream } from "node:http2";
import type { Cancel, Clock } from "#core/clock.ts";
import { messageBytesMax, messageChunksMax } from "#core/limits.ts";
import { messagePace } from "./pace.ts";

/** A frame's header: whether it is compressed, then its length. */
const headerBytes = 5;

export function framed(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(headerBytes + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, headerBytes);
  return frame;
}

/**
 * Reads a stream's messages, and while its agent is ahead of its pace none: what it sends then waits
 * on its own machine, for HTTP/2 lets a sender send no more than its receiver has room for. Under
 * Bun that holds for `read()`: each `resume()` makes room again, whatever lies unread.
 *
 * @returns Ends the reading.
 */
export function readPaced(
  stream: ClientHttp2Stream,
  clock: Pick<Clock, "monotonicMs" | "after">,
  fail: (error: unknown) => void,
  onMessage: (message: Uint8Array) => void,
): Cancel {
  const pace = messagePace(clock);
  let isPaused = false;
  let cancelPause: Cancel = () => {};
  const onFrame = (message: Uint8Array) => {
    onMessage(message);
    const pauseMs = pace(message.length);
    if (pauseMs === 0) return;
    isPaused = true;
    cancelPause = clock.after(pauseMs, () => {
      isPaused = false;
      readOn(new Uint8Array(0));
    });
  };
  const read = frameReader(onFrame, () => isPaused);
  const readOn = (first: Uint8Array | null) => {
    try {
      for (let chunk = first; chunk !== null; chunk = isPaused ? null : stream.read()) read(chunk);
    } catch (error) {
      fail(error);
    }
  };
  stream.on("readable", () => {
    if (!isPaused) readOn(stream.read());
  });
  return () => {
    isPaused = true;
    cancelPause();
  };
}

/**
 * Cuts a stream of bytes into gRPC messages.
 *
 * @param isPaused Whether messages are to wait; they come with the next chunk, be it an empty one.
 */
export function frameReader(
  onMessage: (message: Uint8Array) => void,
  isPaused: () => boolean = () => false,
): (chunk: Uint8Array) => void {
  let chunks: Uint8Array[] = [];
  let [bytes, neededBytes] = [0, headerBytes];
  return (chunk) => {
    chunks.push(chunk);
    bytes += chunk.length;
    // Each chunk may be a byte: what came before is not copied for each of them.
    if (bytes < neededBytes && chunks.length < messageChunksMax) return;
    let buffered: Uint8Array = chunks.length === 1 ? chunk : Buffer.concat(chunks);
    neededBytes = headerBytes;
    while (!isPaused() && buffered.length >= headerBytes) {
      neededBytes = frameBytes(buffered);
      if (buffered.length < neededBytes) break;
      onMessage(buffered.subarray(headerBytes, neededBytes));
      buffered = buffered.subarray(neededBytes);
      neededBytes = headerBytes;
    }
    [chunks, bytes] = [[buffered], buffered.length];
  };
}

/** How long the frame is that begins here, its header included. */
function frameBytes(bytes: Uint8Array): number {
  const header = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const messageBytes = header.getUint32(1);
  if (header.getUint8(0) !== 0)
    throw new Error("Cannot read an agent's message: it is compressed, which was not offered");
  if (messageBytes > messageBytesMax)
    throw new Error(
      `Cannot read an agent's message: ${messageBytes} bytes, the limit is ${messageBytesMax}`,
    );
  return headerBytes + messageBytes;
}
