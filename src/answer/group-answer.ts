/**
 * Answers of scope `node` and `cluster`: all devices are reduced at once, and the result is sent as
 * it is.
 *
 * Nobody knows here how many replicas stand behind the devices, so no floor can protect them: while
 * a part is missing there is no value, and KEDA holds the replicas.
 *
 * @module
 */
import { Fault } from "#core/fault.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { Activity, Answer, Explanation } from "./answer.ts";
import type { Selection } from "./cluster-scope.ts";
import { deviceShare, reduceParts, windowWords } from "./device-value.ts";
import { absences, type Grouped, grouped, obstacle, unsupported } from "./known.ts";
import type { Asked } from "./part.ts";
import { listed } from "./words.ts";

export interface GroupQuestion {
  readonly trigger: Trigger;
  readonly asked: Asked;
  readonly scope: "node" | "cluster";
  readonly selection: Selection;
  readonly nowMs: number;
}

export function groupValue(question: GroupQuestion): Answer {
  const groups = groupsOf(question);
  const reduced = whole(question, groups);
  // KEDA carries nothing below 0. Only a temperature can be, and no target is, so 0 decides alike.
  const value = Math.max(reduced, 0);
  const sent = value === reduced ? "" : ", sent as 0, for KEDA carries no negative number";
  return { value, explanation: explained(question, groups, `${reduced}${sent}`) };
}

export function groupActivity(question: GroupQuestion): Activity {
  const groups = groupsOf(question);
  const { activationThreshold, aggregation } = question.trigger;
  const partial = reduceParts(aggregation, groups.known);
  const above = partial !== undefined && partial > activationThreshold;
  // What is not known could be in use. What is left out of the value is left out here too: KEDA
  // drops the value when the activity fails, and one broken device must not block it for ever.
  const reduced = above ? partial : whole(question, groups);
  const compared = `${reduced}, ${above ? "above" : "not above"} the activation threshold`;
  const rule = `${compared} ${activationThreshold}`;
  return { active: above, explanation: explained(question, groups, rule) };
}

function groupsOf({ asked, selection: { where, parts, absent } }: GroupQuestion): Grouped {
  const groups = grouped(parts, absent);
  if (groups.known.length + groups.absent.length > 0) return groups;
  throw unsupported(parts, asked, where);
}

/** @throws {Fault} `data-missing` where what is known does not make a value. */
function whole({ trigger, asked, selection, nowMs }: GroupQuestion, groups: Grouped): number {
  const { known, absent } = groups;
  const reduced = reduceParts(trigger.aggregation, known);
  const rule = obstacle(groups, nowMs);
  if (rule === undefined && reduced !== undefined) return reduced;
  const missing = absences(groups);
  throw new Fault(
    "data-missing",
    `Cannot answer ${asked.metric} for ${selection.where}: ${known.length} of ` +
      `${known.length + absent.length} devices are known, and ${rule}; look into ${listed(missing)}`,
    { known: known.length, missing },
  );
}

function explained(
  { trigger, asked, scope, selection, nowMs }: GroupQuestion,
  { known, absent }: Grouped,
  outcome: string,
): Explanation {
  const { metric, row } = asked;
  const { where, parts } = selection;
  const without = absent.filter(({ name }) =>
    selection.absent.some((other) => other.name === name),
  );
  const left = without.length === 0 ? "" : `, without ${listed(without.map(({ name }) => name))}`;
  return {
    metric,
    scope,
    rule:
      `${trigger.aggregation} of ${metric} in ${row.unit} over ${known.length} of ${parts.length} ` +
      `devices of ${where}${left}, ${windowWords(asked)}: ${outcome}`,
    devices: parts.map((part) => deviceShare(part, nowMs)),
  };
}
