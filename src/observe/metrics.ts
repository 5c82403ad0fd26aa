/**
 * What the process says of itself to Prometheus.
 *
 * @module
 */
import { Counter, Histogram, Registry } from "prom-client";
import type { Clock } from "#core/clock.ts";
import type { DeviceSample } from "#metric/sample.ts";
import { registerDeviceMetrics } from "./device-metrics.ts";
import { type EngineFacts, registerEngines } from "./engine-metrics.ts";
import { counter, gauge } from "./read-metric.ts";

const prefix = "keda_gpu_scaler_";
/** Answers take under a millisecond; the last buckets are for a process in trouble. */
const rpcBucketsSeconds = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1];
/** A pass over 8 devices takes milliseconds; a driver in trouble blocks for up to 45 s. */
const collectionBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 45];
const lagIntervalMs = 500;

export interface MetricsOptions {
  readonly clock: Clock;
  readonly version: string;
  readonly revision: string;
  /** Whether the data is fresh enough to answer with. */
  readonly fresh: () => boolean;
  /** Absent in a process that reads no devices itself. */
  readonly node?: NodeFacts;
  /** Absent in a process that follows no agents. */
  readonly fleet?: FleetFacts;
  /** Absent in a process that reads no engines. */
  readonly engines?: EngineFacts;
  /** What is warned of now; absent in a process that answers no triggers. */
  readonly warnings?: () => readonly {
    readonly namespace: string;
    readonly name: string;
    readonly code: string;
    readonly count: number;
  }[];
  readonly open: () => { readonly streams: number; readonly connections: number };
}

/** What this process reads of its own machine. */
interface NodeFacts {
  /** Those with a fresh sample; empty while there is none. */
  readonly devices: () => readonly DeviceSample[];
  /** Passes of the sampler since the start. */
  readonly sampling: () => {
    readonly collections: number;
    readonly faults: number;
    readonly skipped: number;
  };
}

/** What this process knows of all machines. */
interface FleetFacts {
  readonly nodes: () => number;
  readonly devices: () => number;
  /** Agents that are listed and cannot be heard. */
  readonly silentAgents: () => number;
  /** Milliseconds; absent while there is no node. */
  readonly oldestSampleAgeMs: () => number | undefined;
}

export interface Metrics {
  /** Prometheus text 0.0.4. */
  readonly text: () => Promise<string>;
  readonly contentType: string;
  readonly collection: (durationMs: number) => void;
  readonly rpc: (call: { method: string; code: string; durationMs: number }) => void;
  readonly stop: () => void;
}

export function processMetrics(options: MetricsOptions): Metrics {
  const { clock, version, revision, fresh, node, fleet, engines, warnings, open } = options;
  const registry = new Registry();
  const registers = [registry];

  const requests = new Counter({
    name: `${prefix}scaler_requests_total`,
    help: "Calls answered, by method and gRPC code",
    labelNames: ["method", "code"],
    registers,
  });
  const requestErrors = new Counter({
    name: `${prefix}scaler_request_errors_total`,
    help: "Calls answered with another code than ok, by method and gRPC code",
    labelNames: ["method", "code"],
    registers,
  });
  const requestSeconds = new Histogram({
    name: `${prefix}scaler_request_duration_seconds`,
    help: "Time from a unary call's start to its answer; a stream's whole life",
    labelNames: ["method"],
    buckets: rpcBucketsSeconds,
    registers,
  });

  const collectionSeconds = node && registerNode(registry, node);
  if (fleet !== undefined) registerFleet(registry, fleet);
  if (engines !== undefined) registerEngines(registry, prefix, engines);
  if (warnings !== undefined)
    gauge(
      registry,
      `${prefix}trigger_warnings`,
      "Triggers of an object that will not work as their author hopes, by the warning's code",
      ["namespace", "name", "code"],
      (set) => {
        for (const { count, ...labels } of warnings()) set(labels, count);
      },
    );
  gauge(
    registry,
    `${prefix}data_fresh`,
    "1 while the newest sample may be answered with",
    [],
    (set) => set({}, fresh() ? 1 : 0),
  );
  gauge(registry, `${prefix}streams`, "Streams open now", [], (set) => set({}, open().streams));
  gauge(registry, `${prefix}connections`, "Connections open now", [], (set) =>
    set({}, open().connections),
  );
  gauge(
    registry,
    `${prefix}build_info`,
    "1, with the build",
    ["version", "revision", "bun"],
    (set) => set({ version, revision, bun: process.versions.bun ?? "none" }, 1),
  );
  const stopLag = registerProcess(registry, clock);

  return {
    text: () => registry.metrics(),
    contentType: registry.contentType,
    collection: (durationMs) => {
      collectionSeconds?.observe(durationMs / 1000);
    },
    rpc: ({ method, code, durationMs }) => {
      requests.inc({ method, code });
      if (code !== "OK") requestErrors.inc({ method, code });
      requestSeconds.observe({ method }, durationMs / 1000);
    },
    stop: stopLag,
  };
}

function registerNode(registry: Registry, { devices, sampling }: NodeFacts): Histogram {
  registerDeviceMetrics(registry, prefix, devices);
  counter(
    registry,
    `${prefix}collections_total`,
    "Passes over the devices that gave readings",
    () => sampling().collections,
  );
  counter(
    registry,
    `${prefix}collection_errors_total`,
    "Passes over the devices that failed as a whole",
    () => sampling().faults,
  );
  counter(
    registry,
    `${prefix}collections_skipped_total`,
    "Samples left out because a pass took longer than the interval",
    () => sampling().skipped,
  );
  return new Histogram({
    name: `${prefix}collection_duration_seconds`,
    help: "Time of one pass over the devices",
    buckets: collectionBucketsSeconds,
    registers: [registry],
  });
}

function registerFleet(registry: Registry, fleet: FleetFacts): void {
  gauge(registry, `${prefix}fleet_nodes`, "Nodes whose agent has been heard", [], (set) =>
    set({}, fleet.nodes()),
  );
  gauge(registry, `${prefix}fleet_devices`, "Devices of these nodes", [], (set) =>
    set({}, fleet.devices()),
  );
  gauge(
    registry,
    `${prefix}fleet_silent_agents`,
    "Agents that are listed and cannot be heard",
    [],
    (set) => set({}, fleet.silentAgents()),
  );
  gauge(
    registry,
    `${prefix}fleet_oldest_sample_age_seconds`,
    "Age of the oldest newest sample of a node",
    [],
    (set) => {
      const ageMs = fleet.oldestSampleAgeMs();
      if (ageMs !== undefined) set({}, ageMs / 1000);
    },
  );
}

/** Memory, CPU and event-loop lag, under the names that every Prometheus client uses. */
function registerProcess(registry: Registry, clock: Clock): () => void {
  const startedSeconds = clock.wallMs() / 1000 - process.uptime();
  gauge(registry, "process_start_time_seconds", "Start of the process, in Unix time", [], (set) =>
    set({}, startedSeconds),
  );
  gauge(registry, "process_resident_memory_bytes", "Resident memory", [], (set) =>
    set({}, process.memoryUsage.rss()),
  );
  counter(registry, "process_cpu_seconds_total", "CPU time, user and system", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });

  let lagMs = 0;
  let lagMsMax = 0;
  let dueMs = clock.monotonicMs() + lagIntervalMs;
  const stop = clock.every(lagIntervalMs, () => {
    const nowMs = clock.monotonicMs();
    lagMs = Math.max(0, nowMs - dueMs);
    lagMsMax = Math.max(lagMsMax, lagMs);
    dueMs = nowMs + lagIntervalMs;
  });
  gauge(
    registry,
    `${prefix}event_loop_lag_seconds`,
    "How late the last timer ran on the main thread",
    [],
    (set) => set({}, lagMs / 1000),
  );
  gauge(
    registry,
    `${prefix}event_loop_lag_seconds_max`,
    "How late the latest timer ran since the last scrape",
    [],
    (set) => {
      set({}, lagMsMax / 1000);
      lagMsMax = 0;
    },
  );
  return stop;
}
