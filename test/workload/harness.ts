import { Fault, type FaultCode } from "#core/fault.ts";
import type { KubernetesClient } from "#kubernetes/client.ts";
import { type Workloads, watchWorkloads } from "#workload/watch-workloads.ts";
import type { Workload } from "#workload/workload.ts";
import {
  inClusterClient,
  type ShiftedClock,
  shiftedClock,
  until,
  whenOver,
} from "../fake-kubernetes/harness.ts";
import type { FakeKubernetes } from "../fake-kubernetes/server.ts";

/** Everything that one test runs; it is stopped after the test. */
export interface Cluster {
  readonly fake: FakeKubernetes;
  readonly clock: ShiftedClock;
  readonly client: KubernetesClient;
  readonly workloads: Workloads;
  readonly log: readonly string[];
  /** Looks up a workload of namespace `default` unless told otherwise. */
  readonly look: (name: string, options?: LookOptions) => Workload;
  /** @returns The code of the fault that looking it up ends in, or `undefined`. */
  readonly faultOf: (name: string, options?: LookOptions) => FaultCode | undefined;
}

export interface LookOptions {
  readonly namespace?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly podSelector?: string;
  readonly container?: string;
}

/** What triggers that call the service under test carry. */
export const ours = { scalerAddress: "keda-gpu-scaler.keda.svc.cluster.local:6000" };

/** Starts the room against a server with these objects; returns before anything is read. */
export async function startCluster(
  fake: FakeKubernetes,
  random: () => number = () => 0,
): Promise<Cluster> {
  const clock = shiftedClock();
  const { client } = await inClusterClient(fake, clock);
  const log: string[] = [];
  const workloads = watchWorkloads({
    client,
    clock,
    random,
    log: (level, event, facts) => log.push(`${level} ${event} ${JSON.stringify(facts)}`),
    services: ["keda-gpu-scaler.keda"],
  });
  whenOver(workloads.stop);
  const look = (name: string, options: LookOptions = {}) => {
    const { namespace = "default", metadata = ours, ...narrowing } = options;
    return workloads.view.of(namespace, name, metadata, narrowing);
  };
  const faultOf = (name: string, options?: LookOptions) => {
    try {
      look(name, options);
      return undefined;
    } catch (fault) {
      if (fault instanceof Fault) return fault.code;
      throw fault;
    }
  };
  return { fake, clock, client, workloads, log, look, faultOf };
}

/** Waits until every served workload has been read. */
export function ready({ workloads }: Cluster): Promise<void> {
  return until(() => workloads.waitingFor().length === 0);
}

/** Waits until the condition holds, while the clock runs a hundred times as fast. */
export async function untilLater({ clock }: Cluster, condition: () => boolean): Promise<void> {
  while (!condition()) {
    clock.advance(200);
    await Bun.sleep(2);
  }
}
