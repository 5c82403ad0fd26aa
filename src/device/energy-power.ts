/**
 * Power from the growth of each device's energy counter: the mean of the last seconds, where a
 * driver's own reading of power may be one moment of them.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { energyPowerMs } from "#core/limits.ts";
import { isPlausible } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";
import type { Collection, Collector } from "./collector.ts";

/** A counter's value, and when it was read. */
interface Count {
  readonly millijoules: number;
  readonly atMs: number;
}

/** The collector, with `powerFromEnergyMilliwatts` of every device that counts its energy. */
export function withPowerFromEnergy(
  collector: Collector,
  { monotonicMs }: Pick<Clock, "monotonicMs">,
): Collector {
  /** By device, oldest first: none that a mean does not need. */
  let counts: ReadonlyMap<string, readonly Count[]> = new Map();
  let session: number | undefined;

  const extend = (collection: Collection, atMs: number): Collection => {
    // Between two sessions the driver may have been loaded anew, and counted from 0 past the old count.
    if (collection.session !== session) counts = new Map();
    session = collection.session;
    const latest = new Map<string, readonly Count[]>();
    const devices = collection.devices.map((device) => {
      const { uuid, readings } = device;
      const millijoules = readings.energyMillijoules;
      if (readings.powerFromEnergyMilliwatts !== undefined || makesItself(device)) return device;
      if (millijoules === undefined) return withoutPower(device);
      const kept = countsUntil({ millijoules, atMs }, counts.get(uuid) ?? []);
      latest.set(uuid, kept);
      return withPower(device, kept);
    });
    counts = latest;
    return { ...collection, devices };
  };

  return {
    ...collector,
    collect: (demand) => {
      const atMs = monotonicMs();
      const collection = collector.collect(demand);
      return collection instanceof Promise
        ? collection.then((one) => extend(one, atMs))
        : extend(collection, atMs);
    },
  };
}

/** Some collectors know better when their counter was read, and then say why the power is not there. */
function makesItself({ absences: { powerFromEnergyMilliwatts: absence } }: DeviceSample): boolean {
  return absence === "pending" || absence === "implausible";
}

/** With those before it that the mean needs: a counter that went back began anew. */
function countsUntil(newest: Count, before: readonly Count[]): readonly Count[] {
  const last = before.at(-1);
  if (last === undefined || newest.millijoules < last.millijoules) return [newest];
  const isOld = ({ atMs }: Count) => newest.atMs - atMs > energyPowerMs;
  // The newest of the old ones begins the mean, so that it spans all of the time.
  const begin = before.findLastIndex(isOld);
  return [...before.slice(Math.max(begin, 0)), newest];
}

function withPower(device: DeviceSample, counts: readonly Count[]): DeviceSample {
  const [first, last] = [counts[0], counts.at(-1)];
  const spanMs = first === undefined || last === undefined ? 0 : last.atMs - first.atMs;
  if (first === undefined || last === undefined || spanMs <= 0)
    return { ...device, absences: { ...device.absences, powerFromEnergyMilliwatts: "pending" } };
  const milliwatts = ((last.millijoules - first.millijoules) / spanMs) * 1000;
  // Every chip draws something: a counter that stands still is one that the driver does not count up.
  if (milliwatts === 0 || !isPlausible("powerFromEnergyMilliwatts", milliwatts))
    return {
      ...device,
      absences: { ...device.absences, powerFromEnergyMilliwatts: "implausible" },
    };
  const { powerFromEnergyMilliwatts: _absent, ...absences } = device.absences;
  const readings = { ...device.readings, powerFromEnergyMilliwatts: milliwatts };
  return { ...device, readings, absences };
}

/** It is absent as the counter is. */
function withoutPower(device: DeviceSample): DeviceSample {
  const { energyMillijoules: absence = "failed" } = device.absences;
  return { ...device, absences: { ...device.absences, powerFromEnergyMilliwatts: absence } };
}
