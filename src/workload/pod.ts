/**
 * A pod, cut down to what an answer needs: a namespace may hold thousands.
 *
 * Whether it counts follows the HPA: a pod that is pending, or not ready and never was, is ignored
 * when replicas are added up; a pod that lost readiness counts, because an overloaded server fails
 * its probe and its load must not vanish.
 *
 * Source: kubernetes, pkg/controller/podautoscaler/replica_calculator.go, `groupPods`.
 *
 * @module
 */
import type { Labels } from "#kubernetes/label-selector.ts";
import { type DeletionCost, deletionCostOf, type ManagedMetadata } from "./deletion-cost.ts";

export interface PodContainer {
  readonly name: string;
  /** As its probe last said. */
  readonly ready: boolean;
  readonly ports: readonly { readonly name?: string | undefined; readonly port: number }[];
}

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Absent until it is scheduled. */
  readonly node?: string | undefined;
  /** Absent until it has one. */
  readonly ip?: string | undefined;
  /** Whether its address is its node's. */
  readonly onHostNetwork: boolean;
  /** `ending`: it is being deleted. */
  readonly state: "counted" | "warming" | "ending";
  /** Its Ready condition: false too where its node is out of reach. */
  readonly ready: boolean;
  /** From its creation to when it last became ready; absent while it is not. */
  readonly readyAfterMs?: number | undefined;
  /** Sidecars included, other init containers not. */
  readonly containers: readonly PodContainer[];
  readonly labels: Labels;
  /** Whether its spec asks for an accelerator. */
  readonly requestsDevice: boolean;
  /** Whether a ReplicaSet made it, such as that of a Deployment: it chooses among its pods by cost. */
  readonly inReplicaSet?: boolean | undefined;
  /** Absent where nobody has set one, which counts as 0. */
  readonly deletionCost?: DeletionCost | undefined;
  /** The other pods of its group, where a replica is a group of pods and this one leads it. */
  readonly members?: readonly Pod[] | undefined;
}

/** The HPA's `horizontal-pod-autoscaler-initial-readiness-delay`. */
const neverReadyMs = 30_000;

interface RawContainer {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly resources?: { readonly requests?: Labels; readonly limits?: Labels };
}
interface RawStatus {
  readonly name: string;
  readonly ready?: boolean;
}
interface RawPod {
  readonly metadata: ManagedMetadata & {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly labels?: Labels;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly {
      readonly apiVersion?: string;
      readonly kind: string;
      readonly controller?: boolean;
    }[];
  };
  readonly spec?: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly containers?: readonly RawContainer[];
    readonly initContainers?: readonly RawContainer[];
    readonly resourceClaims?: readonly unknown[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly hostIP?: string;
    readonly startTime?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
    readonly containerStatuses?: readonly RawStatus[];
    readonly initContainerStatuses?: readonly RawStatus[];
  };
}

/** @returns `undefined` for a pod that has failed or has finished. */
export function podOf(object: unknown): Pod | undefined {
  const { metadata, spec = {}, status = {} } = object as RawPod;
  if (status.phase === "Failed" || status.phase === "Succeeded") return undefined;
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    state: stateOf(metadata, status),
    ready: isReady(status),
    readyAfterMs: readyAfterMs(metadata, status),
    containers: containersOf(spec, status),
    labels: metadata.labels ?? {},
    requestsDevice: requestsDevice(spec),
    inReplicaSet: isInReplicaSet(metadata) || undefined,
    deletionCost: deletionCostOf(metadata),
    node: spec.nodeName || undefined,
    ip: status.podIP || undefined,
    onHostNetwork:
      spec.hostNetwork === true || (status.podIP !== undefined && status.podIP === status.hostIP),
  };
}

function isInReplicaSet({ ownerReferences = [] }: RawPod["metadata"]): boolean {
  return ownerReferences.some(
    ({ apiVersion = "", kind, controller }) =>
      controller === true && kind === "ReplicaSet" && apiVersion.startsWith("apps/"),
  );
}

/** GPUs, shared ones and slices too, as the vendors' device plugins name them. */
const deviceResource = /^(nvidia\.com\/(gpu|mig)|amd\.com\/)/;

/** A claim of dynamic resource allocation is taken for one of a device. */
function requestsDevice({
  containers = [],
  initContainers = [],
  resourceClaims = [],
}: NonNullable<RawPod["spec"]>): boolean {
  const requests = [...containers, ...initContainers].map(({ resources = {} }) => ({
    ...resources.limits,
    ...resources.requests,
  }));
  const names = requests.flatMap((one) => Object.keys(one));
  return resourceClaims.length > 0 || names.some((name) => deviceResource.test(name));
}

function stateOf(
  { deletionTimestamp }: RawPod["metadata"],
  status: NonNullable<RawPod["status"]>,
): Pod["state"] {
  if (deletionTimestamp !== undefined) return "ending";
  return isWarming(status) ? "warming" : "counted";
}

function isReady({ conditions = [] }: NonNullable<RawPod["status"]>): boolean {
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}

function readyAfterMs(
  { creationTimestamp = "" }: RawPod["metadata"],
  { conditions = [] }: NonNullable<RawPod["status"]>,
): number | undefined {
  const ready = conditions.find(({ type, status }) => type === "Ready" && status === "True");
  const ms = Date.parse(ready?.lastTransitionTime ?? "") - Date.parse(creationTimestamp);
  return ms >= 0 ? ms : undefined;
}

function isWarming({ phase, startTime, conditions = [] }: NonNullable<RawPod["status"]>): boolean {
  if (phase === "Pending") return true;
  const ready = conditions.find(({ type }) => type === "Ready");
  if (ready === undefined || startTime === undefined) return true;
  if (ready.status === "True") return false;
  const changedAtMs = Date.parse(ready.lastTransitionTime ?? startTime);
  return changedAtMs - Date.parse(startTime) < neverReadyMs;
}

function containersOf(
  { containers = [], initContainers = [] }: NonNullable<RawPod["spec"]>,
  { containerStatuses = [], initContainerStatuses = [] }: NonNullable<RawPod["status"]>,
): readonly PodContainer[] {
  const statuses = [...containerStatuses, ...initContainerStatuses];
  const sidecars = initContainers.filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...containers, ...sidecars].map(({ name, ports = [] }) => ({
    name,
    ready: statuses.find((status) => status.name === name)?.ready === true,
    ports: ports.map(({ name: portName, containerPort: port }) => ({ port, name: portName })),
  }));
}
