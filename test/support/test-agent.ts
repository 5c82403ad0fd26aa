/**
 * An agent as the network sees it: the real NodeTelemetry service on a real port, with devices and
 * a clock that the test owns.
 *
 * @module
 */
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type Clock, systemClock } from "#core/clock.ts";
import type { AgentEndpoint } from "#fleet/agents.ts";
import { NodeTelemetry } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { PodResources } from "#node/pod-resources.ts";
import { type NodeReports, nodeReports } from "#node/reports.ts";
import { nodeTelemetry } from "#node/telemetry-service.ts";

export interface TestAgentOptions {
  readonly name?: string;
  /** Where it listens; default 127.0.0.1. */
  readonly address?: string;
  readonly port?: number;
  readonly clock?: Clock;
  readonly startedAtMs?: number;
  readonly watchersMax?: number;
  readonly podResources?: PodResources;
  /** Called with the readings that a watcher demands. */
  readonly request?: (readings: readonly ReadingName[]) => void;
}

export interface TestAgent extends AgentEndpoint {
  readonly reports: NodeReports;
  /** Reads GPUs of these utilizations; the name of a GPU is its uuid. */
  readonly read: (percents: Readonly<Record<string, number>>, session?: number) => void;
  /** How many connections it has had. */
  readonly connections: () => number;
  readonly drain: () => void;
  /** Ends as a killed process does. */
  readonly kill: () => Promise<void>;
}

export async function testAgent({
  name = "node-a",
  address = "127.0.0.1",
  port = 0,
  clock = systemClock(),
  startedAtMs = 1,
  watchersMax = 8,
  podResources,
  request,
}: TestAgentOptions = {}): Promise<TestAgent> {
  const reports = nodeReports({
    name,
    sampleIntervalMs: 1_000,
    clock,
    log: () => {},
    ...(podResources === undefined ? {} : { podResources }),
  });
  const stop = new AbortController();
  const service = nodeTelemetry({
    source: reports,
    clock,
    startedAtMs,
    request,
    watchersMax,
    watchersPerPeerMax: watchersMax,
    connectionOf: () => ({
      peer: "",
      draining: () => stop.signal.aborted,
      onDrain: (listener) => {
        stop.signal.addEventListener("abort", listener);
        return () => stop.signal.removeEventListener("abort", listener);
      },
    }),
  });
  const server = createServer(
    connectNodeAdapter({ routes: (router) => router.service(NodeTelemetry, service) }),
  );
  const sessions = new Set<ServerHttp2Session>();
  let connections = 0;
  server.on("session", (session) => {
    connections += 1;
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  await new Promise<void>((resolve) => server.listen(port, address, resolve));

  return {
    address,
    port: (server.address() as AddressInfo).port,
    ready: true,
    reports,
    read: (percents, session = 1) => {
      const devices = Object.entries(percents).map(([uuid, utilizationPercent], index) => ({
        uuid,
        index,
        vendor: "nvidia",
        model: "H100",
        health: { state: "ok" } as const,
        conditions: [],
        readings: { utilizationPercent },
        absences: {},
      }));
      reports.put({ session, devices }, clock.monotonicMs());
    },
    connections: () => connections,
    drain: () => stop.abort(),
    kill: async () => {
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
