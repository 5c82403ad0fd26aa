/**
 * Since when what is not known of a device has not been known.
 *
 * @module
 */
import type { Absences, ReadingName } from "./reading.ts";
import type { DeviceSample } from "./sample.ts";

/** Times, or ages where the name of what holds it says so; in ms. */
export interface DeviceSince {
  /** Its health; absent while it is ok. */
  readonly unwell?: number | undefined;
  readonly absent: { readonly [Name in ReadingName]?: number };
}

/** What was so before began then; the rest begins at `atMs`. */
export function deviceSince(
  { health, absences }: Pick<DeviceSample, "health" | "absences">,
  before: DeviceSince | undefined,
  atMs: number,
): DeviceSince {
  const absent: { [Name in ReadingName]?: number } = {};
  for (const name of Object.keys(absences) as (keyof Absences)[])
    absent[name] = before?.absent[name] ?? atMs;
  return { unwell: health.state === "ok" ? undefined : (before?.unwell ?? atMs), absent };
}
