/**
 * What the process says of itself to Prometheus.
 *
 * @module
 */
import { Counter, Histogram, Registry } from "prom-client";
import type { Clock } from "#core/clock.ts";
import { type NodeStats, registerNode } from "./node-metrics.ts";
import { registerProcess } from "./process-metrics.ts";
import { gauge } from "./read-metric.ts";
import {
  type CostOutcome,
  type EngineStats,
  type FleetStats,
  type ObjectDeviceUse,
  registerDeletionCosts,
  registerDeviceUse,
  registerEngines,
  registerFleet,
} from "./scaler-metrics.ts";
import type { TriggerStatus } from "./trigger-history.ts";
import { registerTriggers } from "./trigger-metrics.ts";

export interface MetricsOptions {
  readonly clock: Clock;
  readonly version: string;
  readonly revision: string;
  /** Whether the data is fresh enough to answer with. */
  readonly isFresh: () => boolean;
  /** In milliseconds since 1970; absent in a process without TLS. */
  readonly certificateExpiresAtMs?: (() => number) | undefined;
  /** Absent in a process that reads no devices itself. */
  readonly node?: NodeStats | undefined;
  /** Absent in a process that follows no agents. */
  readonly fleet?: FleetStats | undefined;
  /** Absent in a process that reads no engines. */
  readonly engines?: EngineStats | undefined;
  /** What was decided lately; absent in a process that answers no triggers. */
  readonly triggers?: (() => readonly TriggerStatus[]) | undefined;
  /** Writes of deletion costs since the start; absent in a process that writes none. */
  readonly deletionCosts?: ((outcome: CostOutcome) => number) | undefined;
  /** By workload; absent in a process that knows none. */
  readonly deviceUse?: (() => readonly ObjectDeviceUse[]) | undefined;
}

export interface Metrics {
  /** Prometheus text 0.0.4. */
  readonly text: () => Promise<string>;
  readonly contentType: string;
  /** A pass over the devices has given readings. */
  readonly collected: (durationMs: number) => void;
  /** A call is over; `code` is its gRPC status, such as `OK`. */
  readonly finished: (call: FinishedRpc) => void;
  readonly openStreams: (count: number) => void;
  readonly openConnections: (count: number) => void;
  readonly stop: () => void;
}

interface FinishedRpc {
  readonly method: string;
  readonly code: string;
  readonly durationMs: number;
}

export function processMetrics(options: MetricsOptions): Metrics {
  const { clock, version, revision, isFresh, node, fleet, engines, triggers } = options;
  const { deletionCosts, deviceUse } = options;
  const registry = new Registry();
  const finished = registerCalls(registry);
  const collectionSeconds = node && registerNode(registry, node);
  if (fleet !== undefined) registerFleet(registry, fleet);
  if (engines !== undefined) registerEngines(registry, engines);
  if (triggers !== undefined) registerTriggers(registry, triggers, clock);
  if (deletionCosts !== undefined) registerDeletionCosts(registry, deletionCosts);
  if (deviceUse !== undefined) registerDeviceUse(registry, deviceUse);
  const dataFresh = {
    name: "keda_gpu_scaler_data_fresh",
    help: "1 while the newest sample may be answered with",
  };
  gauge(registry, dataFresh, (set) => set(isFresh() ? 1 : 0));
  const { certificateExpiresAtMs } = options;
  if (certificateExpiresAtMs !== undefined) {
    const expiry = {
      name: "keda_gpu_scaler_tls_certificate_expiry_timestamp_seconds",
      help: "End of the certificate that new connections get, in Unix time",
    };
    gauge(registry, expiry, (set) => set(certificateExpiresAtMs() / 1000));
  }
  const { openStreams, openConnections } = registerOpen(registry);
  const build = {
    name: "keda_gpu_scaler_build_info",
    help: "1, with the build",
    labelNames: ["version", "revision", "bun"],
  };
  const bun = process.versions.bun ?? "none";
  gauge(registry, build, (set) => set(1, { version, revision, bun }));
  const stop = registerProcess(registry, clock);
  return {
    text: () => registry.metrics(),
    contentType: registry.contentType,
    collected: (durationMs) => collectionSeconds?.observe(durationMs / 1000),
    finished,
    openStreams,
    openConnections,
    stop,
  };
}

/** Answers take under a millisecond; the last buckets are for a process in trouble. */
const callBucketsSeconds = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1];

function registerCalls(registry: Registry): Metrics["finished"] {
  const registers = [registry];
  const requests = new Counter({
    name: "keda_gpu_scaler_scaler_requests_total",
    help: "Calls answered, by method and gRPC code",
    labelNames: ["method", "code"],
    registers,
  });
  const errors = new Counter({
    name: "keda_gpu_scaler_scaler_request_errors_total",
    help: "Calls answered with another code than ok, by method and gRPC code",
    labelNames: ["method", "code"],
    registers,
  });
  const seconds = new Histogram({
    name: "keda_gpu_scaler_scaler_request_duration_seconds",
    help: "Time from a unary call's start to its answer; a stream's whole life",
    labelNames: ["method"],
    buckets: callBucketsSeconds,
    registers,
  });
  return ({ method, code, durationMs }) => {
    requests.inc({ method, code });
    if (code !== "OK") errors.inc({ method, code });
    seconds.observe({ method }, durationMs / 1000);
  };
}

function registerOpen(registry: Registry): Pick<Metrics, "openStreams" | "openConnections"> {
  let streams = 0;
  let connections = 0;
  gauge(registry, { name: "keda_gpu_scaler_streams", help: "Streams open now" }, (set) =>
    set(streams),
  );
  gauge(registry, { name: "keda_gpu_scaler_connections", help: "Connections open now" }, (set) =>
    set(connections),
  );
  return {
    openStreams: (count) => {
      streams = count;
    },
    openConnections: (count) => {
      connections = count;
    },
  };
}
