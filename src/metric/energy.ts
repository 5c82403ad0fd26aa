/**
 * Energy that a device used, from its samples.
 *
 * @module
 */
import { isPlausible, type Readings } from "./reading.ts";

/** What was read of a device at one instant. */
interface EnergySample {
  /** Of a monotonic clock. */
  readonly atMs: number;
  readonly readings: Readings;
}

/**
 * What a device used between two of its samples, in joules.
 *
 * The difference of the driver's own counter where both samples have it, whatever lies between them. A
 * counter that went back began at 0 after the first sample, so that what it says now was used since.
 * Otherwise the power of the second sample, which stands for the time since the first as the driver's
 * averages do, and never for a gap.
 *
 * @param gapMs Longest time that one reading of power may stand for.
 * @returns `undefined` when it is not known. A counter that says more than any board can draw does not
 * say what was used.
 */
export function joulesBetween(
  before: EnergySample,
  after: EnergySample,
  gapMs: number,
): number | undefined {
  const lengthMs = after.atMs - before.atMs;
  if (lengthMs <= 0) return undefined;
  const counted = countedJoules(before.readings, after.readings);
  if (counted !== undefined && isDrawn(counted, lengthMs)) return counted;
  const milliwatts = powerOf(after.readings);
  return milliwatts === undefined || lengthMs > gapMs ? undefined : (milliwatts * lengthMs) / 1e6;
}

function countedJoules(before: Readings, after: Readings): number | undefined {
  const [from, to] = [before.energyMillijoules, after.energyMillijoules];
  if (from === undefined || to === undefined) return undefined;
  return (to < from ? to : to - from) / 1000;
}

function isDrawn(joules: number, lengthMs: number): boolean {
  return isPlausible("powerAverageMilliwatts", (joules * 1e6) / lengthMs);
}

function powerOf(readings: Readings): number | undefined {
  return readings.powerAverageMilliwatts ?? readings.powerInstantMilliwatts;
}

export interface EnergyMeter {
  /** Takes the next sample of every device that there is. Those that it does not name are forgotten. */
  readonly put: (
    devices: readonly { readonly uuid: string; readonly readings: Readings }[],
    atMs: number,
  ) => void;
  /**
   * What a device used since it was first put; it never falls.
   *
   * @returns `undefined` for a device that tells neither its energy nor its power.
   */
  readonly joules: (uuid: string) => number | undefined;
}

/** @param gapMs Longest time that one reading of power may stand for. */
export function energyMeter(gapMs: number): EnergyMeter {
  let known: ReadonlyMap<string, EnergySample & { readonly joules: number | undefined }> =
    new Map();
  return {
    put: (devices, atMs) => {
      known = new Map(
        devices.map(({ uuid, readings }) => {
          const after = { atMs, readings };
          const before = known.get(uuid);
          const used = before && joulesBetween(before, after, gapMs);
          const sum = used === undefined ? before?.joules : (before?.joules ?? 0) + used;
          return [uuid, { ...after, joules: sum }];
        }),
      );
    },
    joules: (uuid) => known.get(uuid)?.joules,
  };
}
