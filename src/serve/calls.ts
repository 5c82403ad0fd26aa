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
import { slots } from "./slots.ts";
import { drainingKey } from "./wakeups.ts";
import { within } from "./within.ts";

export interface CallsOptions {
  readonly handlers: ConnectRouter["handlers"];
  readonly connections: Connections;
  readonly limits: Pick<GrpcLimits, "streamsMax" | "unaryMax" | "unaryQueueMax" | "handlerMs">;
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
  const unary = slots(limits.unaryMax, limits.unaryQueueMax);
  let streams = 0;

  const answer = async (call: Call): Promise<void> => {
    const { request, response, handler } = call;
    const values = createContextValues().set(callKey, call).set(drainingKey, call.connection);
    try {
      const asked = universalRequestFromNodeRequest(request, response, undefined, values);
      const body = asked.body as AsyncIterable<Uint8Array>;
      const endless = handler.method.methodKind === "bidi_streaming";
      const timed = endless ? body : within(limits.handlerMs, body, clock);
      const answered = await handler({ ...asked, body: timed });
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

  /** Begins a stream, or refuses it; returns what ends its count. */
  const beginStream = (call: Call): Cancel => {
    if (stopping()) call.refusal = stoppingFault();
    else if (streams >= limits.streamsMax)
      call.refusal = overloaded("open another stream", "open streams", limits.streamsMax);
    const leave = call.connection.openStream();
    meter.openStreams(++streams);
    void answer(call);
    return () => {
      meter.openStreams(--streams);
      leave();
    };
  };

  /** Begins a unary call, now or in turn, or refuses it; returns what frees its place. */
  const beginUnary = (call: Call): Cancel => {
    let begun = false;
    const begin = () => {
      if (isGone(call.request)) return unary.leave();
      begun = true;
      void answer(call);
    };
    if (!unary.enter(begin)) {
      call.refusal = overloaded("take another call", "waiting calls", limits.unaryQueueMax);
      void answer(call);
    }
    return () => begun && unary.leave();
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
    const isUnary = handler.method.methodKind === "unary";
    const end = isUnary ? beginUnary(call) : beginStream(call);
    request.stream.once("close", () => {
      end();
      const method = methodName(handler);
      meter.finished({ method, code: outcome(call), durationMs: clock.monotonicMs() - startMs });
    });
  };
}

function methodName({ service, method }: UniversalHandler): string {
  return `${service.typeName}/${method.name}`;
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
