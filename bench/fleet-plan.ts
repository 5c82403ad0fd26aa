/**
 * Who holds what in the simulated fleet: agents, API server and load must tell the same story.
 *
 * @module
 */
export const gpusPerNode = 8;
export const workloads = 500;
/** These have one pod with one GPU and ask for its power, which tells the age of the sample. */
const singles = 250;
const namespaces = 20;
/** `powerAverageMilliwatts` counts the wall clock's milliseconds up to here, then begins anew. */
export const powerCycleMs = 100_000_000;

/** Of its agent, which is known by it. */
export const nodeAddress = (node: number) => `127.1.${node >> 8}.${node & 0xff}`;
export const nodeName = (node: number) => `node-${node}`;
export const workloadName = (workload: number) => `workload-${workload}`;
export const namespaceOf = (workload: number) => `team-${workload % namespaces}`;

/** The workload that holds a GPU, counted over all nodes. */
export function workloadOf(gpu: number): number {
  return gpu < singles ? gpu : singles + ((gpu - singles) % (workloads - singles));
}

export function holderOf(gpu: number) {
  const workload = workloadOf(gpu);
  return { namespace: namespaceOf(workload), pod: podName(gpu), container: "main" };
}

export function podName(gpu: number): string {
  return `${workloadName(workloadOf(gpu))}-${gpu}`;
}

/** The trigger of a workload, as its ScaledObject has it and KEDA sends it. */
export function metadataOf(workload: number): Record<string, string> {
  const scalerAddress = "keda-gpu-scaler.keda.svc.cluster.local:6000";
  return workload < singles
    ? { scalerAddress, metricType: "power_draw", targetValue: "400" }
    : { scalerAddress, targetGpuUtilization: "80" };
}
