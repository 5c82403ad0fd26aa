/**
 * Writes deletion costs into pods, and never over one that somebody else has set.
 *
 * A write that fails changes no answer. It is counted, and told once for each cause; while the API
 * server refuses, nothing is written for growing times.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { backOff } from "#core/back-off.ts";
import type { Clock } from "#core/clock.ts";
import { counts } from "#core/counts.ts";
import { Fault, type FaultFacts } from "#core/fault.ts";
import {
  deletionCostPauseLeastMs,
  deletionCostPauseMostMs,
  deletionCostsAtOnce,
} from "#core/limits.ts";
import type { Log } from "#core/log.ts";
import { slots } from "#core/slots.ts";
import type { KubernetesClient } from "#kubernetes/client.ts";
import { deletionCostAnnotation } from "./deletion-cost.ts";
import type { Pod } from "./pod.ts";

/** `left`: somebody else has set a cost meanwhile, or the pod is gone. */
export type WriteOutcome = "ok" | "left" | "failed";

export interface CostWriter {
  /** False while the API server refuses: what would be written now is due again later. */
  readonly isOpen: () => boolean;
  readonly write: (pod: Pick<Pod, "namespace" | "name" | "uid">, cost: number) => Promise<void>;
  /** Writes since the start. */
  readonly count: (outcome: WriteOutcome) => number;
  readonly stop: () => void;
}

export interface CostWriterOptions {
  readonly client: Pick<KubernetesClient, "apply">;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** From 0 to 1: spreads attempts. */
  readonly random: () => number;
  readonly log: Log;
}

export function costWriter({ client, clock, random, log }: CostWriterOptions): CostWriter {
  const stopped = new AbortController();
  const inSlot = slots(deletionCostsAtOnce);
  const outcomes = counts<WriteOutcome>();
  const pauses = backOff({
    leastMs: deletionCostPauseLeastMs,
    mostMs: deletionCostPauseMostMs,
    random,
  });
  let closedUntilMs = Number.NEGATIVE_INFINITY;
  let failingStatus: number | undefined;
  const isOpen = () => !stopped.signal.aborted && clock.monotonicMs() >= closedUntilMs;

  const failed = (fault: Fault) => {
    const { status, retryAfterMs = 0 } = fault.facts as FaultFacts["kubernetes-failed"];
    if (status === 404 || status === 409) return outcomes.change("left", 1);
    outcomes.change("failed", 1);
    if (status !== failingStatus)
      log("warn", "deletion costs cannot be written", { why: fault.message });
    failingStatus = status;
    // Those that were under way together have failed together.
    if (isOpen()) closedUntilMs = clock.monotonicMs() + Math.max(pauses.next(), retryAfterMs);
  };
  const write = async (
    { namespace, name, uid }: Parameters<CostWriter["write"]>[0],
    cost: number,
  ) => {
    // Others may have failed while this one waited for its turn.
    if (!isOpen()) return;
    const annotations = { [deletionCostAnnotation]: `${cost}` };
    const metadata = { namespace, name, uid, annotations };
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    try {
      await client.apply(path, { apiVersion: "v1", kind: "Pod", metadata }, stopped.signal);
      outcomes.change("ok", 1);
      pauses.reset();
      failingStatus = undefined;
    } catch (cause) {
      if (stopped.signal.aborted) return;
      assert(cause instanceof Fault, `a deletion cost failed with ${String(cause)}`);
      failed(cause);
    }
  };
  return {
    isOpen,
    write: (pod, cost) => inSlot(() => write(pod, cost)),
    count: outcomes.of,
    stop: () => stopped.abort(),
  };
}
