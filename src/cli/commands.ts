/**
 * Every command and its flags: the one table behind parsing, `--help` and the reference document;
 * and what the flags mean to the code that runs a command.
 *
 * @module
 */
import { roles, type ServeOptions, type TlsOptions } from "#app/options.ts";
import { formatDuration } from "#core/duration.ts";
import { Fault } from "#core/fault.ts";
import {
  connectionAgeMs,
  gpuHourPriceMax,
  sampleIntervalMostMs,
  seedMax,
  simulateWithinMsMax,
  streamsMax,
} from "#core/limits.ts";
import { logFormats, logLevels } from "#core/log.ts";
import type { CollectorOptions } from "#device/collector.ts";
import { presetNames } from "#simulate/input/presets.ts";
import { scopes } from "#trigger/keys.ts";
import {
  addresses,
  certificateNames,
  choice,
  choices,
  decimal,
  directory,
  duration,
  type FlagValues,
  file,
  flag,
  hostPatterns,
  ipAddress,
  kubernetesName,
  load,
  port,
  present,
  presetOrFile,
  repeatedFlag,
  tokenCount,
  wholeNumber,
} from "./flags.ts";
import { defaultLoad, type SimulateOptions, simulateFormats } from "./simulate.ts";
import { snapshotFormats } from "./snapshot.ts";

const collectorFlags = {
  collector: flag(choice(["auto", "nvml", "mock"]), {
    fallback: "auto",
    help: "Where readings come from; auto takes the vendor's library, never the mock",
  }),
  "nvml-library": flag(file, { help: "libnvidia-ml.so.1, when it is not where drivers put it" }),
  mock: flag(file, {
    help: "YAML file that the mock collector plays; without it, its own default",
  }),
} as const;

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

const serveFlags = {
  role: flag(choice(roles), {
    fallback: "all",
    help: "agent reads a node's devices, scaler follows agents and answers KEDA, all does both",
  }),
  bind: flag(ipAddress, { fallback: "0.0.0.0", help: "Address to listen on" }),
  port: flag(port, { fallback: "6000", help: "gRPC port for KEDA; 0 picks a free one" }),
  "http-port": flag(port, {
    fallback: "9090",
    help: "HTTP port for probes and Prometheus; 0 picks a free one",
  }),
  ...collectorFlags,
  "sample-interval": flag(duration(100, sampleIntervalMostMs), {
    fallback: "1s",
    help: "Time between two samples of a device",
  }),
  "device-watchdog": flag(duration(second, hour), {
    fallback: "60s",
    help: "Exit when the devices have given no readings for this long",
  }),
  "node-name": flag(kubernetesName, {
    help: "Name of the node whose devices are read; else $NODE_NAME, else the host's name",
  }),
  "pod-resources-socket": flag(file, {
    help: "The kubelet's socket that tells which pod holds which device; in a cluster it has a default",
  }),
  profiles: flag(file, {
    help: "YAML file with profiles of your own, read again when it changes; see docs/reference.md",
  }),
  "engine-token-dir": flag(directory, {
    help: "Directory with one folder per namespace, which holds that namespace's bearer tokens for engines",
  }),
  agents: flag(addresses, {
    help: "Agents to follow where there is no Kubernetes API to list them; of several that name one node, the first heard is believed while it lives",
  }),
  kubeconfig: flag(file, { help: "Reach the Kubernetes API from outside a cluster" }),
  namespace: flag(kubernetesName, {
    help: "Namespace of this scaler and its agents; in a pod its own",
  }),
  "agent-service": flag(kubernetesName, {
    fallback: "keda-gpu-scaler-agent",
    help: "Headless Service of the agents",
  }),
  service: flag(kubernetesName, {
    fallback: "keda-gpu-scaler",
    help: "Service by which ScaledObjects name this scaler",
  }),
  "allow-endpoint": flag(hostPatterns, {
    help: "Hosts that a trigger's endpoint may name beside the Services of its own namespace",
  }),
  "allow-scope": flag(choices("SCOPES", scopes), {
    fallback: scopes.join(","),
    help: "Scopes that triggers may ask in; a URL counts as workload",
  }),
  "tls-cert": flag(file, {
    help: "PEM certificate of the gRPC port, which is then TLS 1.2 or newer; read again when it changes",
  }),
  "tls-key": flag(file, { help: "PEM private key of --tls-cert" }),
  "tls-client-ca": flag(file, {
    help: "PEM authorities: clients need a certificate of theirs, and a scaler dials agents over TLS",
  }),
  "tls-client-names": flag(certificateNames, {
    help: "Names of which a client's certificate has one; else those of KEDA, for an agent that of --service",
  }),
  "allow-host-network": flag(present, {
    help: "Ask pods on their node's network for metrics too; then triggers reach ports of nodes",
  }),
  "deletion-cost": flag(present, {
    help: "Write the annotation pod-deletion-cost, so that a scale-in takes the pods with the least to do; needs the right to patch pods",
  }),
  "connection-age": flag(duration(second, 24 * hour), {
    fallback: formatDuration(connectionAgeMs),
    help: "Ask a client to reconnect after this time (± 20 %), so that load spreads over replicas",
  }),
  "max-streams": flag(wholeNumber(1, 10_000), {
    fallback: String(streamsMax),
    help: "Open push streams, at about 60 kB each; KEDA holds one for each external-push trigger",
  }),
  "no-reflection": flag(present, {
    help: "Do not describe the gRPC services to clients such as grpcurl",
  }),
  "no-page": flag(present, {
    help: "Do not show the status on the HTTP port, as a page and as JSON",
  }),
  "log-level": flag(choice(logLevels), {
    fallback: "info",
    help: "Lowest level that is written",
  }),
  "log-format": flag(choice(logFormats), {
    fallback: "json",
    help: "json writes one object per line",
  }),
} as const;

const snapshotFlags = {
  format: flag(choice(snapshotFormats), {
    fallback: "table",
    help: "How the readings are written",
  }),
  interval: flag(duration(100, hour), {
    help: "Repeat at this interval until stopped; without it, once",
  }),
  ...collectorFlags,
} as const;

const simulateFlags = {
  scaledobject: flag(file, { help: "YAML file with the ScaledObject to play; required" }),
  trace: flag(file, {
    help: "CSV file of requests with the columns TIMESTAMP, ContextTokens and GeneratedTokens",
  }),
  load: flag(load, {
    help:
      "Load in place of a trace: segments with commas between, RATE rps for DURATION or " +
      `ramp RATE..RATE rps over DURATION; without either "${defaultLoad}"`,
  }),
  "prompt-tokens": flag(tokenCount, { fallback: "500", help: "Tokens in, of a load" }),
  "output-tokens": flag(tokenCount, { fallback: "200", help: "Tokens out, of a load" }),
  "replica-model": flag(presetOrFile, {
    fallback: "h100-8b",
    help: `YAML file that describes a replica, or a preset: ${presetNames.join(", ")}`,
  }),
  compare: repeatedFlag(file, {
    help: "YAML file with another ScaledObject to play over the same load; up to four times",
  }),
  output: flag(choice(simulateFormats), {
    fallback: "text",
    help: "text fits 80 columns, html is one page with plots",
  }),
  within: flag(duration(1, simulateWithinMsMax), {
    fallback: "2s",
    help: "Limit for the first token",
  }),
  goal: flag(decimal("PERCENT", 0, 100), {
    fallback: "95",
    help: "Share of requests that should have their first token within the limit",
  }),
  "gpu-hour-price": flag(decimal("PRICE", 0, gpuHourPriceMax), {
    help: "Price of a GPU for an hour, for the cost",
  }),
  seed: flag(wholeNumber(0, seedMax), { fallback: "1", help: "The same one gives the same run" }),
} as const;

export const commands = {
  serve: { summary: "Read the devices and answer KEDA until stopped", flags: serveFlags },
  snapshot: { summary: "Print the devices' readings", flags: snapshotFlags },
  simulate: {
    summary: "Play a ScaledObject over a load, and report waits, GPU-hours and scale events",
    flags: simulateFlags,
  },
  version: { summary: "Print the version", flags: {} },
} as const;
export type CommandName = keyof typeof commands;
export const commandNames = Object.keys(commands) as CommandName[];

/** What a process finds in its environment. */
export interface Environment {
  /** The name of the machine. */
  readonly hostname: string;
  /** `NODE_NAME`, which the chart fills in. */
  readonly nodeName: string | undefined;
  /** `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`: every pod has them. */
  readonly kubernetesHost: string | undefined;
  readonly kubernetesPort: string | undefined;
}

/** @throws {Fault} `usage-invalid` when the flags contradict each other. */
export function serveOptions(
  flags: FlagValues<typeof serveFlags>,
  { hostname, nodeName, kubernetesHost: host, kubernetesPort }: Environment,
): ServeOptions {
  return {
    role: flags.role,
    bind: flags.bind,
    grpcPort: flags.port,
    httpPort: flags["http-port"],
    tls: tlsOptions(flags),
    connectionAgeMs: flags["connection-age"],
    streamsMax: flags["max-streams"],
    hasReflection: flags["no-reflection"] === undefined,
    hasPage: flags["no-page"] === undefined,
    nodeName: flags["node-name"] ?? nodeName ?? hostname,
    collector: collectorOptions(flags),
    sampleIntervalMs: flags["sample-interval"],
    deviceWatchdogMs: flags["device-watchdog"],
    podResourcesSocket: flags["pod-resources-socket"],
    kubeconfig: flags.kubeconfig,
    kubernetesAddress:
      host === undefined || kubernetesPort === undefined
        ? undefined
        : { host, port: kubernetesPort },
    namespace: flags.namespace,
    agents: flags.agents,
    agentService: flags["agent-service"],
    service: flags.service,
    profilesFile: flags.profiles,
    allowedEndpoints: flags["allow-endpoint"] ?? [],
    allowedScopes: flags["allow-scope"],
    allowHostNetwork: flags["allow-host-network"] !== undefined,
    engineTokenDirectory: flags["engine-token-dir"],
    deletionCost: flags["deletion-cost"] !== undefined,
  };
}

/** KEDA's operator polls, its metrics server serves the HPA; both may call. */
const kedaNames = ["keda-operator", "keda-operator-metrics-apiserver"];

function tlsOptions(flags: FlagValues<typeof serveFlags>): TlsOptions | undefined {
  const { "tls-cert": certFile, "tls-key": keyFile, "tls-client-ca": clientCaFile } = flags;
  const { "tls-client-names": clientNames, role, service } = flags;
  const use = "use TLS";
  if (clientNames !== undefined && clientCaFile === undefined)
    throw contradiction(use, "--tls-client-names needs --tls-client-ca, and there is none");
  if (certFile !== undefined && keyFile === undefined)
    throw contradiction(use, "--tls-cert needs --tls-key, and there is none");
  if (keyFile !== undefined && certFile === undefined)
    throw contradiction(use, "--tls-key needs --tls-cert, and there is none");
  if (certFile === undefined || keyFile === undefined) {
    if (clientCaFile === undefined) return undefined;
    throw contradiction(use, "--tls-client-ca needs --tls-cert and --tls-key, and there are none");
  }
  const usual = role === "agent" ? [service] : kedaNames;
  return { certFile, keyFile, clientCaFile, clientNames: clientNames ?? usual };
}

/** @throws {Fault} `usage-invalid` when the flags contradict each other. */
export function collectorOptions(flags: FlagValues<typeof collectorFlags>): CollectorOptions {
  const { collector, mock, "nvml-library": nvmlLibrary } = flags;
  const choose = "choose a collector";
  if (mock !== undefined && collector !== "mock")
    throw contradiction(choose, `--mock is for --collector mock, got --collector ${collector}`);
  if (nvmlLibrary !== undefined && collector === "mock")
    throw contradiction(
      choose,
      "--nvml-library is for --collector nvml or auto, got --collector mock",
    );
  return { collector, nvmlLibrary, mockFile: mock };
}

/** @throws {Fault} `usage-invalid` without a ScaledObject. */
export function simulateOptions(
  flags: FlagValues<typeof simulateFlags>,
  hasColor: boolean,
): SimulateOptions {
  const { scaledobject, compare = [], trace, load: expression, seed } = flags;
  if (scaledobject === undefined) {
    const problem = "--scaledobject must be the path of a file, got nothing";
    throw new Fault("usage-invalid", `Cannot run simulate: ${problem}`, { problems: [problem] });
  }
  return {
    scaledObject: scaledobject,
    compare,
    trace,
    load: expression,
    promptTokens: flags["prompt-tokens"],
    outputTokens: flags["output-tokens"],
    replicaModel: flags["replica-model"],
    withinMs: flags.within,
    goalPercent: flags.goal,
    gpuHourPrice: flags["gpu-hour-price"],
    seed,
    format: flags.output,
    hasColor,
  };
}

function contradiction(what: string, problem: string): Fault {
  const message = `Cannot ${what}: ${problem}`;
  return new Fault("usage-invalid", message, { problems: [problem] });
}
