/**
 * Every command and its flags: the one table behind parsing, `--help` and the reference document.
 *
 * @module
 */

import { formatDuration } from "#core/duration.ts";
import { Fault } from "#core/fault.ts";
import { connectionAgeMs } from "#core/limits.ts";
import { logFormats, logLevels } from "#core/log.ts";
import type { CollectorOptions } from "#device/collector.ts";
import {
  address,
  addresses,
  choice,
  directory,
  duration,
  hostPatterns,
  name,
  namedBy,
  optionalDuration,
  type Parsed,
  path,
  port,
} from "./flags.ts";
import { snapshotFormats } from "./snapshot-format.ts";

const collectorFlags = {
  collector: choice(["auto", "nvml", "mock"], {
    fallback: "auto",
    help: "Where readings come from; auto takes the vendor's library, never the mock",
  }),
  "nvml-library": path({ help: "libnvidia-ml.so.1, when it is not where drivers put it" }),
  mock: path({ help: "YAML file that the mock collector plays; without it, its own default" }),
} as const;

const second = 1_000;
const minute = 60 * second;

const serveFlags = {
  role: choice(["all", "agent", "scaler"], {
    fallback: "all",
    help: "agent reads a node's devices, scaler follows agents and answers KEDA, all does both",
  }),
  bind: address({ fallback: "0.0.0.0", help: "Address to listen on" }),
  port: port({ fallback: "6000", help: "gRPC port for KEDA; 0 picks a free one" }),
  "http-port": port({
    fallback: "9090",
    help: "HTTP port for probes and Prometheus; 0 picks a free one",
  }),
  ...collectorFlags,
  "sample-interval": duration(100, minute, {
    fallback: "1s",
    help: "Time between two samples of a device",
  }),
  "device-watchdog": duration(second, 60 * minute, {
    fallback: "60s",
    help: "Exit when the devices gave nothing for this long",
  }),
  "node-name": name({
    help: "The node whose devices this is; else $NODE_NAME, else the host's name",
  }),
  "pod-resources-socket": path({
    help: "The kubelet's socket that tells which pod holds which device; in a cluster it has a default",
  }),
  profiles: path({
    help: "YAML file with profiles of your own, read again when it changes; docs/reference.md",
  }),
  "engine-token-dir": directory({
    help: "Directory with a folder a namespace, which holds that namespace's bearer tokens for engines",
  }),
  agents: addresses({ help: "Agents to follow where there is no Kubernetes API to list them" }),
  kubeconfig: path({ help: "Reach the Kubernetes API from outside a cluster" }),
  namespace: name({ help: "Namespace of this scaler and its agents; in a pod its own" }),
  "agent-service": namedBy({
    fallback: "keda-gpu-scaler-agent",
    help: "Headless Service of the agents",
  }),
  service: namedBy({
    fallback: "keda-gpu-scaler",
    help: "Service by which ScaledObjects name this scaler",
  }),
  "allow-endpoint": hostPatterns({
    help: "Hosts that a trigger's endpoint may name beside the Services of its own namespace",
  }),
  "connection-age": duration(second, 24 * 60 * minute, {
    fallback: formatDuration(connectionAgeMs),
    help: "Ask a client to reconnect after this time (± 20 %), so that load spreads over replicas",
  }),
  "log-level": choice(logLevels, { fallback: "info", help: "The least level that is written" }),
  "log-format": choice(logFormats, { fallback: "json", help: "json: one object a line" }),
} as const;

const snapshotFlags = {
  format: choice(snapshotFormats, { fallback: "table", help: "How the readings are written" }),
  interval: optionalDuration(100, 60 * minute, {
    help: "Repeat at this interval until stopped; without it, once",
  }),
  ...collectorFlags,
} as const;

export type ServeOptions = Parsed<typeof serveFlags>;
export type SnapshotOptions = Parsed<typeof snapshotFlags>;

export const commands = {
  serve: { summary: "Read the devices and answer KEDA until stopped", flags: serveFlags },
  snapshot: { summary: "Print what the devices say now", flags: snapshotFlags },
  version: { summary: "Print the version", flags: {} },
} as const;
export type CommandName = keyof typeof commands;
export const commandNames = Object.keys(commands) as CommandName[];

/** @throws {Fault} `usage-invalid` when the flags contradict each other. */
export function collectorOptions(
  flags: Pick<ServeOptions, keyof typeof collectorFlags>,
): CollectorOptions {
  const { collector, mock, "nvml-library": nvmlLibrary } = flags;
  const contradiction =
    mock !== undefined && collector !== "mock"
      ? `--mock is for --collector mock, got --collector ${collector}`
      : nvmlLibrary !== undefined && collector === "mock"
        ? "--nvml-library is for --collector nvml or auto, got --collector mock"
        : undefined;
  if (contradiction !== undefined)
    throw new Fault("usage-invalid", `Cannot choose a collector: ${contradiction}`, {
      problems: [contradiction],
    });
  return {
    collector,
    ...(nvmlLibrary === undefined ? {} : { nvmlLibrary }),
    ...(mock === undefined ? {} : { mockFile: mock }),
  };
}
