/**
 * The gRPC server: the services that it is given, their health and their reflection on one port.
 *
 * @module
 */
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";
import type { Clock } from "#core/clock.ts";
import type { Log } from "#core/log.ts";
import { Health } from "#gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "#gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { callHandler } from "./calls.ts";
import { faultsToCodes } from "./codes.ts";
import { clientConnections } from "./connections.ts";
import { type HealthSource, healthService, stoppable } from "./health.ts";
import { type GrpcLimits, grpcLimits } from "./limits.ts";
import type { Meter } from "./meter.ts";
import { reflectionService } from "./reflection.ts";
import { type Implementation, type UnaryAnswer, unaryAnswers } from "./unary.ts";

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
  services,
  health,
  clock,
  log,
  meter,
  limits = grpcLimits,
  random = Math.random,
}: GrpcServerOptions): Promise<GrpcServer> {
  const lasting = stoppable(health);
  const router = createConnectRouter({
    grpcWeb: false,
    connect: false,
    acceptCompression: [compressionGzip],
    readMaxBytes: limits.messageBytesMax,
    interceptors: [faultsToCodes(log)],
  });
  const names = services.map(({ descriptor }) => descriptor.typeName);
  const registered = [...services, registration(Health, healthService(lasting, names))];
  registerServices(router, registered);
  const connections = clientConnections({
    limits,
    clock,
    log,
    random,
    count: meter.openConnections,
  });
  const { handlers } = router;
  const unary = new Map(registered.flatMap((service) => service.unary));
  const stopping = lasting.stopped;
  const handle = callHandler({ handlers, unary, connections, limits, stopping, clock, log, meter });
  const server = createHttp2Server(limits);
  server.on("session", connections.accept);
  server.on("request", handle);
  await listen(server, host, port);

  let stopped: Promise<void> | undefined;
  const stop = async () => {
    lasting.stop();
    // Listening ends last: closing the server says GOAWAY on every connection, and that must come
    // after the streams. Until then a new connection is cut.
    await connections.drainAll();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** A service and what answers its calls. */
export interface Registration {
  readonly descriptor: DescService;
  readonly register: (router: ConnectRouter) => void;
  readonly unary: readonly (readonly [path: string, UnaryAnswer])[];
}

export function registration<S extends DescService>(
  descriptor: S,
  implementation: Implementation<S>,
): Registration {
  return {
    descriptor,
    // A function that does without the context is one of Connect's, but for a generic service the
    // compiler does not follow.
    register: (router) => router.service(descriptor, implementation as ServiceImpl<S>),
    unary: unaryAnswers(descriptor, implementation),
  };
}

/** Registers `own` and a reflection that describes exactly what is registered. */
function registerServices(router: ConnectRouter, own: readonly Registration[]): void {
  const reflections = [ServerReflection, ServerReflectionAlpha] as const;
  const reflection = reflectionService([
    ...own.map(({ descriptor }) => descriptor),
    ...reflections,
  ]);
  for (const { register } of own) register(router);
  for (const descriptor of reflections) router.service(descriptor, reflection);
}

/** The one place where the transport is chosen. */
function createHttp2Server({ streamsMax, callsMax }: GrpcLimits): http2.Http2Server {
  // KEDA's push streams and its unary calls share one connection: with room for all streams alone,
  // they would shut the calls out. What is above this waits in the client.
  return http2.createServer({ settings: { maxConcurrentStreams: streamsMax + callsMax } });
}

function listen(server: http2.Http2Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
