/**
 * One workload as it is played: its closed loop, and the scaler that answers in it.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import type { DecisionOutcome, Question } from "#observe/decision.ts";
import type { DecisionLog, IdentifiedStatus } from "#observe/decision-log.ts";
import {
  type EvaluatedTrigger,
  type EvaluatingScaler,
  explainedAnswer,
  product,
} from "#simulate/product/product.ts";
import { type SimulationLoop, simulationLoop } from "#simulate/simulate.ts";
import type { Simulation } from "#simulate/simulation.ts";
import type { DemoWorkload } from "./workloads.ts";

export interface PlayedWorkload extends DemoWorkload {
  readonly name: string;
  readonly loop: SimulationLoop;
  readonly scaler: EvaluatingScaler;
  /** A replica's, by trigger. */
  readonly targets: readonly number[];
  /** In the order of its ScaledObject. */
  readonly triggers: () => readonly IdentifiedStatus[];
}

/** @param decisions Get every answer that KEDA is given. */
export function play(workload: DemoWorkload, seed: number, decisions: DecisionLog): PlayedWorkload {
  const { scenario } = workload;
  let scaler: EvaluatingScaler | undefined;
  let targets: readonly number[] = [];
  const scalersOf = (simulation: Simulation) => {
    const made = product(simulation);
    targets = made.metrics.map(({ targetMilli }) => targetMilli / 1_000);
    const replica = () => {
      const own = made.scaler();
      scaler = own;
      return { ...own, ask: (index: number) => asked(own.evaluate(index)) };
    };
    return { ...made, scaler: replica };
  };
  const asked = (evaluated: EvaluatedTrigger) => {
    record(decisions, evaluated, true);
    return explainedAnswer(evaluated);
  };
  const loop = simulationLoop(scenario, seed, scalersOf);
  if (scaler === undefined) throw new Error("A simulation begins with a scaler");
  const { name } = loop.simulation.scenario.target;
  const metadata = scenario.scaledObject.triggers.map((trigger) => trigger.metadata);
  const triggers = () => {
    const own = decisions.triggers().filter(({ ref }) => ref.name === name);
    return metadata.flatMap((one) => own.filter(({ ref }) => ref.scalerMetadata === one));
  };
  return { ...workload, name, loop, scaler, targets, triggers };
}

export function record(
  decisions: DecisionLog,
  evaluated: EvaluatedTrigger,
  isAsked: boolean,
): void {
  const { ref, trigger } = evaluated;
  for (const outcome of outcomesOf(evaluated))
    decisions.record({ ref, trigger, asked: isAsked, outcome });
}

export function outcomesOf({ value, activity }: EvaluatedTrigger): readonly DecisionOutcome[] {
  const refused = (question: Question, fault: Fault) => ({ question, fault });
  return [
    value instanceof Fault ? refused("value", value) : { question: "value", answer: value },
    activity instanceof Fault
      ? refused("activity", activity)
      : { question: "activity", answer: activity },
  ];
}
