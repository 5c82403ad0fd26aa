/**
 * The first reduction: the devices of a replica, a node or the cluster into one value.
 *
 * @module
 */
import { assert } from "#core/assert.ts";
import { Fault } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import type { FleetDevice } from "#fleet/view.ts";
import { type MetricName, metricOf } from "#metric/catalogue.ts";
import { type ReducerName, reducers } from "#metric/reduce.ts";
import { type DeviceResult, deviceText } from "./device-result.ts";
import { listed } from "./explanation.ts";
import type { DeviceQuery } from "./query.ts";

/** A device or an agent that should count and cannot now. */
export interface MissingSource {
  /** For people. */
  readonly name: string;
  readonly reason: string;
  /** Absent where it comes with the next sample. */
  readonly sinceMs?: number;
}

/** Devices that are reduced to one value. */
export interface DeviceSet {
  /** For people. */
  readonly where: string;
  readonly results: readonly DeviceResult[];
  /** Agents that cannot be heard, behind whom there may be any number of devices. */
  readonly missingAgents?: readonly MissingSource[];
}

export interface DeviceReduction {
  readonly knownCount: number;
  readonly missing: readonly MissingSource[];
  /** Of what is known, whatever is missing; absent when nothing is known. */
  readonly partial: number | undefined;
  /** Absent when `obstacle` says why. */
  readonly value: number | undefined;
  /** The rule by which there is no value. */
  readonly obstacle: string | undefined;
}

/** @throws {Fault} `metric-unsupported` where no device has the metric and none is waited for. */
export function reduceDevices(
  { where, results, missingAgents = [] }: DeviceSet,
  query: DeviceQuery,
  nowMs: number,
): DeviceReduction {
  const known = results.flatMap((result) => (result.state === "known" ? [result.value] : []));
  const missing = [...missingAgents, ...results.flatMap((result) => missingSource(result) ?? [])];
  const knownCount = known.length;
  if (knownCount + missing.length === 0) throw unsupported(results, query, where);
  const partial = reduced(known, query.trigger.aggregation);
  const obstacle = obstacleOf(knownCount, missing, nowMs);
  const value = obstacle === undefined ? partial : undefined;
  return { knownCount, missing, partial, value, obstacle };
}

function missingSource(result: DeviceResult): MissingSource | undefined {
  const { state, device } = result;
  if (state === "pending") return { name: deviceText(device), reason: result.reason };
  return state === "missing"
    ? { name: deviceText(device), reason: result.reason, sinceMs: result.sinceMs }
    : undefined;
}

function reduced(known: readonly number[], aggregation: ReducerName): number | undefined {
  const [first, ...rest] = known;
  if (first === undefined) return undefined;
  const value = reducers[aggregation]([first, ...rest]);
  assert(Number.isFinite(value), `${aggregation} of plausible readings is finite`);
  return value;
}

/**
 * While a device is missing and may come back there is no value. One that has been missing for
 * longer than the grace is left out, so that one broken device cannot block scaling in for ever,
 * unless that leaves fewer than half.
 */
function obstacleOf(
  knownCount: number,
  missing: readonly MissingSource[],
  nowMs: number,
): string | undefined {
  const isAwaited = ({ sinceMs }: MissingSource) =>
    sinceMs === undefined || nowMs - sinceMs <= missingGraceMs;
  if (missing.some(isAwaited))
    return `a device that goes missing is waited for ${missingGraceMs / 1_000} s`;
  return knownCount === 0 || knownCount < missing.length
    ? "at least half of the devices must be known"
    : undefined;
}

/** No device here will ever have the metric. */
export function unsupported(
  results: readonly DeviceResult[],
  query: DeviceQuery,
  where: string,
): Fault {
  const devices = results.map(({ device }) => device);
  const names = devices.map(deviceText);
  const instead = insteadOf(query, devices);
  const advice =
    instead.length > 0
      ? `use metricType ${instead.join(" or ")} instead`
      : "choose another metricType; none of its replacements is read there";
  return new Fault(
    "metric-unsupported",
    `Cannot answer ${query.metric} for ${where}: ` +
      `${listed(names)} ${names.length === 1 ? "does" : "do"} not support it; ${advice}`,
    { metric: query.metric, devices: names },
  );
}

/** Those of the catalogue's replacements that every one of these devices has. */
function insteadOf({ row }: DeviceQuery, devices: readonly FleetDevice[]): readonly MetricName[] {
  return (row.instead as readonly MetricName[]).filter((name) => {
    const other = metricOf(name);
    return (
      other.source === "device" && devices.every(({ readings }) => other.of(readings) !== undefined)
    );
  });
}

/** Each that is missing and why, for people. */
export function missingTexts({ missing }: DeviceReduction): readonly string[] {
  return missing.map(({ name, reason }) => `${name}: ${reason}`);
}
