/**
 * The two ports of a process: gRPC for KEDA and scalers, HTTP for probes and Prometheus.
 *
 * @module
 */
import { Fault, messageOf } from "#core/fault.ts";
import type { Listeners } from "#core/listeners.ts";
import type { TlsSource } from "#core/tls.ts";
import { page } from "#gen/page.ts";
import { startHttp } from "#observe/http.ts";
import type { Metrics } from "#observe/metrics.ts";
import { statusViews } from "#observe/status.ts";
import { statusStream } from "#observe/status-stream.ts";
import { grpcLimits, startGrpcServer } from "#rpc/server.ts";
import type { Runtime, ServeOptions } from "./options.ts";
import type { RunningRole } from "./role.ts";

export interface PortsContext extends Runtime {
  readonly role: Pick<RunningRole, "service" | "unready" | "status">;
  /** As its status shows it. */
  readonly version: string;
  readonly metrics: Metrics;
  /** Absent: the gRPC port is in plain text. */
  readonly credentials: TlsSource | undefined;
  /** Notified when the role may have become ready or unready. */
  readonly changes: Pick<Listeners, "subscribe">;
}

export interface Ports {
  /** The ports listened on, also where 0 picked a free one. */
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Finishes the calls at hand first. */
  readonly stopGrpc: () => Promise<void>;
  readonly stopHttp: () => Promise<void>;
}

/** @throws {Fault} `address-unusable`: what the system says of the address, and what to do. */
export async function openPorts(options: ServeOptions, context: PortsContext): Promise<Ports> {
  const { clock, log, random, role, metrics, changes, credentials } = context;
  const { bind, grpcPort, httpPort, connectionAgeMs, streamsMax, hasReflection } = options;
  const reflection = hasReflection ? grpcLimits.reflection : undefined;
  const grpc = await listen({ flag: "--port", bind, port: grpcPort }, () =>
    startGrpcServer({
      host: bind,
      port: grpcPort,
      services: [role.service],
      health: { serving: () => role.unready() === undefined, subscribe: changes.subscribe },
      clock,
      log,
      random,
      limits: { ...grpcLimits, connectionAgeMs, streamsMax, reflection },
      meter: metrics,
      tls: credentials && { credentials, clientNames: options.tls?.clientNames ?? [] },
    }),
  );
  const status = options.hasPage ? httpStatus(options, context) : undefined;
  const http = await listen({ flag: "--http-port", bind, port: httpPort }, () =>
    startHttp({ bind, port: httpPort, metrics, unready: role.unready, status }),
  ).catch(async (fault: unknown) => {
    // Nobody would ever close it: who asked for two ports gets both or none.
    await grpc.stop();
    throw fault;
  });
  const stopHttp = async () => {
    status?.stream.stop();
    await http.stop();
  };
  return { grpcPort: grpc.port, httpPort: http.port, stopGrpc: grpc.stop, stopHttp };
}

function httpStatus(
  { role: name, nodeName }: ServeOptions,
  { clock, version, role }: PortsContext,
) {
  const views = statusViews(
    role.status,
    { version, role: name, nodeName, startedAtMs: clock.wallMs(), unready: role.unready },
    clock,
  );
  return { ...views, stream: statusStream(views.status, clock), page };
}

interface ListenAddress {
  /** The flag that chose the port. */
  readonly flag: string;
  readonly bind: string;
  readonly port: number;
}

async function listen<Server>(
  address: ListenAddress,
  start: () => Server,
): Promise<Awaited<Server>> {
  try {
    return await start();
  } catch (error) {
    throw unusable(address, error);
  }
}

const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there; stop it, or choose another port",
  EACCES: "this user may not listen there; choose a port above 1023",
  EADDRNOTAVAIL: "the address is not this machine's; choose another with --bind",
};

function unusable({ flag, bind, port }: ListenAddress, error: unknown): Fault {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  const reason = remedies[code] ?? messageOf(error);
  const message = `Cannot listen on ${bind} port ${port} (${flag}): ${reason}`;
  return new Fault("address-unusable", message, { address: bind, port, code }, error);
}
