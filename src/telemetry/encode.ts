/**
 * Turns a node's reports into the messages of one NodeTelemetry stream.
 *
 * A stream starts with a whole snapshot; after that only readings that changed are sent. Measured
 * by `bench/fleet.ts` with 1,000 nodes of 8 GPUs each second, that costs the receiver 0.15 of a
 * core; whole snapshots cost it 0.23.
 *
 * @module
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type NodeSnapshotSchema,
  Absence as WireAbsence,
} from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { readingNames } from "#metric/reading.ts";
import { absenceNumbers, healthNumbers, keysPerDevice, readingNumbers } from "./numbers.ts";
import type { NodeReport, ReportedDevice } from "./report.ts";

type SnapshotInit = Exclude<MessageInitShape<typeof NodeSnapshotSchema>, { $typeName: string }>;

export interface EncoderOptions {
  /** When this agent started, on the wall clock. */
  readonly startedAtMs: number;
  readonly monotonicMs: () => number;
  /** After this a whole snapshot is sent although nothing asks for it. */
  readonly wholeEveryMs: number;
}

/** Makes one stream's messages: `next` knows what it sent before. */
export function snapshotEncoder({ startedAtMs, monotonicMs, wholeEveryMs }: EncoderOptions) {
  let sent: NodeReport | undefined;
  let wholeAtMs = Number.NEGATIVE_INFINITY;
  return (report: NodeReport): SnapshotInit => {
    const nowMs = monotonicMs();
    const isWhole =
      sent === undefined || nowMs - wholeAtMs >= wholeEveryMs || !sameButReadings(sent, report);
    const columns = changedColumns(isWhole ? undefined : sent, report);
    sent = report;
    if (isWhole) wholeAtMs = nowMs;
    const { ageMs, holdersAgeMs } = report;
    // On the wire an absent field is a key that is not there.
    return {
      ageMs: Math.round(ageMs),
      ...(holdersAgeMs === undefined ? {} : { holdersAgeMs: Math.round(holdersAgeMs) }),
      ...(isWhole ? { state: wireState(report, startedAtMs) } : {}),
      ...columns,
    };
  };
}

interface Columns {
  readonly keys: number[];
  readonly values: number[];
  readonly absentKeys: number[];
  readonly absences: WireAbsence[];
}

function changedColumns(sent: NodeReport | undefined, { devices }: NodeReport): Columns {
  const columns: Columns = { keys: [], values: [], absentKeys: [], absences: [] };
  for (const [position, device] of devices.entries())
    addChanges(columns, position * keysPerDevice, sent?.devices[position], device);
  return columns;
}

function addChanges(
  columns: Columns,
  firstKey: number,
  before: ReportedDevice | undefined,
  { readings, absences }: ReportedDevice,
): void {
  for (const name of readingNames) {
    const value = readings[name];
    const valueBefore = before?.readings[name];
    if (value !== undefined) {
      if (value === valueBefore) continue;
      columns.keys.push(firstKey + readingNumbers[name]);
      columns.values.push(value);
      continue;
    }
    const absence = absences[name];
    if (valueBefore === undefined && before?.absences[name] === absence) continue;
    columns.absentKeys.push(firstKey + readingNumbers[name]);
    columns.absences.push(
      absence === undefined ? WireAbsence.UNSPECIFIED : absenceNumbers[absence],
    );
  }
}

function sameButReadings(one: NodeReport, other: NodeReport): boolean {
  return (
    one.name === other.name &&
    one.session === other.session &&
    one.sampleIntervalMs === other.sampleIntervalMs &&
    one.driverVersion === other.driverVersion &&
    one.libraryVersion === other.libraryVersion &&
    one.devices.length === other.devices.length &&
    one.devices.every((device, position) => sameDevice(device, other.devices[position]))
  );
}

function sameDevice(one: ReportedDevice, other: ReportedDevice | undefined): boolean {
  if (other === undefined) return false;
  const { readings, absences, ...identity } = one;
  const { readings: otherReadings, absences: otherAbsences, ...otherIdentity } = other;
  return Bun.deepEquals(identity, otherIdentity);
}

function wireState(report: NodeReport, startedAtMs: number) {
  const { name, session, sampleIntervalMs, driverVersion, libraryVersion, devices } = report;
  return {
    node: name,
    startedAtMs: BigInt(Math.round(startedAtMs)),
    session,
    sampleIntervalMs: Math.round(sampleIntervalMs),
    driverVersion,
    libraryVersion,
    devices: devices.map(({ readings, absences, health, holders, ...identity }) => ({
      ...identity,
      holders: [...holders],
      health: healthNumbers[health.state],
      healthReason: health.state === "ok" ? "" : health.reason,
    })),
  };
}
