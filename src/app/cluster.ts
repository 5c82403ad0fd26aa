/**
 * What a process sees of the cluster: whose pods, and which agents.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ServeOptions } from "#cli/commands.ts";
import type { World } from "#cli/run.ts";
import { Fault } from "#core/fault.ts";
import { listeners } from "#core/listeners.ts";
import type { Log } from "#core/log.ts";
import { type AgentSource, agentSource, systemResolve } from "#fleet/agents.ts";
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
import { type Workloads, watchWorkloads } from "#workload/watch-workloads.ts";

/** The Kubernetes API, and the namespace that this process belongs to. */
export interface Kubernetes {
  readonly client: KubernetesClient;
  readonly namespace: string;
}

/**
 * Finds the Kubernetes API: that of `--kubeconfig`, else that of the pod this is.
 *
 * @returns `undefined` where there is none.
 * @throws {Fault} `file-invalid` for a kubeconfig that cannot be used.
 */
export async function findKubernetes(
  flags: ServeOptions,
  { clock, environment }: World,
): Promise<Kubernetes | undefined> {
  const access = await findAccess(flags.kubeconfig, environment);
  if (access === undefined) return undefined;
  const namespace = flags.namespace ?? (await ownNamespace());
  return { client: kubernetesClient(access, clock), namespace };
}

async function findAccess(
  kubeconfig: string | undefined,
  { kubernetesHost, kubernetesPort }: World["environment"],
): Promise<KubernetesAccess | undefined> {
  if (kubeconfig !== undefined) return kubeconfigAccess(kubeconfig);
  if (kubernetesHost === undefined || kubernetesPort === undefined) return undefined;
  return inClusterAccess({ host: kubernetesHost, port: kubernetesPort });
}

/** The kubelet writes a pod's namespace beside its token. */
async function ownNamespace(): Promise<string> {
  const path = join(serviceAccountDirectory, "namespace");
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw needed("tell this scaler's namespace", `${path} cannot be read; give --namespace`, cause);
  }
}

function needed(what: string, rule: string, cause?: unknown): Fault {
  return new Fault("usage-invalid", `Cannot ${what}: ${rule}`, { problems: [rule] }, cause);
}

/** Follows every ScaledObject that names this scaler. */
export function followWorkloads(
  { client, namespace }: Kubernetes,
  { service }: ServeOptions,
  { clock }: World,
  log: Log,
): Workloads {
  const services = [`${service}.${namespace}`];
  return watchWorkloads({ client, clock, random: Math.random, log, services });
}

/** Follows every agent: those of `--agents`, else those of the headless Service. */
export function followAgents(
  store: FleetStore,
  kubernetes: Kubernetes | undefined,
  { agents, "agent-service": service }: ServeOptions,
  { clock }: World,
  log: Log,
): FleetFollower {
  if (agents !== undefined) {
    const source = agentSource(agents, { clock, log, resolve: systemResolve(lookup) });
    return closing(followFleet({ agents: source, store, clock, log }), source.close);
  }
  if (kubernetes === undefined) {
    const rule = "it needs the Kubernetes API (as a pod, or with --kubeconfig) or --agents";
    throw needed("run --role scaler", rule);
  }
  const changes = listeners();
  const { client, namespace } = kubernetes;
  const random = Math.random;
  const slices = watchEndpointSlices({
    client,
    clock,
    random,
    log,
    namespace,
    service,
    changed: changes.notify,
  });
  const source: AgentSource = {
    list: () => (slices.synced() ? slices.endpoints() : undefined),
    subscribe: changes.subscribe,
  };
  return closing(followFleet({ agents: source, store, clock, log }), slices.stop);
}

function closing(follower: FleetFollower, closeSource: () => void): FleetFollower {
  return {
    synced: follower.synced,
    close: () => {
      closeSource();
      follower.close();
    },
  };
}
