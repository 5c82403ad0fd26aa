/**
 * Makes events of problems: of what lasts, of its end, and now and then of what goes on.
 *
 * Nothing waits in a queue. What is due and may not be written yet is due again in the next round, for
 * as long as it is true.
 *
 * @module
 */
import { allowance } from "#core/allowance.ts";
import { assert } from "#core/assert.ts";
import { setNewest } from "#core/bounded-map.ts";
import type { Clock } from "#core/clock.ts";
import {
  eventAfterMs,
  eventKeptMs,
  eventOverMs,
  eventProblemsMax,
  eventRepeatMs,
  eventsPerObject,
  eventsPerRound,
} from "#core/limits.ts";
import type { EventObject, ObjectEvent } from "#kubernetes/events.ts";
import { endReason } from "./event-reasons.ts";
import type { Problem } from "./problems.ts";

export interface ProblemTracker {
  /** Takes everything that is wrong now. */
  readonly observe: (problems: readonly Problem[]) => void;
  /**
   * The events to write now. Each is taken for written, unless it is put back.
   *
   * @param isAnswered Whether a trigger of an object has an answer: without one, nothing has ended.
   */
  readonly due: (isAnswered: (object: EventObject) => boolean) => readonly DueEvent[];
}

export interface DueEvent {
  readonly event: ObjectEvent;
  /** It was not written, and is due again after this time if it is still true then. */
  readonly putBack: (afterMs: number) => void;
}

interface TrackedProblem {
  problem: Problem;
  /** By the monotonic clock: since when this source has it. */
  sinceMs: number;
  /** Since when it is over; absent while it goes on. */
  overSinceMs?: number | undefined;
  /** The last event of it; absent before there was one. */
  event?:
    | { readonly source: string; readonly atMs: number; readonly sent: ObjectEvent }
    | undefined;
  notBeforeMs: number;
}

export function problemTracker(clock: Pick<Clock, "monotonicMs" | "wallMs">): ProblemTracker {
  const tracked = new Map<string, TrackedProblem>();
  const mayWrite = allowance(eventsPerObject, eventProblemsMax, clock);
  const begin = (entry: TrackedProblem): DueEvent => {
    const { event: before, problem } = entry;
    const event = beginEvent(problem, before?.sent, clock.wallMs());
    const atMs = clock.monotonicMs();
    entry.event = { source: problem.source, atMs, sent: event };
    const putBack = (afterMs: number) => {
      entry.event = before;
      entry.notBeforeMs = clock.monotonicMs() + afterMs;
    };
    return { event, putBack };
  };
  const end = (entries: TrackedEntries): DueEvent => {
    for (const [key] of entries) tracked.delete(key);
    const putBack = (afterMs: number) => {
      for (const [key, entry] of entries) {
        entry.notBeforeMs = clock.monotonicMs() + afterMs;
        // What has come back meanwhile is not over.
        if (!tracked.has(key)) setNewest(tracked, key, entry, eventProblemsMax);
      }
    };
    return { event: endEvent(entries, clock.wallMs()), putBack };
  };
  return {
    observe: (problems) => {
      const nowMs = clock.monotonicMs();
      const current = Map.groupBy(problems, keyOf);
      for (const [key, alike] of current) {
        const entry = observed(tracked.get(key), alike, nowMs);
        if (!tracked.has(key)) setNewest(tracked, key, entry, eventProblemsMax);
      }
      for (const [key, entry] of tracked)
        if (!current.has(key) && isForgotten(entry, nowMs)) tracked.delete(key);
    },
    due: (isAnswered) => {
      const nowMs = clock.monotonicMs();
      const room = roomForEvents(mayWrite);
      const begun = [...tracked].filter(([, entry]) => isBeginDue(entry, nowMs));
      const ended = endedTogether([...tracked], nowMs).filter(([[, { problem }]]) =>
        isAnswered(problem.object),
      );
      return [
        ...begun.filter(([, { problem }]) => room(problem.object)).map(([, entry]) => begin(entry)),
        ...ended.filter(([[, { problem }]]) => room(problem.object)).map(end),
      ];
    },
  };
}

type TrackedEntry = readonly [key: string, entry: TrackedProblem];
type TrackedEntries = readonly [TrackedEntry, ...TrackedEntry[]];

function keyOf({ object, code }: Problem): string {
  return `${object.uid} ${code}`;
}

/**
 * The problem as it is now.
 *
 * @param alike It in each trigger that has it: the one that had it before goes first, and another has
 * it for its own time.
 */
function observed(
  entry: TrackedProblem | undefined,
  alike: readonly Problem[],
  nowMs: number,
): TrackedProblem {
  const same = alike.find(({ source }) => source === entry?.problem.source);
  const problem = same ?? alike[0];
  assert(problem !== undefined, "a group has a member");
  if (entry === undefined) return { problem, sinceMs: nowMs, notBeforeMs: nowMs };
  if (same === undefined) entry.sinceMs = nowMs;
  entry.problem = problem;
  entry.overSinceMs = undefined;
  return entry;
}

/** Takes a problem for over. @returns Whether nothing is to be said of it any more. */
function isForgotten(entry: TrackedProblem, nowMs: number): boolean {
  entry.overSinceMs ??= nowMs;
  return entry.event === undefined || nowMs - entry.overSinceMs >= eventKeptMs;
}

function isBeginDue(entry: TrackedProblem, nowMs: number): boolean {
  const { problem, sinceMs, overSinceMs, event, notBeforeMs } = entry;
  if (overSinceMs !== undefined || nowMs - sinceMs < eventAfterMs || nowMs < notBeforeMs)
    return false;
  return event?.source !== problem.source || nowMs - event.atMs >= eventRepeatMs;
}

/** Refusals of an object end together, when none is left; whatever else ends by itself. */
function endedTogether(all: readonly TrackedEntry[], nowMs: number): readonly TrackedEntries[] {
  const groups = Map.groupBy(all, ([key, { problem }]) =>
    isRefusal(problem) ? problem.object.uid : key,
  );
  return [...groups.values()].flatMap(([first, ...others]) =>
    first !== undefined && [first, ...others].every(([, entry]) => isEndDue(entry, nowMs))
      ? [[first, ...others] as const]
      : [],
  );
}

function isRefusal({ reason }: Problem): boolean {
  return endReason(reason) === "TriggerAnswers";
}

function isEndDue({ overSinceMs, notBeforeMs }: TrackedProblem, nowMs: number): boolean {
  return overSinceMs !== undefined && nowMs - overSinceMs >= eventOverMs && nowMs >= notBeforeMs;
}

/** Takes one of the events that a round may have, and one of the object's own. */
function roomForEvents(mayWrite: (uid: string) => boolean): (object: EventObject) => boolean {
  let left: number = eventsPerRound;
  return ({ uid }) => {
    if (left === 0 || !mayWrite(uid)) return false;
    left -= 1;
    return true;
  };
}

function beginEvent(
  { object, code, reason, message }: Problem,
  before: ObjectEvent | undefined,
  nowMs: number,
): ObjectEvent {
  return {
    object,
    type: "Warning",
    reason,
    topic: code,
    message,
    count: (before?.count ?? 0) + 1,
    firstAtMs: before?.firstAtMs ?? nowMs,
    lastAtMs: nowMs,
  };
}

function endEvent(entries: TrackedEntries, nowMs: number): ObjectEvent {
  const [[, { problem }]] = entries;
  const { object, reason, code, message } = problem;
  const times = { count: 1, firstAtMs: nowMs, lastAtMs: nowMs };
  const event = { object, type: "Normal", reason: endReason(reason), ...times } as const;
  if (!isRefusal(problem)) return { ...event, topic: code, message: `No more: ${message}` };
  const codes = entries.map(([, entry]) => entry.problem.code).join(", ");
  return { ...event, topic: "", message: `${answeredAgain(entries)} (${codes})` };
}

function answeredAgain(entries: TrackedEntries): string {
  const sinceMs = Math.min(...entries.map(([, entry]) => entry.sinceMs));
  const overMs = Math.max(...entries.map(([, { overSinceMs = 0 }]) => overSinceMs));
  return `Answered again after ${Math.round((overMs - sinceMs) / 1_000)} s without`;
}
