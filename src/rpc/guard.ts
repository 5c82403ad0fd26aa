/**
 * The guard around Connect's handler: which calls reach it and when, and how each of them ended.
 *
 * A call reaches Connect when its request is here, so that a client which does not send costs neither
 * a slot nor Connect's memory. A unary call then takes a slot until its answer is computed, not until
 * it is read; peers take turns, so that one which asks much delays itself.
 *
 * @module
 */
import {
  constants,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Stream,
} from "node:http2";
import { setImmediate } from "node:timers/promises";
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
import { shares } from "#core/shares.ts";
import { slots } from "#core/slots.ts";
import { codeName, faultError } from "./codes.ts";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { type CallFollower, type OpenCallLimits, openCalls, overloaded } from "./open-calls.ts";
import { limitReading, receiver } from "./request.ts";
import type { StallWatch } from "./stall.ts";
import { connectionKey, sendingKey } from "./streams.ts";

export interface CallLimits extends OpenCallLimits {
  /** Open streams of the process. */
  readonly streamsMax: number;
  /** Share of them, from 0 to 1, that one peer may have. */
  readonly streamsPerPeerMax: number;
  /** How long the place of a stream is kept that was ended with its old connection. */
  readonly streamsReservedMs: number;
  /** Calls that Connect begins or works on before other clients are heard. */
  readonly callsMax: number;
  /** Answers to one connection that its client has not read yet; then its calls wait. */
  readonly unreadAnswersMax: number;
  /** Streams that begin at once; others wait, and peers take turns. */
  readonly newStreamsMax: number;
  /** How long one counts as beginning. */
  readonly newStreamMs: number;
  /** Open streams of reflection. */
  readonly reflectionStreamsMax: number;
  /** Requests, longer than a stream holds unread, that are read at once. */
  readonly longCallsMax: number;
  /** Time for a request to come whole. */
  readonly handlerMs: number;
  /** Time for a client to take what it was sent. */
  readonly takeMs: number;
  /** The same while its connection has never taken anything. */
  readonly firstTakeMs: number;
  /** A call that is cancelled so soon after it was opened was not meant. */
  readonly quickCancelMs: number;
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
  readonly stall: Pick<StallWatch, "hasJustStalled">;
  /** Called at the end of each call. */
  readonly onFinished: (call: FinishedCall) => void;
  /** Called with the number of open streams when it changes. */
  readonly onStreams: (open: number) => void;
}

interface IncomingCall {
  readonly request: Http2ServerRequest;
  readonly response: Http2ServerResponse;
  readonly connection: Connection;
  readonly follower: CallFollower;
}

/** What a unary call does when its answer is computed. */
const freeSlotKey = createContextKey<Cancel | undefined>(undefined);

/** Listens to an HTTP/2 server's requests. */
export function callGuard(options: CallGuardOptions) {
  const { connections, clock, limits, stall, onFinished } = options;
  const methods = methodsByPath(options.services);
  const follow = openCalls(limits, clock);
  const gateOf = perConnection(() => answerGate(limits.unreadAnswersMax));
  const admit = admission(options, gateOf);

  return (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    const startMs = clock.monotonicMs();
    const { stream, url } = request;
    const connection = connections.of(stream.session);
    // What was sent with the call for which its connection was cut.
    if (connection?.isOpen() !== true) return;
    const method = methods.get(url.split("?", 1)[0] ?? "");
    const name = method === undefined ? "unknown" : methodName(method);
    const kind = method === undefined || method.methodKind === "unary" ? "unary" : "stream";
    const unsentBytes = () => stream.writableLength;
    const giveWay = (why: Fault, isStrike: boolean) => {
      const isDeaf = !connection.isUseful() && gateOf(connection).unread() + unsentBytes() > 0;
      end({ request, response }, why);
      if (stall.hasJustStalled()) return;
      if (isDeaf) connections.bar(connection, "it takes nothing that it asks for");
      else if (isStrike) connections.strike(connection, "it does not finish its calls");
    };
    const takeMs = () => (connection.isUseful() ? limits.takeMs : limits.firstTakeMs);
    const isAnswered = () => response.headersSent;
    const onTaken = () => connections.took(connection);
    const { peer } = connection;
    const follower = follow({ peer, kind, isAnswered, unsentBytes, takeMs, onTaken, giveWay });
    const leave = connection.openCall(kind);
    stream.once("finish", () => hangUp(stream));
    stream.once("close", () => {
      follower.close();
      leave();
      const durationMs = clock.monotonicMs() - startMs;
      const status = statusOf(stream);
      onFinished({ method: name, code: codeName(status), durationMs });
      if (status === 0) onTaken();
      // With a connection all its calls end, but that costs a client the connection.
      const isQuick = wasReset(stream) && durationMs <= limits.quickCancelMs;
      // Of a process that stood still the opening and the end are read at once, whenever they were sent.
      if (isQuick && connection.isOpen() && !stall.hasJustStalled())
        connections.strike(connection, "it cancels what it has just opened");
    });
    const call = { request, response, connection, follower };
    if (method === undefined) refuse(call, unknownMethod(url));
    else admit(call, method);
  };
}

/** Passes each call to Connect when it may have it, or refuses it. */
function admission(options: CallGuardOptions, gateOf: GateOf) {
  const { limits, clock } = options;
  const receiverOf = perConnection(() => receiver(limits.handlerMs, clock));
  const openStream = streamCounter(options);
  const passInTurn = turns(options, gateOf);

  return (call: IncomingCall, method: DescMethod): void => {
    const { methodKind } = method;
    const refusal = methodKind === "unary" ? undefined : openStream(call, methodKind);
    if (refusal !== undefined) refuse(call, faultError(refusal));
    // Its client may go on sending for as long as the stream is open.
    else if (methodKind === "bidi_streaming") passInTurn.stream(call);
    else
      receiverOf(call.connection)(call.request, {
        onPart: call.follower.setRequestBytes,
        onReceived: (isWhole) => {
          if (isWhole) call.follower.received();
          if (!isWhole) passInTurn.long(call);
          else if (methodKind === "unary") passInTurn.unary(call);
          else passInTurn.stream(call);
        },
        onLate: (error) => refuse(call, error),
      });
  };
}

function perConnection<Value>(make: () => Value): (connection: Connection) => Value {
  const values = new WeakMap<Connection, Value>();
  return (connection) => {
    const known = values.get(connection);
    const value = known ?? make();
    if (known === undefined) values.set(connection, value);
    return value;
  };
}

type GateOf = (connection: Connection) => ReturnType<typeof answerGate>;

/**
 * How many answers a connection gets that its client has not taken yet: one, until it has shown that
 * it takes them, then `most`. What is above that waits.
 */
function answerGate(most: number) {
  const [firstSlot, laterSlots] = [slots(1), slots(most)];
  let unread = 0;
  return {
    unread: () => unread,
    /** @param answer Answers a call; resolves when that was computed. */
    pass: (call: IncomingCall, answer: () => Promise<void>): void => {
      const untilTaken = async () => {
        await answer();
        unread += 1;
        await closed(call.request.stream);
        unread -= 1;
      };
      void firstSlot(async () => {
        if (call.connection.isUseful()) void laterSlots(untilTaken);
        else await untilTaken();
      });
    },
  };
}

/** Passes calls to Connect as their kind allows, peers in turn. */
function turns({ limits, clock, handler }: CallGuardOptions, gateOf: GateOf) {
  const pass = connectPasser(handler);
  const inTurn = slots(limits.callsMax);
  const inStreamTurn = slots(limits.newStreamsMax);
  const inLongTurn = slots(limits.longCallsMax);

  /** What was cancelled in one go with its opening costs nothing more, and others are heard. */
  const begin = async (call: IncomingCall, start: (end: Cancel) => void) => {
    await setImmediate();
    await whenClosed(call, start);
  };
  const answer = (call: IncomingCall) =>
    inTurn(() => begin(call, (freeSlot) => pass(call, freeSlot)), call.connection.peer);

  return {
    unary: (call: IncomingCall): void => gateOf(call.connection).pass(call, () => answer(call)),
    stream: (call: IncomingCall): void => {
      const open = async () => {
        await begin(call, (freeSlot) => {
          pass(call);
          freeSlot();
        });
        await new Promise<void>((resolve) => clock.after(limits.newStreamMs, resolve));
      };
      void inStreamTurn(open, call.connection.peer);
    },
    /** Is read as it comes, so that it would keep a slot from many that are here already. */
    long: (call: IncomingCall): void => {
      const read = () =>
        whenClosed(call, (freeSlot) => {
          call.request.stream.once("end", freeSlot);
          limitReading(call.request, limits.handlerMs, clock);
          pass(call);
        });
      void inLongTurn(read, call.connection.peer);
    },
  };
}

/** Resolves when a stream is closed, which it is when its client has taken the answer. */
function closed(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.once("close", resolve);
  });
}

/** Starts what a call waited for, unless it is over; resolves when that, or the call, has ended. */
function whenClosed(
  { request: { stream }, response }: IncomingCall,
  start: (end: Cancel) => void,
): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || response.writableEnded) return resolve();
    stream.once("close", resolve);
    start(resolve);
  });
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
    const { request, response, connection, follower } = call;
    follower.setRequestBytes(0);
    const values = createContextValues().set(connectionKey, connection);
    contextValues.set(request, values.set(sendingKey, follower.sending).set(freeSlotKey, freeSlot));
    try {
      handler(request, response);
    } catch {
      const text = "Cannot read the request: its :authority is no host; send host and port";
      refuse(call, new ConnectError(text, Code.InvalidArgument));
    }
  };
}

type StreamCounterOptions = Pick<CallGuardOptions, "limits" | "stopping" | "onStreams" | "clock">;

/**
 * Counts a stream until it closes, and says why it is refused.
 *
 * Streams that were ended with an old connection stay counted for their peer for a while, so that
 * nobody takes their place before they are opened again.
 */
function streamCounter({ limits, stopping, onStreams, clock }: StreamCounterOptions) {
  const { streamsMax, streamsPerPeerMax, streamsReservedMs, reflectionStreamsMax } = limits;
  const perPeerMax = Math.ceil(streamsMax * streamsPerPeerMax);
  const open = shares<IncomingCall>();
  const reserved = shares<Cancel>();
  let reflections = 0;

  const reserve = (peer: string) => {
    const expire = () => reserved.remove(peer, release);
    const cancel = clock.after(streamsReservedMs, expire);
    const release = () => {
      cancel();
      expire();
    };
    reserved.add(peer, release);
  };
  return (call: IncomingCall, kind: DescMethod["methodKind"]): Fault | undefined => {
    const { peer, draining } = call.connection;
    const isReflection = kind === "bidi_streaming";
    if (isReflection) reflections += 1;
    const [release] = reserved.of(peer);
    release?.();
    open.add(peer, call);
    onStreams(open.size());
    call.request.stream.once("close", () => {
      open.remove(peer, call);
      onStreams(open.size());
      if (isReflection) reflections -= 1;
      if (draining() && !stopping()) reserve(peer);
    });
    if (stopping())
      return new Fault(
        "stopping",
        "Cannot answer: the scaler is stopping; ask another replica",
        {},
      );
    const full = (most: number, what: string) =>
      overloaded("open another stream", `${most} open streams${what}`, most);
    if (open.size() + reserved.size() > streamsMax) return full(streamsMax, "");
    if (open.of(peer).size > perPeerMax) return full(perPeerMax, " of one client");
    if (isReflection && reflections > reflectionStreamsMax)
      return full(reflectionStreamsMax, " of reflection");
    return undefined;
  };
}

function methodsByPath(services: readonly DescService[]): ReadonlyMap<string, DescMethod> {
  const methods = services.flatMap((service) => service.methods);
  return new Map(methods.map((method) => [`/${methodName(method)}`, method]));
}

function methodName({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

/** KEDA stops asking for a method that is UNIMPLEMENTED. */
function unknownMethod(path: string): ConnectError {
  const text = `Cannot call ${path.slice(0, 200)}: no such method; list them with server reflection`;
  return new ConnectError(text, Code.Unimplemented);
}

type Exchange = Pick<IncomingCall, "request" | "response">;

/** Ends a call that gives way to others: with the reason, unless its answer has begun. */
function end({ request, response }: Exchange, why: Fault): void {
  if (!response.headersSent) refuse({ request, response }, faultError(why));
  // The client reads this as RESOURCE_EXHAUSTED.
  else request.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/** In trailers always: a client takes a status in the headers only if they end the stream. */
function refuse({ response }: Exchange, { code, rawMessage }: ConnectError): void {
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

/** Whether the client has reset a call: it may have an answer by then that the client never sees. */
function wasReset({ rstCode }: ServerHttp2Stream): boolean {
  return rstCode !== constants.NGHTTP2_NO_ERROR && rstCode !== constants.NGHTTP2_ENHANCE_YOUR_CALM;
}

/** The status that was sent. Without one the client went away, or asked for something that is no gRPC. */
function statusOf({ sentTrailers, rstCode, writableFinished }: ServerHttp2Stream): number {
  if (rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM) return Code.ResourceExhausted;
  const status = sentTrailers?.["grpc-status"];
  if (status !== undefined) return Number(status);
  const answered = writableFinished && rstCode === constants.NGHTTP2_NO_ERROR;
  return answered ? Code.Unknown : Code.Canceled;
}
