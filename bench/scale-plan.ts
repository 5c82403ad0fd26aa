/**
 * Who holds what in the fleet of `scale.ts`: agents, API server and load tell the same story.
 *
 * Pods of two GPUs, four on a node. The first half of the workloads have one pod each and ask for its
 * power, which tells the age of the sample; the others share what is left evenly.
 *
 * @module
 */
import { powerCycleMs } from "./fleet-plan.ts";

export { powerCycleMs };
export const podsPerNode = 4;
export const gpusPerPod = 2;
export const workloads = 2_000;
const singles = workloads / 2;
const namespaces = 100;

export const nodeName = (node: number) => `node-${node}`;
/** An address of its own for each agent: 127.1.0.1 and on. */
export const agentAddress = (node: number) =>
  `127.${1 + (node >> 16)}.${(node >> 8) & 255}.${node & 255}`;
export const workloadName = (workload: number) => `workload-${workload}`;
export const namespaceOf = (workload: number) => `team-${workload % namespaces}`;

/** The workload of a pod, counted over all nodes. */
export function workloadOf(pod: number): number {
  return pod < singles ? pod : singles + ((pod - singles) % (workloads - singles));
}

export const podName = (pod: number) => `${workloadName(workloadOf(pod))}-${pod}`;

/** The trigger of a workload, as its ScaledObject has it and KEDA sends it. */
export function metadataOf(workload: number): Record<string, string> {
  const scalerAddress = "keda-gpu-scaler.keda.svc.cluster.local:6000";
  return workload < singles
    ? { scalerAddress, metricType: "power_draw", targetValue: "400" }
    : { scalerAddress, targetGpuUtilization: "80" };
}
