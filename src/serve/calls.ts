/**
 * One call from its headers to its end: admitted or refused, answered by Connect, counted.
 *
 * @module
 */
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import {
  Code,
  type ConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Cancel, Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { Log } from "#core/log.ts";
import { codeName, faultError } from "./codes.ts";
import type { Connection, Connections } from "./connections.ts";
import type { GrpcLimits } from "./limits.ts";
import type { Meter } from "./meter.ts";
import { requestBody } from "./request-body.ts";
import { slots } from "./slots.ts";
import { drainingKey } from "./wakeups.ts";

export interface CallsOptions {
  readonly handlers: ConnectRouter["handlers"];
  readonly connections: Connections;
  readonly limits: Pick<GrpcLimits, "streamsMax" | "callsMax" | "callsWaitingMax" | "handlerMs">;
  readonly stopping: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
}

/** A call at hand. */
interface Call {
  readonly request: Http2ServerRequest;
  readonly response: Http2ServerResponse;
  readonly handler: UniversalHandler;
  readonly connection: Connection;
  refusal?: Fault;
  /** The status to be sent; Connect writes it while the call runs. */
  status?: Headers;
}
const callKey = createContextKey<Partial<Pick<Call, "refusal" | "status">>>({});

/** Runs before a call's body is read: refuses what `callHandler` did not admit. */
export function refuseUnadmitted({ values, responseTrailer }: HandlerContext): void {
  const call = values.get(callKey);
  call.status = responseTrailer;
  if (call.refusal !== undefined) throw faultError(call.refusal);
}

/** Serves `handlers` to each call that the limits admit. */
export function callHandler(options: CallsOptions) {
  const { handlers, connections, limits, stopping, clock, log, meter } = options;
  const byPath = new Map(handlers.map((handler) => [handler.requestPath, handler]));
  const places = slots(limits.callsMax, limits.callsWaitingMax);
  let streams = 0;

  /** Runs `call`; `heard` is told when its request has come whole. */
  const answer = async (call: Call, heard: () => void): Promise<void> => {
    const { request, response, handler } = call;
    const values = createContextValues().set(callKey, call).set(drainingKey, call.connection);
    try {
      const asked = universalRequestFromNodeRequest(request, response, undefined, values);
      const limitMs = isEndless(handler) ? undefined : limits.handlerMs;
      const bytes = asked.body as AsyncIterable<Uint8Array>;
      const body = requestBody(bytes, { limitMs, clock, heard });
      const answered = await handler({ ...asked, body });
      // An answered client that has not sent all is not listened to any more. Node.js does this by
      // itself; Bun would keep the stream for as long as the client likes.
      request.stream.once("finish", () => request.stream.readableEnded || request.stream.close());
      await universalResponseToNodeResponse(answered, response);
    } catch (error) {
      if (isGone(request)) return;
      log("warn", "response not sent", { method: methodName(handler), error: String(error) });
      request.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  };

  /**
   * Gives a call its place, now or in turn. A stream needs it only until its request is read: 5,000
   * streams that come together would otherwise all wait for each other, and none be read in time.
   *
   * @returns What frees the place; it may be called twice.
   */
  const begin = (call: Call): Cancel => {
    let placed = false;
    const leave = () => {
      if (placed) places.leave();
      placed = false;
    };
    const run = () => {
      placed = true;
      if (isGone(call.request)) leave();
      else void answer(call, isUnary(call.handler) ? () => undefined : leave);
    };
    if (call.refusal === undefined && !isEndless(call.handler) && places.enter(run)) return leave;
    if (!isEndless(call.handler))
      call.refusal ??= overloaded("take another call", "waiting calls", limits.callsWaitingMax);
    void answer(call, leave);
    return leave;
  };

  /** Counts a stream, or refuses it; returns what ends its count. */
  const openStream = (call: Call): Cancel => {
    if (stopping()) call.refusal = stoppingFault();
    else if (streams >= limits.streamsMax)
      call.refusal = overloaded("open another stream", "open streams", limits.streamsMax);
    const leave = call.connection.openStream();
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
    const closeStream = isUnary(handler) ? () => undefined : openStream(call);
    const leave = begin(call);
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
function outcome({ response, status }: Call): string {
  if (!response.writableEnded) return codeName(Code.Canceled);
  return codeName(Number(status?.get("grpc-status") ?? Code.Unknown));
}

function stoppingFault(): Fault {
  return new Fault("stopping", "Cannot answer: the scaler is stopping; ask another replica", {});
}

function overloaded(asked: string, what: string, limit: number): Fault {
  const rule = `at most ${limit} ${what}; ask again later or add replicas`;
  return new Fault("overloaded", `Cannot ${asked}: ${rule}`, { limit });
}

/** A path that no service has, in gRPC's own terms; KEDA stops asking for such a method. */
function refuseUnknown(response: Http2ServerResponse, path: string): void {
  const text = `Cannot call ${path.slice(0, 200)}: no such method; list them with server reflection`;
  response.writeHead(200, {
    "content-type": "application/grpc",
    "grpc-status": String(Code.Unimplemented),
    "grpc-message": encodeURIComponent(text),
  });
  response.end();
}
