/**
 * The scaler itself: the real answers over the simulated cluster.
 *
 * Only this folder knows what other rooms' data looks like, a file a room. It hands the cluster over in
 * the forms in which the product gets it (pods as the API prints them, nodes as agents report them,
 * engines as their scraper reads them), and takes from the rooms what decides: which pods count,
 * which replicas there are, how windows run, and the answers.
 *
 * @module
 */
import type { Answerer, WorkloadRef } from "#answer/answer.ts";
import { answerer } from "#answer/answerer.ts";
import type { CostChange } from "#answer/deletion-costs.ts";
import { type DeletionPlanner, deletionPlanner } from "#answer/deletion-planner.ts";
import { readWindows } from "#answer/device-needs.ts";
import type { Clock } from "#core/clock.ts";
import { Fault, unlessFault } from "#core/fault.ts";
import { scalerSyncMs } from "#core/limits.ts";
import { fleetStore } from "#fleet/store.ts";
import { metricOf } from "#metric/catalogue.ts";
import type { HpaMetric } from "#simulate/hpa.ts";
import type { ScalerAnswer } from "#simulate/keda.ts";
import type { Simulation } from "#simulate/simulation.ts";
import { parseTrigger, type Trigger, triggerParser } from "#trigger/trigger.ts";
import { report } from "./agents.ts";
import { engineReader } from "./engines.ts";
import { epochMs, namespace, uidOf, workloadName } from "./names.ts";
import { workloadView } from "./workload.ts";

/** One replica of the scaler. */
export interface Scaler {
  /** GetMetrics, then IsActive, as KEDA asks both. */
  readonly ask: (trigger: number) => ExplainedAnswer;
  /** IsActive alone; `undefined` where it is an error. */
  readonly isActive: (trigger: number) => boolean | undefined;
  /** Takes in what the agents have sent. */
  readonly sample: () => void;
  /** Has everything ready for every trigger, as a scaler does that is not asked. */
  readonly prepare: () => void;
  /** Writes the deletion costs that are due; absent in one that writes none. */
  readonly writeDeletionCosts?: (() => void) | undefined;
  /** Forgets everything, as a new process does. */
  readonly restart: () => void;
}

export type ExplainedAnswer = ScalerAnswer & {
  /** How the value came about. */
  readonly rule?: string | undefined;
  /** What the explanation says that the HPA makes of it. */
  readonly desiredReplicas?: number | undefined;
  /** How the activity came about. */
  readonly activityRule?: string | undefined;
};

/** What all replicas of the scaler are asked about. */
export interface Product {
  readonly metrics: readonly HpaMetric[];
  readonly readsDevices: boolean;
  /** Whether it does so over a window, so that each of their samples counts. */
  readonly readsWindows: boolean;
  readonly readsEngines: boolean;
  /** Takes in what the Kubernetes API shows. */
  readonly watch: () => void;
  readonly scaler: () => Scaler;
}

/** @throws {Fault} `trigger-invalid` for metadata that breaks a rule. */
export function product(simulation: Simulation): Product {
  const { scaledObject, profiles, deletionCost } = simulation.scenario;
  const { triggers } = scaledObject;
  const parsed = triggers.map(({ metadata }) => parseTrigger(metadata, profiles));
  const { workloads, watch, costsChanged } = workloadView(simulation);
  // Without engines of pods, devices tell what pods have to do, by means over a window.
  const ordersByDevices = deletionCost && !parsed.some((trigger) => readsPodEngines(trigger));
  const ofDevices = parsed.filter((trigger) => sourcesOf(trigger).includes("device"));
  return {
    metrics: parsed.map(({ target }, index) => ({
      metricType: triggers[index]?.metricType ?? "AverageValue",
      targetMilli: Math.round(target * 1000),
    })),
    readsDevices: ordersByDevices || ofDevices.length > 0,
    readsWindows: ordersByDevices || ofDevices.some(({ windowSeconds }) => windowSeconds > 0),
    readsEngines: parsed.some((trigger) => sourcesOf(trigger).includes("engine")),
    watch,
    scaler: () => scaler(simulation, parsed, { workloads, costsChanged }),
  };
}

function readsPodEngines({ metric, endpoint }: Trigger): boolean {
  return metricOf(metric).source === "engine" && endpoint === undefined;
}

function sourcesOf({ metric, activationMetric }: Trigger) {
  return [metricOf(metric).source, metricOf(activationMetric).source];
}

function scaler(
  simulation: Simulation,
  triggers: readonly Trigger[],
  { workloads, costsChanged }: Pick<ReturnType<typeof workloadView>, "workloads" | "costsChanged">,
): Scaler {
  const clock = clockOf(simulation);
  const parse = triggerParser(() => simulation.scenario.profiles);
  const isWide = triggers.some(({ scope = "workload" }) => scope !== "workload");
  const refs = simulation.scenario.scaledObject.triggers.map(
    ({ metadata }): WorkloadRef => ({ namespace, name: workloadName, scalerMetadata: metadata }),
  );
  let sinceMs = Number.NEGATIVE_INFINITY;
  let store = fleetStore({ clock });
  let answers: Answerer;
  let planner: DeletionPlanner;
  const start = () => {
    store = fleetStore({ clock });
    const synced = () => simulation.nowMs() >= sinceMs + scalerSyncMs;
    const engines = engineReader(simulation, sinceMs);
    answers = answerer({ store, clock, workloads, synced, engines, parse });
    planner = deletionPlanner({ answers, workloads, clock });
  };
  start();

  const question = (index: number): [WorkloadRef, Trigger] => [
    refs[index] as WorkloadRef,
    triggers[index] as Trigger,
  ];
  const parsed = triggers.map((trigger, index) => ({ ref: question(index)[0], trigger }));
  return {
    ask: (index) => {
      const [ref, trigger] = question(index);
      const answer = orError(() => answers.value(ref, trigger));
      if ("error" in answer) return answer;
      const { rule, workload } = answer.explanation;
      const activity = orError(() => answers.activity(ref, trigger));
      if ("error" in activity) return { ...activity, rule };
      const { active: isActive, explanation } = activity;
      const { desiredReplicas } = workload ?? {};
      const activityRule = explanation.rule;
      return { value: answer.value, isActive, rule, desiredReplicas, activityRule };
    },
    isActive: (index) => {
      const activity = orError(() => answers.activity(...question(index)));
      return "error" in activity ? undefined : activity.active;
    },
    sample: () => report(simulation, store, isWide),
    prepare: () => {
      const nowMs = simulation.nowMs();
      const needs = { view: store.view(), workloads, nowMs };
      for (const index of triggers.keys()) {
        const [ref, trigger] = question(index);
        unlessFault(() => readWindows(ref, trigger, needs));
        unlessFault(() => answers.value(ref, trigger));
        unlessFault(() => answers.activity(ref, trigger));
      }
    },
    writeDeletionCosts: simulation.scenario.deletionCost
      ? () => {
          if (applyCosts(simulation, planner.next([parsed]))) costsChanged();
        }
      : undefined,
    restart: () => {
      sinceMs = simulation.nowMs();
      start();
    },
  };
}

/** @returns Whether any pod has another cost now. */
function applyCosts({ pods }: Simulation, changes: readonly CostChange[]): boolean {
  const costs = new Map(changes.map(({ pod: { uid }, cost }) => [uid, cost]));
  for (const replica of pods.all()) {
    const cost = costs.get(uidOf(replica));
    if (cost !== undefined) replica.deletionCost = cost;
  }
  return costs.size > 0;
}

function orError<Result>(run: () => Result): Result | { readonly error: string } {
  try {
    return run();
  } catch (error) {
    if (error instanceof Fault) return { error: `${error.code}: ${error.message}` };
    throw error;
  }
}

function clockOf({ nowMs }: Simulation): Clock {
  const unused = () => {
    throw new Error("Nothing that is simulated sets a timer");
  };
  return { monotonicMs: nowMs, wallMs: () => epochMs + nowMs(), after: unused, every: unused };
}
