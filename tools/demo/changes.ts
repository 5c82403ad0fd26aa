/**
 * Why the replicas of a workload changed, as a sentence.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import type { ScaleEvent } from "#simulate/run.ts";
import type { ScaledObjectModel } from "#simulate/scenario.ts";
import type { PlayedWorkload } from "./played-workload.ts";

/** A change of `spec.replicas`. */
export interface ScaleChange extends Pick<ScaleEvent, "atMs" | "from" | "to"> {
  readonly name: string;
  readonly why: string;
}

export function scaleChange(workload: PlayedWorkload, event: ScaleEvent): ScaleChange {
  const { atMs, from, to, by } = event;
  const reason = { HPA: hpaReason, KEDA: from === 0 ? wakeReason : sleepReason }[by];
  const why = `${by}: ${reason(workload, event)}`;
  return { name: workload.name, atMs, from, to, why };
}

/** The HPA follows the trigger that asks for most. */
function hpaReason({ loop, targets }: PlayedWorkload, event: ScaleEvent): string {
  const { answers = [], recommended } = loop.records.decisions.at(-1) ?? {};
  const [asking] = answers
    .flatMap((answer, index) => {
      const target = targets[index] ?? Number.NaN;
      return "error" in answer ? [] : [{ ...answer, target, ratio: answer.value / target }];
    })
    .toSorted((one, other) => other.ratio - one.ratio);
  if (recommended === undefined || asking === undefined) return "minReplicas and maxReplicas";
  const { rule = "", value, target, ratio } = asking;
  const ending = `: ${value}`;
  const what = rule.endsWith(ending) ? rule.slice(0, -ending.length) : rule;
  const short = oneDecimal(value);
  const limit = limitReason(loop.simulation.scenario.scaledObject, event, recommended);
  const sum = `${short} / ${target} = ${ratio.toFixed(2)} asks for ${recommended}${limit}`;
  return `${sum}; ${short} is the ${what}`;
}

/** Why it is not as many as were asked for. */
function limitReason(
  { behavior, minReplicaCount = 0, maxReplicaCount }: ScaledObjectModel,
  { from, to }: ScaleEvent,
  recommended: number,
): string {
  if (to === recommended) return "";
  if (to > from)
    return to === maxReplicaCount
      ? `, maxReplicaCount allows ${to}`
      : ", and in 15 s the HPA adds 4 or as many again";
  if (to === Math.max(1, minReplicaCount)) return ", and the HPA keeps at least 1";
  const windowSeconds = behavior?.scaleDown?.stabilizationWindowSeconds;
  return `, and the most that was asked for in ${windowSeconds} s is ${to}`;
}

function sleepReason({ loop }: PlayedWorkload): string {
  const rules = loop.records.polls
    .at(-1)
    ?.answers.flatMap(({ activityRule }) => activityRule ?? []);
  const { cooldownPeriod } = loop.simulation.scenario.scaledObject;
  return `no trigger active for the cooldown of ${cooldownPeriod} s; ${rules?.[0] ?? ""}`;
}

/** A push stream wakes at once, and says what it is true for. */
function wakeReason({ loop, scaler, labels }: PlayedWorkload): string {
  const { triggers } = loop.simulation.scenario.scaledObject;
  const pushing = triggers.findIndex(({ type }) => type === "external-push");
  const { activity } = scaler.evaluate(pushing);
  const rule = activity instanceof Fault ? activity.message : activity.explanation.rule;
  return `woken by its ${labels[pushing]}: ${rule}`;
}

function oneDecimal(value: number): string {
  return `${Math.round(value * 10) / 10}`;
}
