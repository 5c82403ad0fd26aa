import http2 from "node:http2";
import { connect } from "node:net";

/** How a raw call ended; without a status when the server gave none. */
export interface RawEnd {
  readonly status?: string;
  readonly message?: string;
}

/** A message as gRPC sends it: behind a flag, 1 for compressed, and its length. */
export function frame(message: Uint8Array, flag = 0): Buffer {
  const header = Buffer.from([flag, 0, 0, 0, 0]);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/**
 * HTTP/2 without gRPC's manners: for what no gRPC client does.
 *
 * @param localAddress Of loopback, for a client that the server takes for another peer.
 */
export function rawClient(
  port: number,
  settings: http2.Settings = {},
  localAddress: string | undefined = undefined,
) {
  const session = http2.connect(`http://127.0.0.1:${port}`, {
    settings,
    createConnection: () => connect({ host: "127.0.0.1", port, localAddress }),
  });
  session.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => session.once("close", resolve));
  return {
    closed,
    settings: (changed: http2.Settings) => session.settings(changed),
    /** Opens a call; its message, when given, is sent whole. `null`: the headers end the request. */
    call: (path: string, message?: Uint8Array | null, headers: http2.OutgoingHttpHeaders = {}) => {
      const grpcHeaders = {
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        ...headers,
      };
      const stream = session.request(grpcHeaders, { endStream: message === null });
      const parts: Buffer[] = [];
      const end = Promise.withResolvers<RawEnd>();
      const take = (headers: http2.IncomingHttpHeaders) => {
        const { "grpc-status": status, "grpc-message": text } = headers;
        if (status !== undefined)
          end.resolve({ status: String(status), message: decodeURIComponent(String(text ?? "")) });
      };
      stream.on("response", (headers, flags) => {
        // A status in headers that do not end the stream is none to a gRPC client.
        if (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) take(headers);
      });
      stream.on("trailers", take);
      stream.on("error", () => undefined);
      stream.once("close", () => end.resolve({}));
      stream.on("data", (part: Buffer) => parts.push(part));
      if (message !== undefined && message !== null) stream.end(message);
      return {
        ended: end.promise,
        /** What came back, frame headers and all. */
        body: () => Buffer.concat(parts),
        closed: new Promise<void>((resolve) => stream.once("close", resolve)),
        write: (part: Uint8Array) => void stream.write(part),
        send: (last: Uint8Array) => void stream.end(last),
        cancel: () => stream.close(http2.constants.NGHTTP2_CANCEL),
      };
    },
    [Symbol.asyncDispose]: async () => {
      session.destroy();
      await closed;
    },
  };
}
