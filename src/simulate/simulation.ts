import type { Cluster } from "./cluster.ts";
import type { Pods } from "./pods.ts";
import type { ServingReplica } from "./replica.ts";
import type { CompleteScenario } from "./scenario.ts";
import type { Traffic } from "./traffic.ts";

/** Everything that a scaler can find out. */
export interface Simulation {
  readonly scenario: CompleteScenario;
  readonly nowMs: () => number;
  readonly cluster: Cluster;
  readonly pods: Pods;
  readonly traffic: Traffic;
  /** `spec.replicas` of the scale target. */
  readonly specReplicas: () => number;
  /** Since when a node's agent is not heard; `undefined` while it is. */
  readonly silentSinceMs: (node: number) => number | undefined;
  /** Whether a replica's engine cannot be scraped. */
  readonly isUnreachable: (replica: ServingReplica) => boolean;
  /** Whether a replica's engine exports nothing but the length of its queue. */
  readonly isMisfit: (replica: ServingReplica) => boolean;
}
