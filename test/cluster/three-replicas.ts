import type { Ref } from "./scaler.ts";
import type { ClusterScene, WorkloadOptions } from "./scene.ts";

export const threeNodes = ["node-a", "node-b", "node-c"];

/** `llm-0` on `node-a` and so on, each with a GPU of its own. */
export const threePods: WorkloadOptions["pods"] = threeNodes.map((node, index) => ({
  name: `llm-${index}`,
  node,
}));

/**
 * Three replicas of one model server at 92 % with the default target of 80: 276 in all. Beside each
 * GPU of theirs is another that nobody holds, at 40 %.
 */
export function threeReplicas(scene: ClusterScene): Ref {
  for (const [index, node] of threeNodes.entries())
    scene.node(node).gpus([{ percent: 40 }, { percent: 92, pod: `llm-${index}` }]);
  return scene.workload({ name: "llm", pods: threePods });
}
