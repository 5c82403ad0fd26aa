/**
 * Keeps the idlest pods first in line for deletion: a planner's changes, written as they fall due.
 *
 * @module
 */
import type { Answerer } from "#answer/answer.ts";
import { byObject, deletionPlanner, type ObjectTriggers } from "#answer/deletion-planner.ts";
import { Fault } from "#core/fault.ts";
import { deletionCostCheckMs, deletionCostParts } from "#core/limits.ts";
import type { Trigger } from "#trigger/trigger.ts";
import { type CostWriter, costWriter } from "#workload/cost-writer.ts";
import type { Workloads } from "#workload/watch-workloads.ts";
import type { Kubernetes } from "./cluster.ts";
import type { Runtime, ScalerOptions } from "./options.ts";
import { servedTriggers } from "./served-triggers.ts";

export interface DeletionCostsContext extends Runtime {
  /** Absent where there is no Kubernetes API. */
  readonly kubernetes: Pick<Kubernetes, "client"> | undefined;
  readonly workloads: Pick<Workloads, "servedTriggers" | "peek"> | undefined;
  readonly parse: (metadata: Readonly<Record<string, string>>) => Trigger;
  readonly answers: Pick<Answerer, "value">;
}

export interface DeletionCosts {
  /** Writes since the start, by how they ended. */
  readonly written: CostWriter["count"];
  readonly stop: () => void;
}

/**
 * @returns `undefined` in a process that is not told to write any.
 * @throws {Fault} `usage-invalid` where there is no Kubernetes API.
 */
export function deletionCosts(
  { deletionCost }: Pick<ScalerOptions, "deletionCost">,
  context: DeletionCostsContext,
): DeletionCosts | undefined {
  if (!deletionCost) return undefined;
  const { kubernetes, workloads, parse, answers, clock, log, random } = context;
  if (kubernetes === undefined || workloads === undefined) throw withoutCluster();
  const planner = deletionPlanner({ answers, workloads: workloads.peek, clock });
  const writer = costWriter({ client: kubernetes.client, clock, random, log });
  let left: readonly ObjectTriggers[] = [];
  let perPart = 0;
  let part = 0;
  const stop = clock.every(deletionCostCheckMs / deletionCostParts, () => {
    if (part === 0) {
      left = byObject(servedTriggers(workloads, parse));
      perPart = Math.ceil(left.length / deletionCostParts);
      planner.retain(left);
    }
    part = (part + 1) % deletionCostParts;
    const now = left.slice(0, perPart);
    left = left.slice(perPart);
    if (!writer.isOpen()) return;
    for (const { pod, cost } of planner.next(now)) void writer.write(pod, cost);
  });
  return {
    written: writer.count,
    stop: () => {
      stop();
      writer.stop();
    },
  };
}

function withoutCluster(): Fault {
  const problem = "--deletion-cost needs the Kubernetes API (as a pod, or with --kubeconfig)";
  const message = `Cannot order pods for deletion: ${problem}; leave the flag out here`;
  return new Fault("usage-invalid", message, { problems: [problem] });
}
