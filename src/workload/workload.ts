import type { HpaTolerances, MetricType } from "#kubernetes/hpa.ts";
import type { Pod } from "./pod.ts";

/** A ScaledObject or ScaledJob with its pods, as the Kubernetes API last showed them. */
export interface Workload {
  readonly kind: "ScaledObject" | "ScaledJob";
  /** Of the trigger that asks. */
  readonly metricType: MetricType;
  /** `spec.replicas` of the scale target: what the HPA changes. Of a ScaledJob, its pods. */
  readonly replicas: number;
  /** `status.replicas`, by the pods that are there. */
  readonly statusReplicas: number;
  /** As the HPA counts them: those that are being deleted too, whatever `podSelector` leaves. */
  readonly readyPods: number;
  /** Those of them that are being deleted: they may still work on what they have. */
  readonly drainingPods: number;
  /**
   * Whether the count was set to 0, so that what is there goes for good; `undefined` while the count
   * is older than the last pod that went.
   */
  readonly isAtZero: boolean | undefined;
  /** Of the ScaledObject's `behavior`. */
  readonly tolerances: HpaTolerances;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly idleReplicas?: number | undefined;
  /** All triggers but the one that asks; without metadata where they are not external. */
  readonly otherTriggers: readonly {
    readonly type: string;
    readonly metadata?: Readonly<Record<string, string>>;
  }[];
  /** Those that belong to it now, after the `PodFilter`; sorted by name. */
  readonly pods: readonly Pod[];
  /** Milliseconds since the API server last confirmed it: up to two minutes when all is well. */
  readonly ageMs: number;
  /** Another number whenever anything above may have changed, `ageMs` aside. */
  readonly generation: number;
}

/** What a trigger's metadata leaves of a workload's pods. */
export interface PodFilter {
  /** A label selector on top of the scale target's own. */
  readonly podSelector?: string | undefined;
  /** Keeps this container of each pod, and only pods that have it. */
  readonly container?: string | undefined;
}

/** Which pods a ScaledObject scales. Nothing here waits: it is known already, or it is a fault. */
export interface WorkloadView {
  /**
   * Looks a workload up, and remembers for `askedForMs` that it was asked for by a trigger of its.
   *
   * @param metadata `scalerMetadata` as KEDA sent it: it tells which trigger asks.
   * @throws {Fault} `workload-unknown` when there is no such ScaledObject or ScaledJob;
   * `workload-syncing` while it is read for the first time; `data-stale` when the API server has
   * been away for `workloadStaleMs`; `scale-target-unusable`, `kubernetes-failed`; `trigger-unmatched`
   * when metadata fits none of its triggers; `trigger-ambiguous` when it fits several of different
   * metricType; `trigger-invalid` for a bad `podSelector`;
   * `selection-empty` when there are pods but the filter leaves none; `overloaded` above
   * `namespacesMax`.
   */
  readonly of: (
    namespace: string,
    name: string,
    metadata: Readonly<Record<string, string>>,
    podFilter?: PodFilter,
  ) => Workload;
}
