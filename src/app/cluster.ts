/**
 * What a process sees of the cluster: the Kubernetes API, whose pods are whose, and the agents.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { join } from "node:path";
import type { Clock } from "#core/clock.ts";
import { counts } from "#core/counts.ts";
import { Fault } from "#core/fault.ts";
import { namespaceFileBytesMax } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import { readRegularFile } from "#core/regular-file.ts";
import type { TlsSource } from "#core/tls.ts";
import { agentSource, type ClosableAgentSource, systemResolve } from "#fleet/agents.ts";
import type { ReadingDemand } from "#fleet/demand.ts";
import { type FleetFollower, followFleet } from "#fleet/follow-agents.ts";
import type { FleetStore } from "#fleet/view.ts";
import {
  inClusterAccess,
  type KubernetesAccess,
  kubeconfigAccess,
  serviceAccountDirectory,
} from "#kubernetes/access.ts";
import { type KubernetesClient, kubernetesClient } from "#kubernetes/client.ts";
import { watchEndpointSlices } from "#kubernetes/endpoint-slices.ts";
import type { FleetStats } from "#observe/scaler-metrics.ts";
import { type AgentTls, secureWatchAgent } from "#telemetry/watch.ts";
import { type Workloads, watchWorkloads } from "#workload/watch-workloads.ts";
import type { Runtime, ScalerOptions } from "./options.ts";

/** The Kubernetes API, and the namespace that this process belongs to. */
export interface Kubernetes {
  readonly client: KubernetesClient;
  readonly namespace: string;
}

/**
 * Finds the Kubernetes API: that of a kubeconfig, else that of the pod this is.
 *
 * @returns `undefined` where there is none.
 * @throws {Fault} `file-invalid` for a kubeconfig that cannot be used; `usage-invalid` when the
 * namespace cannot be told.
 */
export async function findKubernetes(
  options: Pick<ScalerOptions, "kubeconfig" | "kubernetesAddress" | "namespace">,
  clock: Clock,
): Promise<Kubernetes | undefined> {
  const access = await findAccess(options);
  if (access === undefined) return undefined;
  const namespace = options.namespace ?? (await podNamespace());
  return { client: kubernetesClient(access, clock), namespace };
}

async function findAccess({
  kubeconfig,
  kubernetesAddress,
}: Pick<ScalerOptions, "kubeconfig" | "kubernetesAddress">): Promise<KubernetesAccess | undefined> {
  if (kubeconfig !== undefined) return kubeconfigAccess(kubeconfig);
  return kubernetesAddress && inClusterAccess(kubernetesAddress);
}

/** The kubelet writes a pod's namespace beside its token. */
async function podNamespace(): Promise<string> {
  const path = join(serviceAccountDirectory, "namespace");
  try {
    return (await readRegularFile(path, namespaceFileBytesMax)).trim();
  } catch (cause) {
    const rule = `${path} cannot be read; give --namespace`;
    throw unusable("tell this scaler's namespace", rule, cause);
  }
}

function unusable(what: string, rule: string, cause?: unknown): Fault {
  return new Fault("usage-invalid", `Cannot ${what}: ${rule}`, { problems: [rule] }, cause);
}

/** Follows every ScaledObject that names this scaler. */
export function followWorkloads(
  { client, namespace }: Kubernetes,
  { service }: Pick<ScalerOptions, "service">,
  { clock, log, random }: Runtime,
): Workloads {
  return watchWorkloads({ client, clock, random, log, services: [`${service}.${namespace}`] });
}

/**
 * Follows every agent: those of `agents`, else those of the headless Service.
 *
 * @throws {Fault} `usage-invalid` when there is neither a list of agents nor a Kubernetes API.
 */
export function followAgents(
  store: FleetStore,
  kubernetes: Kubernetes | undefined,
  options: Pick<ScalerOptions, "agents" | "agentService" | "namespace">,
  runtime: Runtime & { readonly credentials?: TlsSource | undefined },
  demand?: ReadingDemand,
): FleetFollower {
  const { clock, log, random, credentials } = runtime;
  const { agents, agentService } = options;
  // Without an authority there is no telling who answers, so there is no use in TLS.
  const tls = credentials?.current().ca !== undefined && {
    credentials,
    serverNames: serviceNames(agentService, kubernetes?.namespace ?? options.namespace),
  };
  const watch = tls ? secureWatchAgent(tls) : undefined;
  const source =
    agents === undefined
      ? serviceAgents(kubernetes, agentService, runtime)
      : agentSource(agents, { clock, log, resolve: systemResolve(lookup) });
  const follower = followFleet({ agents: source, store, clock, log, random, demand, watch });
  return {
    synced: follower.synced,
    refusedReports: follower.refusedReports,
    close: () => {
      source.close();
      follower.close();
    },
  };
}

/** Every form of a Service's DNS name, the longest first. */
function serviceNames(service: string, namespace: string | undefined): AgentTls["serverNames"] {
  if (namespace === undefined) return [service];
  const inNamespace = `${service}.${namespace}`;
  return [`${inNamespace}.svc.cluster.local`, `${inNamespace}.svc`, inNamespace, service];
}

function serviceAgents(
  kubernetes: Kubernetes | undefined,
  service: string,
  { clock, log, random }: Runtime,
): ClosableAgentSource {
  if (kubernetes === undefined) {
    const rule = "it needs the Kubernetes API (as a pod, or with --kubeconfig) or --agents";
    throw unusable("run --role scaler", rule);
  }
  const { client, namespace } = kubernetes;
  const changes = listeners();
  const changed = changes.notify;
  const slices = watchEndpointSlices({ client, clock, random, log, namespace, service, changed });
  return {
    list: () => (slices.synced() ? slices.endpoints() : undefined),
    subscribe: changes.subscribe,
    close: slices.stop,
  };
}

/** What the metrics of a scaler show of its fleet. */
export function fleetStats(
  store: Pick<FleetStore, "view">,
  { refusedReports }: Pick<FleetFollower, "refusedReports">,
  clock: Pick<Clock, "monotonicMs">,
): FleetStats {
  const nodes = () => [...store.view().nodes.values()];
  const devices = () => nodes().flatMap((node) => node.devices);
  return {
    nodes: () => store.view().nodes.size,
    devices: () => devices().length,
    unwellDevices: () =>
      countEach(
        devices()
          .map(({ health }) => health.state)
          .filter((state) => state !== "ok"),
      ),
    deviceConditions: () =>
      countEach(devices().flatMap(({ conditions }) => conditions.map(({ kind }) => kind))),
    refusedReports,
    silentAgents: () => store.view().unavailable.length,
    sampleAgesMs: () => {
      const nowMs = clock.monotonicMs();
      return new Map(nodes().map(({ name, sampledAtMs }) => [name, nowMs - sampledAtMs]));
    },
  };
}

function countEach(names: readonly string[]): ReadonlyMap<string, number> {
  const count = counts<string>();
  for (const name of names) count.change(name, 1);
  return new Map([...new Set(names)].map((name) => [name, count.of(name)]));
}
