import type { FleetDevice, FleetView } from "#fleet/view.ts";
import {
  type DeviceMetric,
  type EngineMetric,
  type MetricName,
  metricOf,
} from "#metric/catalogue.ts";
import type { Absence, ReadingName } from "#metric/reading.ts";

/** What one device can say about one metric. */
export type Part = { readonly device: FleetDevice } & (
  | { readonly state: "known"; readonly value: number }
  /** It never has the metric in its present mode, so nobody waits for it. */
  | { readonly state: "unsupported"; readonly reason: string }
  /** Its MIG slices have the metric, and count in its place. */
  | { readonly state: "sliced"; readonly reason: string }
  /** It comes with the next sample. */
  | { readonly state: "pending"; readonly reason: string }
  /** It should be there, and is not. */
  | { readonly state: "missing"; readonly reason: string; readonly sinceMs: number }
);
export type PartOf<State extends Part["state"]> = Part & { readonly state: State };

/** A metric that is asked for, whatever it is read from. */
export interface Wanted {
  readonly metric: MetricName;
  readonly row: DeviceMetric | EngineMetric;
  /** 0: the newest value. */
  readonly windowSeconds: number;
}

/** A metric that is read from devices. */
export interface Asked extends Wanted {
  readonly row: DeviceMetric;
}

/** Each device's part; a GPU that is cut into slices counts only where its slices cannot. */
export function partsOf(devices: readonly FleetDevice[], asked: Asked, view: FleetView): Part[] {
  const parts = devices.map((device) => partOf(device, asked, view));
  const sliced = new Set(
    parts
      .filter(({ state }) => state !== "unsupported")
      .map(({ device }) => `${device.node} ${device.parentUuid}`),
  );
  return parts.map((part): Part => {
    const { device } = part;
    return sliced.has(`${device.node} ${device.uuid}`)
      ? { device, state: "sliced", reason: "its MIG slices count in its place" }
      : part;
  });
}

function partOf(device: FleetDevice, { metric, row, windowSeconds }: Asked, view: FleetView): Part {
  const { health } = device;
  const newest = row.of(device.readings);
  if (newest !== undefined && health.state === "ok") {
    const mean = windowSeconds > 0 ? view.average(device, metric, windowSeconds * 1000) : undefined;
    return { device, state: "known", value: mean ?? newest };
  }
  const gone = absenceOf(device, row);
  if (gone?.absence === "unsupported")
    return { device, state: "unsupported", reason: `has no ${metric}` };
  if (health.state !== "ok") {
    const sinceMs = device.unwellSinceMs ?? device.sampledAtMs;
    return { device, state: "missing", sinceMs, reason: `${health.state}: ${health.reason}` };
  }
  const { absence, reading, sinceMs } = gone ?? {
    absence: "failed",
    reading: row.needs.join(", "),
    sinceMs: device.sampledAtMs,
  };
  const reason = `${reading} is ${absence}`;
  return absence === "pending"
    ? { device, state: "pending", reason }
    : { device, state: "missing", sinceMs, reason };
}

interface Gone {
  readonly absence: Absence;
  readonly reading: ReadingName;
  readonly sinceMs: number;
}

/** Worst first: what will never come decides over what may come. */
const severity = ["unsupported", "not-permitted", "failed", "implausible", "pending"] as const;
const rank = ({ absence }: Gone) => severity.indexOf(absence);

/** Why a metric cannot be made of what a device has; `undefined` when it can. */
function absenceOf(device: FleetDevice, row: DeviceMetric): Gone | undefined {
  const gone = row.needs.flatMap((need) => {
    const own = goneReading(device, need);
    const standIn = row.standIns?.[need];
    if (own === undefined || standIn === undefined) return own ?? [];
    const other = goneReading(device, standIn);
    // Of two that would do, the one that may still come says why, and the later one since when.
    return other === undefined
      ? []
      : {
          ...(rank(other) > rank(own) ? other : own),
          sinceMs: Math.max(own.sinceMs, other.sinceMs),
        };
  });
  const [worst] = gone.toSorted((one, other) => rank(one) - rank(other));
  return worst && { ...worst, sinceMs: Math.min(...gone.map(({ sinceMs }) => sinceMs)) };
}

function goneReading(device: FleetDevice, reading: ReadingName): Gone | undefined {
  if (device.readings[reading] !== undefined) return undefined;
  return {
    reading,
    absence: device.absences[reading] ?? "failed",
    sinceMs: device.absentSinceMs[reading] ?? device.sampledAtMs,
  };
}

/** Those of the catalogue's stand-ins that every one of these devices has. */
export function insteadOf({ row }: Asked, devices: readonly FleetDevice[]): readonly MetricName[] {
  return (row.instead as readonly MetricName[]).filter((name) => {
    const other = metricOf(name);
    return (
      other.source === "device" && devices.every(({ readings }) => other.of(readings) !== undefined)
    );
  });
}
