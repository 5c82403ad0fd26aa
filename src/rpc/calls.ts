/**
 * One call from its headers to its end: admitted or refused, answered, counted.
 *
 * @module
 */
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import {
  Code,
  type ConnectError,
  type ConnectRouter,
  createContextValues,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Cancel, Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import { codeName, faultError, statusOf } from "./codes.ts";
import type { Connection, Connections } from "./connections.ts";
import type { GrpcLimits } from "./limits.ts";
import type { Meter } from "./meter.ts";
import { endlessBody, wholeBody } from "./request-body.ts";
import { slots } from "./slots.ts";
import { frameHeaderBytes, isPlain, type UnaryAnswer } from "./unary.ts";
import { drainingKey } from "./wakeups.ts";

export interface CallsOptions {
  /** Connect's, for every method. */
  readonly handlers: ConnectRouter["handlers"];
  /** By path, what answers a plain call without Connect. */
  readonly unary: ReadonlyMap<string, UnaryAnswer>;
  readonly connections: Connections;
  readonly limits: Pick<
    GrpcLimits,
    "messageBytesMax" | "streamsMax" | "callsMax" | "callsWaitingMax" | "handlerMs"
  >;
  readonly stopping: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
}

const responseHeaders = { "content-type": "application/grpc+proto" };

/** A call at hand. */
interface Call {
  readonly request: Http2ServerRequest;
  readonly response: Http2ServerResponse;
  readonly handler: UniversalHandler;
  readonly connection: Connection;
  /** The status sent, or Connect's trailers, which have it when the call is over. */
  status?: Code | typeof ok | Headers;
}
/** gRPC's code for no error; Connect's enumeration holds errors alone. */
const ok = 0;

/** Serves `handlers` to each call that the limits admit. */
export function callHandler(options: CallsOptions) {
  const { handlers, unary, connections, limits, stopping, clock, log, meter } = options;
  const byPath = new Map(handlers.map((handler) => [handler.requestPath, handler]));
  const places = slots(limits.callsMax, limits.callsWaitingMax);
  const bytesMax = frameHeaderBytes + limits.messageBytesMax;
  let streams = 0;

  /** Runs `call`; `heard` is told when its request has come whole. */
  const answer = async (call: Call, heard: () => void): Promise<void> => {
    const { request, handler } = call;
    const { stream, headers } = request;
    try {
      if (isEndless(handler)) return await passOn(call, endlessBody(request));
      const body = await wholeBody(stream, { bytesMax, limitMs: limits.handlerMs, clock });
      heard();
      const plain = body.length <= bytesMax && isPlain(headers);
      const message = plain ? unary.get(handler.requestPath)?.(body) : undefined;
      if (message === undefined) await passOn(call, once(body));
      else sendMessage(call, message);
    } catch (error) {
      if (!isGone(request)) sendStatus(call, statusOf(error, methodName(handler), log));
    }
  };

  /** Lets Connect answer. */
  const passOn = async (call: Call, body: AsyncIterable<Uint8Array>): Promise<void> => {
    const { request, response, handler, connection } = call;
    const values = createContextValues().set(drainingKey, connection);
    const asked = universalRequestFromNodeRequest(request, response, undefined, values);
    try {
      const answered = await handler({ ...asked, body });
      if (answered.trailer !== undefined) call.status = answered.trailer;
      hangUp(request);
      await universalResponseToNodeResponse(answered, response);
    } catch (error) {
      giveUp(call, error);
    }
  };

  const giveUp = ({ request, handler }: Call, error: unknown): void => {
    if (isGone(request)) return;
    log("warn", "response not sent", { method: methodName(handler), error: String(error) });
    request.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  };

  /**
   * Gives a call its place, now or in turn. A stream needs it only until its request is read: 5,000
   * streams that come together would otherwise all wait for each other, and none be read in time.
   *
   * @returns What frees the place; it may be called twice.
   */
  const begin = (call: Call, refusal: Fault | undefined): Cancel => {
    let placed = false;
    const leave = () => {
      if (placed) places.leave();
      placed = false;
    };
    const start = (heard: () => void) => {
      answer(call, heard).catch((error: unknown) => giveUp(call, error));
    };
    const run = () => {
      placed = true;
      if (isGone(call.request)) leave();
      else start(isUnary(call.handler) ? () => undefined : leave);
    };
    if (refusal !== undefined) sendStatus(call, faultError(refusal));
    else if (isEndless(call.handler)) start(leave);
    else if (!places.enter(run)) {
      const fault = overloaded("take another call", "waiting calls", limits.callsWaitingMax);
      sendStatus(call, faultError(fault));
    }
    return leave;
  };

  const streamRefusal = (): Fault | undefined => {
    if (stopping())
      return new Fault(
        "stopping",
        "Cannot answer: the scaler is stopping; ask another replica",
        {},
      );
    if (streams < limits.streamsMax) return undefined;
    return overloaded("open another stream", "open streams", limits.streamsMax);
  };

  /** Counts a stream; returns what ends its count. */
  const openStream = ({ connection }: Call): Cancel => {
    const leave = connection.openStream();
    meter.openStreams(++streams);
    return () => {
      meter.openStreams(--streams);
      leave();
    };
  };

  return (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    const startMs = clock.monotonicMs();
    const connection = connections.of(request.stream.session);
    const handler = byPath.get(request.url.split("?", 1)[0] ?? "");
    if (connection === undefined || handler === undefined) {
      if (connection === undefined) request.stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else refuseUnknown(response, request.url);
      meter.finished({ method: "unknown", code: codeName(Code.Unimplemented), durationMs: 0 });
      return;
    }
    const call: Call = { request, response, handler, connection };
    const refusal = isUnary(handler) ? undefined : streamRefusal();
    const closeStream = isUnary(handler) ? () => undefined : openStream(call);
    const leave = begin(call, refusal);
    request.stream.once("close", () => {
      leave();
      closeStream();
      const method = methodName(handler);
      meter.finished({ method, code: outcome(call), durationMs: clock.monotonicMs() - startMs });
    });
  };
}

function methodName({ service, method }: UniversalHandler): string {
  return `${service.typeName}/${method.name}`;
}

function isUnary({ method }: UniversalHandler): boolean {
  return method.methodKind === "unary";
}

/** Its client may go on asking for as long as the stream is open. */
function isEndless({ method }: UniversalHandler): boolean {
  return method.methodKind === "bidi_streaming";
}

function isGone({ stream }: Http2ServerRequest): boolean {
  return stream.closed || stream.destroyed;
}

/** Without its last frame sent, a call ended because the client went away. */
function outcome({ response, status = Code.Unknown }: Call): string {
  if (!response.writableEnded) return codeName(Code.Canceled);
  return codeName(Number(status instanceof Headers ? status.get("grpc-status") : status));
}

function overloaded(asked: string, what: string, limit: number): Fault {
  const rule = `at most ${limit} ${what}; ask again later or add replicas`;
  return new Fault("overloaded", `Cannot ${asked}: ${rule}`, { limit });
}

function sendMessage(call: Call, body: Uint8Array): void {
  call.status = ok;
  call.response.writeHead(200, responseHeaders);
  call.response.addTrailers({ "grpc-status": "0" });
  call.response.end(body);
}

function sendStatus(call: Call, { code, rawMessage }: ConnectError): void {
  call.status = code;
  hangUp(call.request);
  endWithStatus(call.response, code, rawMessage);
}

/** A path that no service has, in gRPC's own terms; KEDA stops asking for such a method. */
function refuseUnknown(response: Http2ServerResponse, path: string): void {
  const text = `Cannot call ${path.slice(0, 200)}: no such method; list them with server reflection`;
  endWithStatus(response, Code.Unimplemented, text);
}

/** In trailers always: a client takes a status in the headers only if they end the stream. */
function endWithStatus(response: Http2ServerResponse, code: Code, text: string): void {
  response.writeHead(200, responseHeaders);
  response.addTrailers({ "grpc-status": String(code), "grpc-message": encodeURIComponent(text) });
  response.end();
}

/**
 * An answered client that has not sent all is not listened to any more. Node.js does this by itself;
 * Bun would keep the stream for as long as the client likes.
 */
function hangUp({ stream }: Http2ServerRequest): void {
  stream.once("finish", () => stream.readableEnded || stream.close());
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
