/**
 * `serve`: the flags, and what they mean to the process that runs.
 *
 * @module
 */
import { roles, type ServeOptions, type TlsOptions } from "#app/options.ts";
import { serve } from "#app/serve.ts";
import { collectorFlags, collectorOptions } from "#cli/collector-flags.ts";
import { command, contradiction, type Environment } from "#cli/command.ts";
import {
  addresses,
  certificateNames,
  choice,
  choices,
  directory,
  duration,
  type FlagValues,
  file,
  flag,
  hostPatterns,
  ipAddress,
  kubernetesName,
  port,
  present,
  wholeNumber,
} from "#cli/flags.ts";
import { formatDuration } from "#core/duration.ts";
import { connectionAgeMs, sampleIntervalMostMs, streamsMax } from "#core/limits.ts";
import { lineLog, logFormats, logLevels } from "#core/log.ts";
import { scopes } from "#trigger/keys.ts";

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
  "process-attribution": flag(present, {
    help: "Count of a shared GPU what each pod's processes use, not equal parts; needs the node's pid namespace (hostPID)",
  }),
  "proc-root": flag(directory, {
    help: "Where --process-attribution finds the node's processes, when its procfs is not at /proc",
  }),
  profiles: flag(file, {
    help: "YAML file with profiles of your own, read again when it changes; see docs/reference.md",
  }),
  "engine-token-dir": flag(directory, {
    help: "Directory with one folder per namespace, which holds that namespace's bearer tokens and passwords for engines",
  }),
  "engine-ca-dir": flag(directory, {
    help: "Directory with one folder per namespace, which holds the authorities of its engines' certificates; read again when they change",
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
  "no-events": flag(present, {
    help: "Write no Kubernetes events of what is wrong with ScaledObjects; without the flag a scaler needs the right to create and patch events",
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

/** @throws {Fault} `usage-invalid` when the flags contradict each other. */
export function serveOptions(
  flags: FlagValues<typeof serveFlags>,
  environment: Environment,
): ServeOptions {
  const { hostname, nodeName, kubernetesHost: host, kubernetesPort } = environment;
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
    collector: collectorOptions(flags, environment),
    sampleIntervalMs: flags["sample-interval"],
    deviceWatchdogMs: flags["device-watchdog"],
    podResourcesSocket: flags["pod-resources-socket"],
    procRoot: procRootOf(flags),
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
    engineCaDirectory: flags["engine-ca-dir"],
    deletionCost: flags["deletion-cost"] !== undefined,
    hasEvents: flags["no-events"] === undefined,
  };
}

function procRootOf(flags: FlagValues<typeof serveFlags>): string | undefined {
  const { "process-attribution": isAttributed, "proc-root": root } = flags;
  if (isAttributed === undefined && root !== undefined)
    throw contradiction("tell processes apart", "--proc-root is for --process-attribution");
  return isAttributed === undefined ? undefined : (root ?? "/proc");
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

export const serveCommand = command("serve", {
  summary: "Read the devices and answer KEDA until stopped",
  flags: serveFlags,
  examples: ["keda-gpu-scaler serve --collector mock"],
  run: ({ flags }, context) => {
    const { clock, random, version, revision, environment, stderr, stopSignal } = context;
    const { "log-level": level, "log-format": format } = flags;
    const log = lineLog({ level, format, write: stderr, clock });
    const runtime = { clock, log, random, version, revision, stopSignal };
    return serve(serveOptions(flags, environment), runtime);
  },
});
