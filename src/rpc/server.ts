/**
 * The gRPC server: the services that it is given, their health and their reflection on one port.
 *
 * @module
 */
import http2 from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import { compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import { type Allowance, type AllowanceLimits, allowance } from "#core/allowance.ts";
import type { Clock } from "#core/clock.ts";
import {
  barMs,
  callsMax,
  callsOpenMax,
  connectionAgeJitter,
  connectionAgeMs,
  connectionsMax,
  firstTakeMs,
  handlerMs,
  idleMs,
  longCallsMax,
  newConnectionMs,
  newConnectionsMax,
  newStreamMs,
  newStreamsMax,
  peersMax,
  prefaceMs,
  quickCancelMs,
  reflectionAllowance,
  reflectionStreamsMax,
  requestBytesMax,
  requestMessageBytesMax,
  shutdownMs,
  streamsMax,
  streamsPerPeerMax,
  streamsReservedMs,
  strikeAllowance,
  takeMs,
  unreadAnswersMax,
} from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import { Health } from "#gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "#gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { faultsToCodes } from "./codes.ts";
import { type ConnectionLimits, clientConnections } from "./connections.ts";
import { type CallLimits, callGuard, type FinishedCall } from "./guard.ts";
import { type HealthSource, healthService, stoppableHealth } from "./health.ts";
import { reflectionService } from "./reflection.ts";
import { stallWatch } from "./stall.ts";
import { allowedClients, type ServerTls, secureServer } from "./tls.ts";

export interface GrpcLimits extends ConnectionLimits, CallLimits {
  /** Of one message of a client, unpacked. */
  readonly messageBytesMax: number;
  /** Answers of reflection to a peer; absent: there is no reflection. */
  readonly reflection?: AllowanceLimits | undefined;
}

/** The limits that a server keeps; their reasons are in `src/core/limits.ts`. */
export const grpcLimits: GrpcLimits = {
  messageBytesMax: requestMessageBytesMax,
  streamsMax,
  callsMax,
  callsOpenMax,
  unreadAnswersMax,
  newStreamsMax,
  newStreamMs,
  reflectionStreamsMax,
  longCallsMax,
  requestBytesMax,
  connectionsMax,
  handlerMs,
  takeMs,
  firstTakeMs,
  prefaceMs,
  idleMs,
  newConnectionsMax,
  newConnectionMs,
  strikes: strikeAllowance,
  barMs,
  streamsPerPeerMax,
  streamsReservedMs,
  quickCancelMs,
  reflection: reflectionAllowance,
  connectionAgeMs,
  connectionAgeJitter,
  shutdownMs,
};

/** Where the server counts. Each function is called when its fact changes and must not throw. */
export interface Meter {
  readonly finished: (call: FinishedCall) => void;
  readonly openStreams: (count: number) => void;
  readonly openConnections: (count: number) => void;
}

/** A service and what answers its calls. */
export interface Registration {
  readonly descriptor: DescService;
  readonly register: (router: ConnectRouter) => void;
}

/** Pairs a service with its implementation, whose unary methods may answer at once. */
export function registration<S extends DescService>(
  descriptor: S,
  implementation: ServiceImpl<S>,
): Registration {
  return { descriptor, register: (router) => router.service(descriptor, implementation) };
}

export interface GrpcServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** What is served beside health and reflection. */
  readonly services: readonly Registration[];
  /** Of all of them alike. */
  readonly health: HealthSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly limits?: GrpcLimits;
  /** Absent: clients speak in plain text. */
  readonly tls?: ServerTls | undefined;
  /** A number from 0 to below 1: spreads the ages at which connections are drained. */
  readonly random?: () => number;
}

export interface GrpcServer {
  /** The port that it listens on. */
  readonly port: number;
  /**
   * Ends without losing an answer: says NOT_SERVING, ends the streams with OK, says GOAWAY, lets calls
   * at hand finish; after `shutdownMs` it cuts what is left. Resolves when nothing is open any more.
   */
  readonly stop: () => Promise<void>;
}

/**
 * Starts to serve.
 *
 * @throws {Error} When the address cannot be listened on, with the system's own reason.
 */
export async function startGrpcServer({
  host,
  port,
  services: served,
  health: source,
  clock,
  log,
  meter,
  limits = grpcLimits,
  tls,
  random = Math.random,
}: GrpcServerOptions): Promise<GrpcServer> {
  const health = stoppableHealth(source);
  const reflects = limits.reflection && allowance(limits.reflection, peersMax, clock);
  const services = allServices(served, health, reflects);
  const http2Server = createHttp2Server(limits, tls);
  const connections = clientConnections({
    limits,
    letIn: (socket) => {
      http2Server.emit("connection", socket);
      socket.resume();
    },
    clock,
    log,
    random,
    onCount: meter.openConnections,
  });
  const { begin } = connections;
  const stall = stallWatch(clock);
  http2Server.on("session", tls === undefined ? begin : allowedClients(tls, log, begin));
  const guard = callGuard({
    services: services.map(({ descriptor }) => descriptor),
    handler: (hooks) => connectHandler(services, limits, log, hooks),
    connections,
    limits,
    stopping: health.stopped,
    clock,
    stall,
    onFinished: meter.finished,
    onStreams: meter.openStreams,
  });
  http2Server.on("request", guard);
  // Sockets are counted, and wait for their turn, before anything of theirs is read.
  const server = createServer({ pauseOnConnect: true }, connections.accept);
  await listen(server, host, port);

  let stopped: Promise<void> | undefined;
  const stop = async () => {
    health.stop();
    stall.stop();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await connections.drainAll();
    await closed;
  };
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Answers gRPC of these services. */
function connectHandler(
  services: readonly Registration[],
  { messageBytesMax: readMaxBytes }: Pick<GrpcLimits, "messageBytesMax">,
  log: Log,
  hooks: Parameters<Parameters<typeof callGuard>[0]["handler"]>[0],
) {
  return connectNodeAdapter({
    routes: (router) => {
      for (const { register } of services) register(router);
    },
    grpcWeb: false,
    connect: false,
    acceptCompression: [compressionGzip],
    readMaxBytes,
    interceptors: [faultsToCodes(log)],
    ...hooks,
  });
}

/** `served`, their health, and if it is wanted a reflection that describes what is registered. */
function allServices(
  served: readonly Registration[],
  health: HealthSource,
  mayReflect: Allowance | undefined,
): readonly Registration[] {
  const names = served.map(({ descriptor }) => descriptor.typeName);
  const own = [...served, registration(Health, healthService(health, names))];
  if (mayReflect === undefined) return own;
  const described = [...own.map(({ descriptor }) => descriptor), ServerReflection];
  const reflection = reflectionService([...described, ServerReflectionAlpha], mayReflect);
  return [
    ...own,
    registration(ServerReflection, reflection),
    registration(ServerReflectionAlpha, reflection),
  ];
}

/** The one place where the transport is chosen. */
function createHttp2Server(
  { streamsMax, callsMax }: GrpcLimits,
  tls: ServerTls | undefined,
): http2.Http2Server | http2.Http2SecureServer {
  // KEDA's push streams and its unary calls share one connection: with room for all streams alone,
  // they would shut the calls out. What is above this waits in the client.
  const options = { settings: { maxConcurrentStreams: streamsMax + callsMax } };
  return tls === undefined ? http2.createServer(options) : secureServer(tls, options);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
