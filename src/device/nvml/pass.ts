/**
 * One pass over the devices: asks, and judges what comes back.
 *
 * @module
 */
import type { DeviceHealth } from "#metric/sample.ts";
import type { BoundCall } from "./api.ts";
import { type Draft, refuse } from "./draft.ts";
import { absenceOf, explain, judge, type Verdict } from "./return-code.ts";

/** A call that the driver did not answer. */
export interface Refusal {
  readonly symbol: string;
  readonly returnCode: number;
}

/** What one pass over all devices learned about the session. */
export interface Pass {
  /** Calls on devices that succeeded. */
  answered: number;
  /** The first call that the driver refused without saying why. */
  unknown: Refusal | undefined;
}

export const newPass = (): Pass => ({ answered: 0, unknown: undefined });

/** What the driver says about one device, beyond its readings. */
export interface Patient {
  health: DeviceHealth;
  /** The handle was fetched in this pass, so it cannot be what is invalid. */
  isFresh: boolean;
  /** A handle that worked is refused as invalid: the list of devices has changed. */
  isStale: boolean;
  /** The first call of this pass that the driver refused without saying why. */
  unknown: Refusal | undefined;
}

/** How far one device has fallen through a call's symbols; `worked` once the present one did. */
export interface Progress {
  symbol: number;
  worked: boolean;
}

/** Takes readings that need the time. @returns False when the device is gone. */
export type TakeAt = (
  device: number,
  atMs: number,
  draft: Draft,
  patient: Patient,
  pass: Pass,
) => boolean;

const invalidArgument = 2;

/**
 * Takes one call's readings into the draft, or says why not.
 *
 * @returns False when the device is gone, and asking on is pointless.
 * @throws {Fault} `library-failed` when the session is.
 */
export function take(
  call: BoundCall,
  progress: Progress,
  device: number,
  draft: Draft,
  patient: Patient,
  pass: Pass,
): boolean {
  for (;;) {
    const row = call.symbols[progress.symbol];
    if (row === undefined) {
      refuse(draft, call.makes, "unsupported");
      return true;
    }
    const returnCode = row.invoke(device);
    if (returnCode === 0) {
      pass.answered += 1;
      progress.worked = true;
      row.read(draft);
      return true;
    }
    const verdict = heed(row.symbol, returnCode, progress.worked, patient);
    if (verdict === "unsupported") {
      progress.symbol += 1;
      progress.worked = false;
      continue;
    }
    refuse(draft, call.makes, absenceOf(verdict));
    return !isGone(verdict);
  }
}

/**
 * Judges a refusal and notes what it says about the device and the session.
 *
 * @param worked Whether the same call on the same device succeeded before: it cannot have become
 * an unknown one, so an invalid argument is then the handle.
 */
export function heed(
  symbol: string,
  returnCode: number,
  worked: boolean,
  patient: Patient,
): Verdict {
  if (returnCode === invalidArgument && worked && !patient.isFresh) {
    patient.isStale = true;
    return "failed";
  }
  const verdict = judge(symbol, returnCode);
  if (verdict === "unknown") patient.unknown ??= { symbol, returnCode };
  if (verdict === "lost" || verdict === "reset-required" || verdict === "failing")
    patient.health = { state: verdict, reason: explain(symbol, returnCode) };
  return verdict;
}

export function isGone(verdict: Verdict): boolean {
  return verdict === "lost" || verdict === "reset-required";
}
