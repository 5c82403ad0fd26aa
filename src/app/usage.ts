/**
 * Remembers once a minute how each served workload was used, from what is in memory anyway.
 *
 * @module
 */
import type { ParsedTrigger } from "#answer/answer.ts";
import { lookUpWorkload } from "#answer/query.ts";
import { type UsageSources, workloadUsage } from "#answer/usage.ts";
import type { Clock } from "#core/clock.ts";
import { unlessFault } from "#core/fault.ts";
import type { FleetStore } from "#fleet/view.ts";
import { type UsageStore, usageStore } from "#observe/advice/usage-store.ts";
import type { DecisionOutcome } from "#observe/decision.ts";
import type { Workloads } from "#workload/watch-workloads.ts";

interface UsageOptions {
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Without it there are no workloads. */
  readonly workloads: Pick<Workloads, "peek"> | undefined;
  readonly store: Pick<FleetStore, "view">;
  readonly engines: UsageSources["engines"];
}

interface Usage extends Pick<UsageStore, "of"> {
  /** Called in each round with each served trigger. */
  readonly evaluated: (one: ParsedTrigger, outcomes: readonly DecisionOutcome[]) => void;
}

export function usageRecorder({ clock, workloads, store, engines }: UsageOptions): Usage {
  const kept = usageStore(clock);
  return {
    of: kept.of,
    evaluated: (one, outcomes) => {
      if (workloads === undefined || !kept.isDue(one.ref)) return;
      // Whoever asks gets the same fault, and this minute stays unknown.
      unlessFault(() => {
        const workload = lookUpWorkload(one, workloads.peek);
        // The replicas of a ScaledJob are its jobs, which nobody scales in.
        if (workload.kind === "ScaledJob") return;
        const sources = { view: store.view(), engines, nowMs: clock.monotonicMs() };
        const desiredReplicas = desiredBy(outcomes);
        kept.record(one.ref, { ...workloadUsage(one, workload, sources), desiredReplicas });
      });
    },
  };
}

function desiredBy(outcomes: readonly DecisionOutcome[]): number | undefined {
  const [answer] = outcomes.flatMap((outcome) =>
    outcome.question === "value" && !("fault" in outcome) ? [outcome.answer] : [],
  );
  return answer?.explanation.workload?.desiredReplicas;
}
