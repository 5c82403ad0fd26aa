/** A kind as discovery names it. */
export interface Kind {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The plural in the path. */
  readonly resource: string;
  /** How `/scale` finds the selector; absent for a kind without `/scale`. */
  readonly scaleSelector?: (object: KubernetesObject) => string | undefined;
}

/** Any object, as JSON carries it. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly managedFields?: readonly {
      readonly manager: string;
      readonly operation: string;
      readonly fieldsV1: unknown;
    }[];
    readonly ownerReferences?: readonly {
      readonly apiVersion: string;
      readonly kind: string;
      readonly name: string;
      readonly controller: boolean;
    }[];
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec?: {
    readonly replicas?: number;
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly [more: string]: unknown;
  };
  readonly status?: {
    readonly replicas?: number;
    /** Where Rollout, and LeaderWorkerSet under its own name, keep the selector's text. */
    readonly selector?: string;
    readonly hpaPodSelector?: string;
    readonly [more: string]: unknown;
  };
  readonly [more: string]: unknown;
}

const workloads = { group: "apps", version: "v1", scaleSelector: labelsOfSpec };

/** What a cluster with KEDA, Argo Rollouts and LeaderWorkerSet serves. */
export const usualKinds: readonly Kind[] = [
  { group: "", version: "v1", kind: "Pod", resource: "pods" },
  { group: "", version: "v1", kind: "Event", resource: "events" },
  { ...workloads, kind: "Deployment", resource: "deployments" },
  { ...workloads, kind: "StatefulSet", resource: "statefulsets" },
  { group: "batch", version: "v1", kind: "Job", resource: "jobs" },
  { group: "discovery.k8s.io", version: "v1", kind: "EndpointSlice", resource: "endpointslices" },
  { group: "keda.sh", version: "v1alpha1", kind: "ScaledObject", resource: "scaledobjects" },
  { group: "keda.sh", version: "v1alpha1", kind: "ScaledJob", resource: "scaledjobs" },
  {
    group: "argoproj.io",
    version: "v1alpha1",
    kind: "Rollout",
    resource: "rollouts",
    scaleSelector: ({ status }) => status?.selector,
  },
  {
    group: "leaderworkerset.x-k8s.io",
    version: "v1",
    kind: "LeaderWorkerSet",
    resource: "leaderworkersets",
    scaleSelector: ({ status }) => status?.hpaPodSelector,
  },
];

export function apiVersionOf({ group, version }: Kind): string {
  return group === "" ? version : `${group}/${version}`;
}

function labelsOfSpec({ spec }: KubernetesObject): string | undefined {
  const labels = spec?.selector?.matchLabels;
  if (labels === undefined) return undefined;
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}
