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
import type { Activity, Answer, Answerer, WorkloadRef } from "#answer/answer.ts";
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
import { epochMs, namespace, uidOf } from "./names.ts";
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

export interface EvaluatingScaler extends Scaler {
  /** As `ask`, with the whole explanations. */
  readonly evaluate: (trigger: number) => EvaluatedTrigger;
}

export type ExplainedAnswer = ScalerAnswer & {
  /** How the value came about. */
  readonly rule?: string | undefined;
  /** What the explanation says that the HPA makes of it. */
  readonly desiredReplicas?: number | undefined;
  /** How the activity came about. */
  readonly activityRule?: string | undefined;
};

/** A trigger as the answers see it, and what both questions about it come to. */
export interface EvaluatedTrigger {
  readonly ref: WorkloadRef;
  readonly trigger: Trigger;
  readonly value: Answer | Fault;
  readonly activity: Activity | Fault;
}

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

export interface EvaluatingProduct extends Product {
  readonly scaler: () => EvaluatingScaler;
}

/** @throws {Fault} `trigger-invalid` for metadata that breaks a rule. */
export function product(simulation: Simulation): EvaluatingProduct {
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
): EvaluatingScaler {
  const clock = clockOf(simulation);
  const parse = triggerParser(() => simulation.scenario.profiles);
  const isWide = triggers.some(({ scope = "workload" }) => scope !== "workload");
  const { scaledObject, target } = simulation.scenario;
  const refs = scaledObject.triggers.map(
    ({ metadata }): WorkloadRef => ({ namespace, name: target.name, scalerMetadata: metadata }),
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
  const evaluate = (index: number): EvaluatedTrigger => {
    const [ref, trigger] = question(index);
    const value = orFault(() => answers.value(ref, trigger));
    return { ref, trigger, value, activity: orFault(() => answers.activity(ref, trigger)) };
  };
  const parsed = triggers.map((trigger, index) => ({ ref: question(index)[0], trigger }));
  return {
    evaluate,
    ask: (index) => explainedAnswer(evaluate(index)),
    isActive: (index) => {
      const activity = orFault(() => answers.activity(...question(index)));
      return activity instanceof Fault ? undefined : activity.active;
    },
    sample: () => report(simulation, store, isWide),
    prepare: () => {
      const nowMs = simulation.nowMs();
      const needs = { view: store.view(), workloads, nowMs };
      for (const index of triggers.keys()) {
        unlessFault(() => readWindows(...question(index), needs));
        evaluate(index);
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

/** What KEDA gets of it. */
export function explainedAnswer({ value, activity }: EvaluatedTrigger): ExplainedAnswer {
  if (value instanceof Fault) return { error: errorText(value) };
  const { rule, workload } = value.explanation;
  if (activity instanceof Fault) return { error: errorText(activity), rule };
  return {
    value: value.value,
    isActive: activity.active,
    rule,
    desiredReplicas: workload?.desiredReplicas,
    activityRule: activity.explanation.rule,
  };
}

function errorText({ code, message }: Fault): string {
  return `${code}: ${message}`;
}

function orFault<Result>(run: () => Result): Result | Fault {
  try {
    return run();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

function clockOf({ nowMs }: Simulation): Clock {
  const unused = () => {
    throw new Error("Nothing that is simulated sets a timer");
  };
  return { monotonicMs: nowMs, wallMs: () => epochMs + nowMs(), after: unused, every: unused };
}
