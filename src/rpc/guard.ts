/**
 * The guard around Connect's handler: which calls reach it and when, and how each of them ended.
 *
 * A call reaches Connect when its request is here, so that a client which does not send costs neither
 * a slot nor Connect's memory. A unary call then takes a slot until its answer is computed, not until
 * it is read; connections take turns, so that one which asks much delays itself.
 *
 * @module
 */
import {
  constants,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Stream,
} from "node:http2";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import type { ConnectNodeAdapterOptions, connectNodeAdapter } from "@connectrpc/connect-node";
import type { Cancel, Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { slots } from "#core/slots.ts";
import { codeName, faultError } from "./codes.ts";
import type { Connection, Connections } from "./connections.ts";
import { limitReading, type Receiver, type ReceiverEvents, receiver } from "./request.ts";
import { connectionKey } from "./streams.ts";

export interface CallLimits {
  /** Open streams of the process. */
  readonly streamsMax: number;
  /** Unary calls that Connect works on at once. */
  readonly callsMax: number;
  /** Unary calls that wait for their turn. */
  readonly callsWaitingMax: number;
  /** Time for a request to come whole. */
  readonly handlerMs: number;
}

/** One call that is over, whatever its end was. */
export interface FinishedCall {
  /** As on the wire, `externalscaler.ExternalScaler/IsActive`; `unknown` when there is no such method. */
  readonly method: string;
  /** The gRPC status, `OK` or `UNAVAILABLE`. */
  readonly code: string;
  readonly durationMs: number;
}

type Handler = ReturnType<typeof connectNodeAdapter>;
type Hooks = Required<Pick<ConnectNodeAdapterOptions, "contextValues" | "requestGate">>;

export interface CallGuardOptions {
  readonly services: readonly DescService[];
  /** Makes Connect's handler of these services, with the options by which the guard follows a call. */
  readonly handler: (hooks: Hooks) => Handler;
  readonly connections: Connections;
  readonly limits: CallLimits;
  /** Whether new streams are refused, because the process ends. */
  readonly stopping: () => boolean;
  readonly clock: Clock;
  /** Called at the end of each call. */
  readonly onFinished: (call: FinishedCall) => void;
  /** Called with the number of open streams when it changes. */
  readonly onStreams: (open: number) => void;
}

interface IncomingCall {
  readonly request: Http2ServerRequest;
  readonly response: Http2ServerResponse;
  readonly connection: Connection;
}

/** What a unary call does when its answer is computed. */
const freeSlotKey = createContextKey<Cancel | undefined>(undefined);

/** Listens to an HTTP/2 server's requests. */
export function callGuard(options: CallGuardOptions) {
  const { connections, clock, onFinished } = options;
  const methods = methodsByPath(options.services);
  const admit = admission(options);

  return (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    const startMs = clock.monotonicMs();
    const { stream, url } = request;
    const connection = connections.of(stream.session);
    if (connection === undefined) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    const method = methods.get(url.split("?", 1)[0] ?? "");
    const name = method === undefined ? "unknown" : methodName(method);
    stream.once("finish", () => hangUp(stream));
    stream.once("close", () => {
      const durationMs = clock.monotonicMs() - startMs;
      onFinished({ method: name, code: codeName(statusOf(stream)), durationMs });
    });
    const call = { request, response, connection };
    if (method === undefined) refuse(call, unknownMethod(url));
    else admit(call, method);
  };
}

/** Passes each call to Connect when it may have it, or refuses it. */
function admission(options: CallGuardOptions) {
  const { limits, clock } = options;
  const receivers = new WeakMap<Connection, Receiver>();
  const openStream = streamCounter(options);
  const pass = connectPasser(options.handler);
  const inTurn = turns(limits);

  const receive = ({ connection, request }: IncomingCall, events: ReceiverEvents): void => {
    const known = receivers.get(connection);
    const receiveRequest = known ?? receiver(limits.handlerMs, clock);
    if (known === undefined) receivers.set(connection, receiveRequest);
    receiveRequest(request, events);
  };

  return (call: IncomingCall, { methodKind }: DescMethod): void => {
    const refusal = methodKind === "unary" ? undefined : openStream(call);
    if (refusal !== undefined) refuse(call, faultError(refusal));
    // Its client may go on sending for as long as the stream is open.
    else if (methodKind === "bidi_streaming") pass(call);
    else
      receive(call, {
        onReceived: (isWhole) => {
          const passReceived = (freeSlot?: Cancel) => {
            if (!isWhole) limitReading(call.request, limits.handlerMs, clock);
            pass(call, freeSlot);
          };
          if (methodKind === "unary") inTurn(call, passReceived);
          else passReceived();
        },
        onLate: (error) => refuse(call, error),
      });
  };
}

/** Lets Connect answer a call, and learns from it when the answer is computed. */
function connectPasser(makeHandler: CallGuardOptions["handler"]) {
  const contextValues = new WeakMap<object, ContextValues>();
  const handler = makeHandler({
    contextValues: (request) => contextValues.get(request) ?? createContextValues(),
    requestGate: ({ signal, values }) => {
      const freeSlot = values.get(freeSlotKey);
      // Connect aborts the signal when it has answered, and when the call is cancelled.
      if (freeSlot !== undefined) signal.addEventListener("abort", freeSlot);
    },
  });
  return (call: IncomingCall, freeSlot?: Cancel): void => {
    const { request, response, connection } = call;
    const values = createContextValues().set(connectionKey, connection);
    contextValues.set(request, values.set(freeSlotKey, freeSlot));
    try {
      handler(request, response);
    } catch {
      const text = "Cannot read the request: its :authority is no host; send host and port";
      refuse(call, new ConnectError(text, Code.InvalidArgument));
    }
  };
}

/** Passes calls in turn, and refuses those that are too many to wait. */
function turns({ callsMax, callsWaitingMax }: CallLimits) {
  const inTurn = slots(callsMax);
  let waiting = 0;
  return (call: IncomingCall, pass: (freeSlot: Cancel) => void): void => {
    if (waiting >= callsWaitingMax) {
      refuse(call, faultError(overloaded("take another call", "waiting calls", callsWaitingMax)));
      return;
    }
    waiting += 1;
    const answered = () =>
      new Promise<void>((freeSlot) => {
        waiting -= 1;
        const { stream } = call.request;
        // Its client has gone while it waited.
        if (stream.destroyed) return freeSlot();
        stream.once("close", freeSlot);
        pass(freeSlot);
      });
    void inTurn(answered, call.connection);
  };
}

type StreamCounterOptions = Pick<CallGuardOptions, "limits" | "stopping" | "onStreams">;

/** Counts a stream until it closes, and says why it is refused. */
function streamCounter({ limits: { streamsMax }, stopping, onStreams }: StreamCounterOptions) {
  let open = 0;
  return ({ request, connection }: IncomingCall): Fault | undefined => {
    const refusal = stopping()
      ? new Fault("stopping", "Cannot answer: the scaler is stopping; ask another replica", {})
      : open >= streamsMax
        ? overloaded("open another stream", "open streams", streamsMax)
        : undefined;
    const close = connection.openStream();
    onStreams(++open);
    request.stream.once("close", () => {
      onStreams(--open);
      close();
    });
    return refusal;
  };
}

function methodsByPath(services: readonly DescService[]): ReadonlyMap<string, DescMethod> {
  const methods = services.flatMap((service) => service.methods);
  return new Map(methods.map((method) => [`/${methodName(method)}`, method]));
}

function methodName({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

function overloaded(request: string, what: string, limit: number): Fault {
  const rule = `at most ${limit} ${what}; ask again later or add replicas`;
  return new Fault("overloaded", `Cannot ${request}: ${rule}`, { limit });
}

/** KEDA stops asking for a method that is UNIMPLEMENTED. */
function unknownMethod(path: string): ConnectError {
  const text = `Cannot call ${path.slice(0, 200)}: no such method; list them with server reflection`;
  return new ConnectError(text, Code.Unimplemented);
}

/** In trailers always: a client takes a status in the headers only if they end the stream. */
function refuse({ response }: IncomingCall, { code, rawMessage }: ConnectError): void {
  response.writeHead(200, { "content-type": "application/grpc+proto" });
  const message = encodeURIComponent(rawMessage);
  response.addTrailers({ "grpc-status": String(code), "grpc-message": message });
  response.end();
}

/**
 * An answered client that has not sent all is not listened to any more. Node.js does this by itself;
 * Bun would keep the stream for as long as the client likes.
 */
function hangUp(stream: ServerHttp2Stream): void {
  if (!stream.readableEnded) stream.close();
}

/** The status that was sent. Without one the client went away, or asked for something that is no gRPC. */
function statusOf({ sentTrailers, rstCode, writableFinished }: ServerHttp2Stream): number {
  const status = sentTrailers?.["grpc-status"];
  if (status !== undefined) return Number(status);
  const answered = writableFinished && rstCode === constants.NGHTTP2_NO_ERROR;
  return answered ? Code.Unknown : Code.Canceled;
}
