/**
 * What several sources of one device's readings give together.
 *
 * @module
 */
import { type Absence, type Absences, isWithin, type ReadingName } from "#metric/reading.ts";
import type { DeviceCall, DevicePass, MadeReading, SourceResult } from "./device-call.ts";
import { isGone, type Refusal } from "./return-code.ts";

export interface SourcesResult {
  readonly readings: { readonly [Name in ReadingName]?: number };
  readonly absences: { readonly [Name in ReadingName]?: Absence };
  /** Calls that succeeded. */
  readonly answered: number;
  readonly refusals: readonly Refusal[];
  /** No more calls were made then, and the readings are worth nothing. */
  readonly isDeviceGone: boolean;
  /** Every call was due, those too that are made seldom. */
  readonly isComplete: boolean;
}

/** The result of all sources in the making. */
export interface Joined extends SourcesResult {
  readonly readings: { [Name in ReadingName]?: number };
  readonly absences: { [Name in ReadingName]?: Absence };
  answered: number;
  readonly refusals: Refusal[];
  isDeviceGone: boolean;
  /** So that a device that has everything costs no look-ups. */
  hasAbsences: boolean;
}

/** @param absences Of readings that no source is known to make. */
export function newJoined(isComplete: boolean, absences: Absences = {}): Joined {
  return {
    readings: {},
    absences: { ...absences },
    answered: 0,
    refusals: [],
    isDeviceGone: false,
    hasAbsences: Object.keys(absences).length > 0,
    isComplete,
  };
}

/** Adds what one more source gave. */
export function join(joined: Joined, result: SourceResult): void {
  joinOutcomes(joined, result);
  joined.answered += result.answered;
  if (result.refusals.length === 0) return;
  joined.refusals.push(...result.refusals);
  joined.isDeviceGone = result.refusals.some(isGone);
}

export function joinAll(joined: Joined, calls: readonly DeviceCall[], pass: DevicePass): void {
  for (const call of calls) if (!joined.isDeviceGone) join(joined, call.read(pass));
}

/** What is not read now, and could be. */
export function joinPending(joined: Joined, calls: readonly DeviceCall[]): void {
  for (const { makes, isSupported } of calls)
    if (isSupported()) for (const made of makes) put(joined, made, "pending");
}

export function joinOutcomes(joined: Joined, { makes, outcomes }: SourceResult): void {
  for (let at = 0; at < outcomes.length; at += 1) {
    const made = makes[at];
    const outcome = outcomes[at];
    if (made !== undefined && outcome !== undefined) put(joined, made, outcome);
  }
}

/**
 * The only way into a sample. A value that cannot be true becomes an absence, and an absence gives
 * way to the reading of another source.
 */
function put(joined: Joined, made: MadeReading, outcome: number | Absence): void {
  const { readings, absences } = joined;
  const { name } = made;
  if (typeof outcome === "number" && isWithin(made, outcome)) {
    readings[name] = outcome;
    if (joined.hasAbsences && absences[name] !== undefined) delete absences[name];
  } else if (readings[name] === undefined) {
    absences[name] = typeof outcome === "number" ? "implausible" : outcome;
    joined.hasAbsences = true;
  }
}
