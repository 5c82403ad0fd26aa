import type { KubernetesObject } from "./kinds.ts";

export interface PodOptions {
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly node?: string;
  readonly ip?: string;
  readonly phase?: "Pending" | "Running" | "Succeeded" | "Failed";
  /** Default: true when it runs. */
  readonly ready?: boolean;
  /** Seconds between the start and the last change of readiness; default 60. */
  readonly readyChangedAfterSeconds?: number;
  readonly deleting?: boolean;
  /** Beside those that any pod has. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Kind of the controller that made it; default: it has none. */
  readonly owner?: "ReplicaSet" | "StatefulSet";
  readonly containers?: readonly ContainerOptions[];
  /** Those with `restartPolicy: Always` are sidecars. */
  readonly initContainers?: readonly ContainerOptions[];
}

export interface ContainerOptions {
  readonly name: string;
  readonly restartPolicy?: "Always" | "OnFailure";
  readonly ports?: readonly { readonly name?: string; readonly port: number }[];
  /** Default: as the pod. */
  readonly ready?: boolean;
}

const startMs = Date.UTC(2030, 0, 1);

/** A pod as the kubelet reports it. */
export function podObject(options: PodOptions): KubernetesObject {
  const { name, namespace = "default", labels = {}, phase = "Running" } = options;
  const { ready = phase === "Running", containers = [{ name: "main" }] } = options;
  const { initContainers = [] } = options;
  const at = (seconds: number) => new Date(startMs + seconds * 1_000).toISOString();
  const readyCondition = {
    type: "Ready",
    status: ready ? "True" : "False",
    lastTransitionTime: at(options.readyChangedAfterSeconds ?? 60),
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace,
      labels,
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      annotations: {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        ...options.annotations,
      },
      ...(options.owner === undefined ? {} : { ownerReferences: [ownerOf(options.owner)] }),
      ...(options.deleting ? { deletionTimestamp: at(600) } : {}),
    },
    spec: {
      ...(options.node === undefined ? {} : { nodeName: options.node }),
      containers: containers.map(containerSpec),
      ...(initContainers.length === 0 ? {} : { initContainers: initContainers.map(containerSpec) }),
    },
    status: {
      phase,
      ...(options.ip === undefined ? {} : { podIP: options.ip }),
      ...(phase === "Pending" ? {} : { startTime: at(0), conditions: [readyCondition] }),
      containerStatuses: containers.map((each) => ({
        name: each.name,
        ready: each.ready ?? ready,
      })),
      initContainerStatuses: initContainers.map((each) => ({
        name: each.name,
        ready: each.ready ?? ready,
      })),
    },
  };
}

function ownerOf(kind: NonNullable<PodOptions["owner"]>) {
  return { apiVersion: "apps/v1", kind, name: "llm-5d4f", controller: true };
}

function containerSpec({ name, restartPolicy, ports = [] }: ContainerOptions) {
  return {
    name,
    image: "registry.example/server:1",
    ...(restartPolicy === undefined ? {} : { restartPolicy }),
    ports: ports.map(({ name: portName, port }) => ({
      containerPort: port,
      ...(portName === undefined ? {} : { name: portName }),
    })),
  };
}

export interface ScalableOptions {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly replicas?: number;
  /** What its pods carry. */
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

/** A Deployment, or any other kind with replicas and a selector. */
export function scalableObject(options: ScalableOptions): KubernetesObject {
  const { name, namespace = "default", replicas = 1, matchLabels } = options;
  return {
    apiVersion: options.apiVersion ?? "apps/v1",
    kind: options.kind ?? "Deployment",
    metadata: { name, namespace },
    spec: { replicas, selector: { matchLabels } },
    status: { replicas, ...options.status },
  };
}

export interface ScaledOptions {
  readonly namespace?: string;
  readonly name: string;
  readonly triggers: readonly {
    readonly type?: string;
    readonly metricType?: string;
    readonly metadata: Readonly<Record<string, string>>;
  }[];
  readonly target?: {
    readonly apiVersion?: string;
    readonly kind?: string;
    readonly name: string;
  };
  /** `status.scaleTargetGVKR`, which KEDA fills in when it has resolved the target. */
  readonly resolved?: {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
    readonly resource: string;
  };
  readonly minReplicaCount?: number;
  readonly maxReplicaCount?: number;
  readonly idleReplicaCount?: number;
}

export function scaledObject(options: ScaledOptions): KubernetesObject {
  const { name, namespace = "default", triggers, target, resolved, ...replicas } = options;
  return {
    apiVersion: "keda.sh/v1alpha1",
    kind: "ScaledObject",
    metadata: { name, namespace },
    spec: {
      scaleTargetRef: target ?? { name },
      triggers: triggers.map((trigger) => ({ type: "external", ...trigger })),
      ...replicas,
    },
    ...(resolved === undefined ? {} : { status: { scaleTargetGVKR: resolved } }),
  };
}

export function scaledJob(options: Omit<ScaledOptions, "target" | "resolved">): KubernetesObject {
  const { name, namespace = "default", triggers, ...replicas } = options;
  return {
    apiVersion: "keda.sh/v1alpha1",
    kind: "ScaledJob",
    metadata: { name, namespace },
    spec: {
      jobTargetRef: { template: {} },
      triggers: triggers.map((trigger) => ({ type: "external", ...trigger })),
      ...replicas,
    },
  };
}

export interface EndpointSliceOptions {
  readonly namespace?: string;
  readonly name: string;
  readonly service: string;
  readonly addressType?: "IPv4" | "IPv6";
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly endpoints: readonly {
    readonly address: string;
    readonly node?: string;
    readonly ready?: boolean;
    readonly serving?: boolean;
    readonly terminating?: boolean;
    /** Default: a pod of the slice's own namespace. */
    readonly targetRef?: { readonly kind: string; readonly namespace: string } | undefined;
  }[];
}

export function endpointSlice(options: EndpointSliceOptions): KubernetesObject {
  const { name, namespace = "default", service, addressType = "IPv4", ports, endpoints } = options;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace, labels: { "kubernetes.io/service-name": service } },
    addressType,
    ports,
    endpoints: endpoints.map((endpoint) => {
      const { address, node, ready = true, serving, terminating = false } = endpoint;
      const pod = { kind: "Pod", namespace, name: `at-${address}` };
      return {
        addresses: [address],
        conditions: { ready, serving: serving ?? ready, terminating },
        targetRef: "targetRef" in endpoint ? endpoint.targetRef : pod,
        ...(node === undefined ? {} : { nodeName: node }),
      };
    }),
  };
}
