/**
 * What is remembered of one trigger: its newest answers, a point every ten seconds of the last quarter
 * of an hour, and what changed.
 *
 * @module
 */
import type { Answer, WorkloadRef } from "#answer/answer.ts";
import type { Explanation, WorkloadShare } from "#answer/explanation.ts";
import type { Clock } from "#core/clock.ts";
import type { Fault, FaultCode } from "#core/fault.ts";
import {
  decisionChangesMax,
  decisionPointMs,
  decisionPointsMax,
  decisionTextCharsMax,
} from "#core/limits.ts";
import type { Trigger } from "#trigger/trigger.ts";
import type { TriggerWarning } from "#trigger/warnings.ts";
import type { DecisionChange, DecisionChangeKind, Question, TriggerDecision } from "./decision.ts";

/** What was true in ten seconds, by their last answers; absent is unknown. */
export interface DecisionPoint {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly value?: number | undefined;
  readonly active?: boolean | undefined;
  /** Before `behavior`, minimum and maximum. */
  readonly desiredReplicas?: number | undefined;
  /** What the scale target is asked to have. */
  readonly replicas?: number | undefined;
}

/** The newest answer to a question, or why there is none. */
export type QuestionStatus<Result> =
  | { readonly result: Result; readonly rule: string; readonly fault?: undefined }
  | { readonly fault: RefusalStatus; readonly result?: undefined };

export interface RefusalStatus {
  readonly code: FaultCode;
  readonly message: string;
  /** Milliseconds since 1970: since when this question has had no answer. */
  readonly sinceMs: number;
}

/** How much of what the value should be made of is known. */
export interface Coverage {
  readonly counted: number;
  readonly missing: number;
  readonly warming: number;
}

export interface TriggerStatus {
  readonly ref: WorkloadRef;
  /** Absent when the metadata breaks a rule. */
  readonly trigger?: Trigger | undefined;
  /** Absent before the first answer or refusal. */
  readonly value?: QuestionStatus<number> | undefined;
  readonly activity?: QuestionStatus<boolean> | undefined;
  /** What the activity was when there last was an answer. */
  readonly lastActive?: boolean | undefined;
  /** As the newest value saw it; absent in other scopes than workload. */
  readonly workload?: Omit<WorkloadShare, "pods" | "ageMs"> | undefined;
  readonly coverage?: Coverage | undefined;
  /** Milliseconds since 1970: when the oldest reading that counts was taken. */
  readonly dataAtMs?: number | undefined;
  readonly warnings: readonly TriggerWarning[];
  /** Milliseconds since 1970: when KEDA last asked this process. */
  readonly askedAtMs?: number | undefined;
  /** Calls of KEDA that this process refused, by code. */
  readonly refusals: ReadonlyMap<FaultCode, number>;
  /** Oldest first. */
  readonly points: readonly DecisionPoint[];
  /** Oldest first. */
  readonly changes: readonly DecisionChange[];
}

export interface TriggerHistory {
  /** @returns What is different from before. */
  readonly record: (decision: TriggerDecision) => readonly DecisionChange[];
  readonly status: () => TriggerStatus;
  /** By the monotonic clock. */
  readonly recordedAtMs: () => number;
}

export function triggerHistory(ref: WorkloadRef, clock: Clock): TriggerHistory {
  let status: TriggerStatus = { ref, warnings: [], refusals: new Map(), points: [], changes: [] };
  let recordedAtMs = clock.monotonicMs();
  return {
    record: (decision) => {
      recordedAtMs = clock.monotonicMs();
      const atMs = clock.wallMs();
      const next = updated(status, decision, atMs);
      const changes = changesBetween(status, next, atMs);
      status = {
        ...next,
        points: withPoint(status.points, next, atMs),
        changes:
          changes.length === 0
            ? status.changes
            : [...status.changes, ...changes].slice(-decisionChangesMax),
      };
      return changes;
    },
    status: () => status,
    recordedAtMs: () => recordedAtMs,
  };
}

/** The newest answers with this one in its place. */
function updated(status: TriggerStatus, decision: TriggerDecision, atMs: number): TriggerStatus {
  const { trigger, asked, outcome } = decision;
  const base = {
    ...status,
    trigger,
    askedAtMs: asked ? atMs : status.askedAtMs,
  };
  if ("fault" in outcome) {
    const { question, fault } = outcome;
    const refused = refusal(fault, status[question], atMs);
    const refusals = asked ? counted(status.refusals, fault.code) : status.refusals;
    return { ...base, refusals, [question]: { fault: refused } };
  }
  const { question, answer } = outcome;
  const { rule } = answer.explanation;
  if (question === "activity") {
    const { active } = answer;
    return { ...base, activity: { result: active, rule }, lastActive: active };
  }
  return {
    ...base,
    value: { result: answer.value, rule },
    warnings: answer.explanation.warnings ?? [],
    ...explained(answer, atMs),
  };
}

function refusal(
  { code, message }: Fault,
  before: TriggerStatus[Question],
  atMs: number,
): RefusalStatus {
  return { code, message: cut(message), sinceMs: before?.fault?.sinceMs ?? atMs };
}

function counted(
  refusals: TriggerStatus["refusals"],
  code: FaultCode,
): ReadonlyMap<FaultCode, number> {
  return new Map(refusals).set(code, (refusals.get(code) ?? 0) + 1);
}

/** What the page and the metrics show of an explanation; the whole of it is made when it is asked for. */
function explained({ explanation }: Answer, atMs: number) {
  const { workload: share } = explanation;
  const oldestMs = oldestAgeMs(explanation);
  return {
    workload: share && withoutPods(share),
    coverage: share && coverageOf(share),
    dataAtMs: oldestMs === undefined ? undefined : atMs - oldestMs,
  };
}

function withoutPods({ pods: _pods, ageMs: _ageMs, ...rest }: WorkloadShare) {
  return rest;
}

function coverageOf({ pods }: WorkloadShare): Coverage {
  const inState = (state: string) => pods.filter((pod) => pod.state === state).length;
  return {
    counted: inState("counted"),
    missing: inState("missing"),
    warming: inState("warming"),
  };
}

function oldestAgeMs({ devices, engines = [] }: Explanation): number | undefined {
  const ages = [...devices, ...engines].flatMap(({ value, ageMs }) =>
    value === undefined || ageMs === undefined ? [] : [ageMs],
  );
  return ages.length === 0 ? undefined : ages.reduce((one, other) => Math.max(one, other));
}

/** The points with this one: it takes the place of one that began less than ten seconds ago. */
function withPoint(
  points: readonly DecisionPoint[],
  { value, activity, workload }: TriggerStatus,
  nowMs: number,
): readonly DecisionPoint[] {
  const last = points.at(-1);
  const isSame = last !== undefined && nowMs >= last.atMs && nowMs - last.atMs < decisionPointMs;
  const known = value !== undefined && value.fault === undefined;
  const point: DecisionPoint = {
    atMs: isSame ? last.atMs : nowMs,
    value: value?.result,
    active: activity?.result,
    desiredReplicas: known ? workload?.desiredReplicas : undefined,
    replicas: workload?.replicas,
  };
  const kept = isSame ? points.slice(0, -1) : points.slice(1 - decisionPointsMax);
  return [...kept, point];
}

function changesBetween(
  before: TriggerStatus,
  after: TriggerStatus,
  atMs: number,
): readonly DecisionChange[] {
  const change = (kind: DecisionChangeKind, text: string, code?: DecisionChange["code"]) => ({
    atMs,
    kind,
    code,
    text: cut(text),
  });
  const isMissing = (warnings: readonly TriggerWarning[], { code }: TriggerWarning) =>
    warnings.every((other) => other.code !== code);
  return [
    ...refusalChanges(before, after, change, atMs),
    ...scaleChange(before, after, change),
    ...activityChange(before, after, change),
    ...after.warnings
      .filter((warning) => isMissing(before.warnings, warning))
      .map(({ code, message }) => change("warned", message, code)),
    ...before.warnings
      .filter((warning) => isMissing(after.warnings, warning))
      .map(({ code, message }) => change("cleared", `no more: ${message}`, code)),
  ];
}

type MakeChange = (
  kind: DecisionChangeKind,
  text: string,
  code?: DecisionChange["code"],
) => DecisionChange;

/** One line where both questions begin or end to be refused for one cause, as they nearly always are. */
function refusalChanges(
  before: TriggerStatus,
  after: TriggerStatus,
  change: MakeChange,
  atMs: number,
): readonly DecisionChange[] {
  const [was, is] = [refusalOf(before), refusalOf(after)];
  if (was?.code === is?.code) return [];
  if (is !== undefined) return [change("refused", is.message, is.code)];
  if (was === undefined) return [];
  const seconds = Math.round((atMs - was.sinceMs) / 1_000);
  return [change("answered", `answered again after ${seconds} s without (${was.code})`, was.code)];
}

/** Why a trigger has no answer now: that of its value goes first. */
export function refusalOf({ value, activity }: TriggerStatus): RefusalStatus | undefined {
  return value?.fault ?? activity?.fault;
}

function scaleChange(before: TriggerStatus, after: TriggerStatus, change: MakeChange) {
  const was = before.workload?.desiredReplicas;
  const is = after.workload?.desiredReplicas;
  if (after.value?.fault !== undefined || is === undefined || was === is) return [];
  const rule = after.value?.rule ?? "";
  const from = was === undefined ? "" : `, before ${was}`;
  return [change("scaled", `the HPA is asked for ${is} replicas${from}: ${rule}`)];
}

function activityChange(before: TriggerStatus, after: TriggerStatus, change: MakeChange) {
  const { activity } = after;
  if (activity === undefined || activity.fault !== undefined) return [];
  if (activity.result === before.lastActive) return [];
  return [change(activity.result ? "activated" : "deactivated", activity.rule)];
}

function cut(text: string): string {
  return text.length <= decisionTextCharsMax ? text : `${text.slice(0, decisionTextCharsMax)}…`;
}
