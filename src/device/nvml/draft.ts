import { type Absence, isPlausible, type ReadingName } from "#metric/reading.ts";

/** One device's sample in the making. */
export interface Draft {
  readonly readings: { [Name in ReadingName]?: number };
  readonly absences: { [Name in ReadingName]?: Absence };
}

export const newDraft = (): Draft => ({ readings: {}, absences: {} });

/**
 * The only way into a sample. A value that cannot be true becomes an absence, unless another source
 * gave one that can.
 */
export function admit(draft: Draft, name: ReadingName, value: number): void {
  if (!isPlausible(name, value)) {
    refuse(draft, [name], "implausible");
    return;
  }
  draft.readings[name] = value;
  if (draft.absences[name] !== undefined) delete draft.absences[name];
}

/** Says why readings are not there; one that another source gave stands. */
export function refuse(draft: Draft, names: readonly ReadingName[], absence: Absence): void {
  for (const name of names) if (draft.readings[name] === undefined) draft.absences[name] = absence;
}
