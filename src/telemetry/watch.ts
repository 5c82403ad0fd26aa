/**
 * One `NodeTelemetry.Watch` call over `node:http2`, without a client library in between.
 *
 * A thousand of these streams are the steady load of a scaler. Measured with 1,000 agents on Bun
 * 1.4.5, the same messages cost 0.14 of a core and 134 MiB this way, and 0.43 of a core and
 * 199 MiB through Connect's client. Each call has a connection of its own, which ends with it.
 *
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 *
 * @module
 */
import { type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { toBinary } from "@bufbuild/protobuf";
import type { Cancel, Clock } from "#core/clock.ts";
import { hostPort } from "#core/host-port.ts";
import { messageBytesMax } from "#core/limits.ts";
import {
  type NodeSnapshot,
  NodeTelemetry,
  WatchRequestSchema,
} from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { ReadingName } from "#metric/reading.ts";
import { readSnapshot } from "./check.ts";
import { watchRequest } from "./demand.ts";
import { messagePace } from "./pace.ts";

interface WatchCall {
  readonly address: string;
  readonly port: number;
  readonly clock: Pick<Clock, "monotonicMs" | "after">;
  /** Readings that cost, which the agent is to take as well. */
  readonly demanded?: readonly ReadingName[] | undefined;
  /** Ends the call and its connection. */
  readonly signal: AbortSignal;
  /** What it throws ends the call. */
  readonly onSnapshot: (snapshot: NodeSnapshot) => void;
}

/**
 * Watches an agent until one side ends it.
 *
 * @returns Resolved when the agent ended the stream without an error.
 * @throws {Error} when the connection or the call fails, or `signal` is aborted; a `Fault` of code
 * `report-invalid` for a message that no node can mean.
 */
export type WatchAgent = (call: WatchCall) => Promise<void>;

const path = `/${NodeTelemetry.typeName}/${NodeTelemetry.method.watch.name}`;
/** A frame's header: whether it is compressed, then its length. */
const headerBytes = 5;

export const watchAgent: WatchAgent = (call) => {
  const { address, port, clock, demanded = [], signal, onSnapshot } = call;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const agent = hostPort({ address, port });
  const session = connect(`http://${agent}`);
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc+proto",
    te: "trailers",
  });
  const fail = (error: unknown) => {
    reject(error);
    session.destroy();
  };
  const refuse = (problem: string) => fail(new Error(`Cannot watch ${agent}: ${problem}`));
  const finish = (trailers: IncomingHttpHeaders) => {
    const { "grpc-status": status = "missing", "grpc-message": message = "" } = trailers;
    if (status === "0") resolve();
    else refuse(`gRPC status ${status} ${percentDecoded(String(message))}`);
  };
  const stopReading = readPaced(stream, clock, fail, (message) =>
    onSnapshot(readSnapshot(message)),
  );
  const onAbort = () => fail(signal.reason);
  signal.addEventListener("abort", onAbort);

  session.on("error", fail);
  stream.on("error", fail);
  stream.on("response", (headers) => {
    if (headers[":status"] !== 200)
      refuse(`HTTP status ${headers[":status"]}; see that the port is an agent's`);
    // A call that fails at once has its status here and no trailers.
    else if (headers["grpc-status"] !== undefined) finish(headers);
  });
  stream.on("trailers", finish);
  // After trailers this changes nothing any more: a promise is settled once.
  stream.on("close", () => refuse("connection lost"));
  stream.end(framed(toBinary(WatchRequestSchema, watchRequest(demanded))));
  if (signal.aborted) onAbort();
  return promise.finally(() => {
    signal.removeEventListener("abort", onAbort);
    stopReading();
    session.destroy();
  });
};

function framed(message: Uint8Array): Uint8Array {
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
function readPaced(
  stream: ClientHttp2Stream,
  clock: WatchCall["clock"],
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

/** gRPC percent-encodes messages; one that is not encoded is shown as it came. */
function percentDecoded(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
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
  let buffered: Uint8Array = new Uint8Array(0);
  return (chunk) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    while (!isPaused() && buffered.length >= headerBytes) {
      const view = new DataView(buffered.buffer, buffered.byteOffset, headerBytes);
      const messageBytes = view.getUint32(1);
      if (view.getUint8(0) !== 0)
        throw new Error("Cannot read an agent's message: it is compressed, which was not offered");
      if (messageBytes > messageBytesMax)
        throw new Error(
          `Cannot read an agent's message: ${messageBytes} bytes, the limit is ${messageBytesMax}`,
        );
      if (buffered.length < headerBytes + messageBytes) return;
      onMessage(buffered.subarray(headerBytes, headerBytes + messageBytes));
      buffered = buffered.subarray(headerBytes + messageBytes);
    }
  };
}
