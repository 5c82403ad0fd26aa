import type { MetricName } from "#metric/catalogue.ts";
import type { ReducerName } from "#metric/reduce.ts";
import type { ProfileName } from "./profiles.ts";

export const scopes = ["workload", "node", "cluster"] as const;
export const replicaReducers = ["sum", "avg", "max", "p95"] as const;

/** A ScaledObject's trigger with every default filled in, but for those the cluster decides. */
export interface Trigger {
  readonly profile?: ProfileName;
  readonly metric: MetricName;
  /** In the metric's unit. */
  readonly target: number;
  readonly activationMetric: MetricName;
  readonly activationThreshold: number;
  /** A profile without scale to zero: active whatever its load. */
  readonly alwaysActive: boolean;
  /** -1: every device. */
  readonly gpuIndex: number;
  readonly aggregation: ReducerName;
  /** Absent: `sum` under AverageValue, `avg` under Value. */
  readonly replicaAggregation?: (typeof replicaReducers)[number];
  /** Absent: `workload` where there is a Kubernetes API, `node` elsewhere. */
  readonly scope?: (typeof scopes)[number];
  readonly windowSeconds: number;
  readonly pollIntervalSeconds: number;
  /** The name under which KEDA registers the metric with the HPA. */
  readonly metricName: string;
  readonly podSelector?: string;
  readonly container?: string;
  readonly node?: string;
  readonly engine?: string;
  readonly enginePort?: number;
  readonly enginePath?: string;
  /** The URL that `endpoint`, `vllmEndpoint` or `tritonEndpoint` gave. */
  readonly endpoint?: string;
}
