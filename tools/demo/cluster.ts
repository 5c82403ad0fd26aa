/**
 * The demo's cluster: each workload's closed loop as `src/simulate` plays it, second by second, and
 * what the real answers made of it, remembered as a scaler remembers it.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { triggerRoundMs } from "#core/limits.ts";
import { fleetStore } from "#fleet/store.ts";
import type { FleetView } from "#fleet/view.ts";
import type { DecisionOutcome } from "#observe/decision.ts";
import { type DecisionLog, decisionLog, type IdentifiedStatus } from "#observe/decision-log.ts";
import { report } from "#simulate/product/agents.ts";
import { type ScaleChange, scaleChange } from "./changes.ts";
import { outcomesOf, type PlayedWorkload, play, record } from "./played-workload.ts";
import { demoWorkloads } from "./workloads.ts";

export interface DemoCluster {
  /** The simulation's: its day begins at midnight. */
  readonly clock: Clock;
  readonly workloads: readonly PlayedWorkload[];
  readonly nodes: FleetView;
  /** Of every trigger, by object. */
  readonly triggers: DecisionLog["triggers"];
  /** Plays a second. @returns Whose replicas changed in it, and why. */
  readonly advance: () => readonly ScaleChange[];
  readonly evaluate: (status: IdentifiedStatus) => readonly DecisionOutcome[];
}

export function demoCluster(seed: number): DemoCluster {
  let nowMs = 0;
  const clock = simulatedClock(() => nowMs);
  const decisions = decisionLog({ clock, onChange: () => undefined });
  const store = fleetStore({ clock });
  const workloads = demoWorkloads.map((workload) => play(workload, seed, decisions));

  const advance = (workload: PlayedWorkload): readonly ScaleChange[] => {
    const { loop, scaler } = workload;
    const before = loop.records.events.length;
    loop.advance();
    scaler.sample();
    report(loop.simulation, store, true);
    const changes = loop.records.events.slice(before).map((event) => scaleChange(workload, event));
    if (nowMs % triggerRoundMs === 0)
      for (const index of workload.labels.keys()) record(decisions, scaler.evaluate(index), false);
    return changes;
  };
  return {
    clock,
    workloads,
    nodes: store.view(),
    triggers: decisions.triggers,
    advance: () => {
      nowMs += 1_000;
      return workloads.flatMap(advance);
    },
    evaluate: ({ ref }) => {
      const { scaler, labels } = workloads.find(({ name }) => name === ref.name) ?? { labels: [] };
      return [...labels.keys()]
        .flatMap((index) => scaler?.evaluate(index) ?? [])
        .filter((evaluated) => evaluated.ref.scalerMetadata === ref.scalerMetadata)
        .flatMap(outcomesOf);
    },
  };
}

function simulatedClock(nowMs: () => number): Clock {
  const midnightMs = new Date(2026, 0, 1).getTime();
  const unused = () => {
    throw new Error("Nothing that is simulated sets a timer");
  };
  return { monotonicMs: nowMs, wallMs: () => midnightMs + nowMs(), after: unused, every: unused };
}
