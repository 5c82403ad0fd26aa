/**
 * A small cluster of real processes on loopback: agents, scalers, an API server, and KEDA.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  endpointSlice,
  type PodOptions,
  podObject,
  scalableObject,
  scaledObject,
} from "../fake-kubernetes/objects.ts";
import { type FakeKubernetes, startFakeKubernetes } from "../fake-kubernetes/server.ts";
import type { ForeignClient } from "../foreign/client.ts";
import { serveBinary } from "../support/binary.ts";
import { eventually } from "../support/eventually.ts";
import { type GpuNode, gpuNode } from "./node.ts";
import { connectScaler, type Ref, type Scaler } from "./scaler.ts";

export interface SceneOptions {
  /** Speaks to the scalers as KEDA does. */
  readonly keda: ForeignClient;
  /** Default three. */
  readonly nodes?: readonly string[];
  /** Started and ready; default 1. */
  readonly scalers?: number;
  /** Runs each node's process in role `all`, so that it answers KEDA by itself. */
  readonly daemonSet?: boolean;
  /** More flags of the scalers. */
  readonly scalerArgs?: readonly string[];
  /** Of agents and scalers; default: that of these sources. */
  readonly binaryPath?: string | undefined;
}

export interface WorkloadOptions {
  readonly name: string;
  readonly namespace?: string;
  readonly metricType?: "AverageValue" | "Value";
  /** Of the trigger, beside `scalerAddress`. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly pods: readonly Omit<PodOptions, "namespace" | "labels">[];
  /** What the scale target should have; default: as many as there are pods. */
  readonly replicas?: number;
}

export interface ClusterScene extends AsyncDisposable {
  readonly kubernetes: FakeKubernetes;
  /** Node by name. */
  readonly node: (name: string) => GpuNode;
  /** Scaler by the order of their start; default the first. */
  readonly scaler: (place?: number) => Scaler;
  /** What a node's own process answers, where it runs in role `all`. */
  readonly daemon: (node: string) => Promise<Scaler>;
  /** Starts one more; it serves, and is perhaps not ready yet. */
  readonly startScaler: (binaryPath?: string) => Promise<Scaler>;
  /** Applies a ScaledObject, its Deployment and exactly these pods; gives what KEDA asks with. */
  readonly workload: (options: WorkloadOptions) => Ref;
  /** Lists an agent among the endpoints of the agents' Service, under its node's name. */
  readonly listAgent: (agent: ListedAgent) => void;
  /** Takes a node's agent out of the Service. */
  readonly unlistAgent: (node: string) => void;
}

interface ListedAgent {
  readonly node: string;
  readonly address: string;
  readonly port: number;
}

export const agentService = { namespace: "keda", service: "keda-gpu-scaler-agent" };
const scalerAddress = "keda-gpu-scaler.keda.svc.cluster.local:6000";

export async function clusterScene({
  keda,
  nodes: names = ["node-a", "node-b", "node-c"],
  daemonSet = false,
  scalerArgs = [],
  scalers: scalerCount = daemonSet ? 0 : 1,
  binaryPath,
}: SceneOptions): Promise<ClusterScene> {
  const folder = mkdtempSync(join(tmpdir(), "cluster-"));
  const kubeconfig = join(folder, "kubeconfig");
  await using open = new AsyncDisposableStack();
  open.defer(() => rmSync(folder, { recursive: true }));

  const kubernetes = await startFakeKubernetes({ tls: true, token: crypto.randomUUID() });
  open.defer(kubernetes.stop);
  await kubernetes.writeKubeconfig(kubeconfig);

  const listAgent = ({ node, address, port }: ListedAgent) =>
    kubernetes.apply(
      endpointSlice({
        ...agentService,
        name: node,
        ports: [{ name: "grpc", port }],
        endpoints: [{ address, node }],
      }),
    );
  const reachApi = ["--kubeconfig", kubeconfig, "--namespace", "keda"];
  const role = daemonSet ? reachApi : ["--role", "agent"];
  const starting = names.map((name, index) =>
    gpuNode({ name, number: index + 1, folder, role, binaryPath }),
  );
  const nodes = await Promise.all(starting);
  for (const node of nodes) {
    open.use(node);
    const { name, address, agent } = node;
    listAgent({ node: name, address, port: agent().grpcPort });
  }

  const scalers: Scaler[] = [];
  const processes = open.use(new AsyncDisposableStack());
  const startScaler = async (path = binaryPath) => {
    const serving = processes.use(
      await serveBinary({
        args: ["--role", "scaler", ...reachApi, ...scalerArgs],
        ...(path === undefined ? {} : { command: [path] }),
      }),
    );
    const started = await connectScaler(serving, keda);
    scalers.push(started);
    return started;
  };
  for (let count = 0; count < scalerCount; count += 1) {
    const { ready } = await startScaler();
    await eventually(ready, "ok");
  }

  const node = (name: string) =>
    present(
      nodes.find((each) => each.name === name),
      `node ${name}`,
    );
  const owned = open.move();
  return {
    kubernetes,
    node,
    scaler: (place = 0) => present(scalers[place], `scaler ${place}`),
    daemon: (name) => connectScaler(node(name).agent(), keda),
    startScaler,
    workload: workloads(kubernetes),
    listAgent,
    unlistAgent: (node) => {
      kubernetes.remove({ kind: "EndpointSlice", namespace: agentService.namespace, name: node });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function present<Thing>(thing: Thing | undefined, name: string): Thing {
  if (thing === undefined) throw new Error(`This scene has no ${name}`);
  return thing;
}

/** Applies workloads to a cluster, and takes away the pods that they had before. */
export function workloads(kubernetes: FakeKubernetes): ClusterScene["workload"] {
  const podsOf = new Map<string, readonly string[]>();
  return ({ name, namespace = "default", metricType, metadata = {}, pods, replicas }) => {
    const labels = { app: name };
    const scalerMetadata = { scalerAddress, ...metadata };
    const trigger = {
      metadata: scalerMetadata,
      ...(metricType === undefined ? {} : { metricType }),
    };
    const target = { name, namespace, matchLabels: labels, replicas: replicas ?? pods.length };
    const key = `${namespace}/${name}`;
    const kept = pods.map((pod) => pod.name);
    for (const gone of podsOf.get(key) ?? [])
      if (!kept.includes(gone)) kubernetes.remove({ kind: "Pod", namespace, name: gone });
    podsOf.set(key, kept);
    kubernetes.apply(
      scalableObject(target),
      ...pods.map((pod) => podObject({ ...pod, namespace, labels })),
      scaledObject({ name, namespace, triggers: [trigger] }),
    );
    return { name, namespace, scalerMetadata };
  };
}
