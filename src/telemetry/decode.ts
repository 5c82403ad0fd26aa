/**
 * Puts the messages of one NodeTelemetry stream together again.
 *
 * One process hears a thousand nodes a second, so a message costs copies of what changed and of
 * nothing else. What is outside its range is not believed, whoever sends it.
 *
 * @module
 */
import {
  type Device,
  type NodeSnapshot,
  type NodeState,
  type Slice,
  Absence as WireAbsence,
  type Holder as WireHolder,
} from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import {
  type Absence,
  type Absences,
  isPlausible,
  type ReadingName,
  type Readings,
} from "#metric/reading.ts";
import type { DeviceHealth, MigSlice } from "#metric/sample.ts";
import { absencesByNumber, healthByNumber, keysPerDevice, readingsByNumber } from "./numbers.ts";
import type { Holder, NodeReport } from "./report.ts";

type ReportedDevice = NodeReport["devices"][number];

/** A node as one of its agents described it. */
export interface Heard {
  readonly report: NodeReport;
  /** When that agent began, on its node's wall clock. */
  readonly startedAtMs: number;
}

/**
 * Puts one stream's messages together.
 *
 * @returns What is known after each message; `undefined` before the first whole snapshot.
 * @throws {Error} when a message speaks of a device that its stream never named.
 */
export function snapshotDecoder() {
  let heard: Heard | undefined;
  return (snapshot: NodeSnapshot): Heard | undefined => {
    const { state, ageMs, holdersAgeMs } = snapshot;
    const base = state === undefined ? heard : heardState(state);
    if (base === undefined) return undefined;
    const { holdersAgeMs: _earlier, ...facts } = base.report;
    heard = {
      startedAtMs: base.startedAtMs,
      report: {
        ...facts,
        ageMs,
        ...(holdersAgeMs === undefined ? {} : { holdersAgeMs }),
        devices: withColumns(base.report.devices, snapshot),
      },
    };
    return heard;
  };
}

type Mutable<Row> = { -readonly [Key in keyof Row]: Row[Key] };
interface OpenDevice {
  readonly readings: Mutable<Readings>;
  readonly absences: Mutable<Absences>;
}

function withColumns(
  devices: readonly ReportedDevice[],
  { keys, values, absentKeys, absences }: NodeSnapshot,
): readonly ReportedDevice[] {
  if (keys.length !== values.length || absentKeys.length !== absences.length)
    throw new Error("Cannot read a node's snapshot: its columns differ in length");
  const result = [...devices];
  const opened: (OpenDevice | undefined)[] = [];
  // Devices that did not change stay the same objects; the others are copied once a message.
  const open = (key: number): OpenDevice => {
    const position = Math.floor(key / keysPerDevice);
    const already = opened[position];
    if (already !== undefined) return already;
    const device = devices[position];
    if (device === undefined)
      throw new Error(`Cannot read a node's snapshot: it names no device ${position}`);
    const copy = { readings: { ...device.readings }, absences: { ...device.absences } };
    opened[position] = copy;
    result[position] = { ...device, ...copy };
    return copy;
  };
  for (let at = 0; at < keys.length; at += 1) {
    const [key = 0, value = Number.NaN] = [keys[at], values[at]];
    const name = readingsByNumber[key % keysPerDevice];
    if (name === undefined) continue;
    if (isPlausible(name, value)) setReading(open(key), name, value);
    else setAbsence(open(key), name, "implausible");
  }
  for (let at = 0; at < absentKeys.length; at += 1) {
    const key = absentKeys[at] ?? 0;
    const name = readingsByNumber[key % keysPerDevice];
    if (name === undefined) continue;
    setAbsence(open(key), name, absencesByNumber[absences[at] ?? WireAbsence.UNSPECIFIED]);
  }
  return result;
}

/** `delete` is asked for only where there is something: it costs far more than the question. */
function setReading({ readings, absences }: OpenDevice, name: ReadingName, value: number): void {
  readings[name] = value;
  if (absences[name] !== undefined) delete absences[name];
}

function setAbsence(
  { readings, absences }: OpenDevice,
  name: ReadingName,
  absence: Absence | undefined,
): void {
  if (readings[name] !== undefined) delete readings[name];
  if (absence !== undefined) absences[name] = absence;
  else if (absences[name] !== undefined) delete absences[name];
}

function heardState(state: NodeState): Heard {
  const { node, startedAtMs, session, sampleIntervalMs, driverVersion, libraryVersion } = state;
  return {
    startedAtMs: Number(startedAtMs),
    report: {
      name: node,
      session,
      sampleIntervalMs,
      ageMs: 0,
      ...(driverVersion === undefined ? {} : { driverVersion }),
      ...(libraryVersion === undefined ? {} : { libraryVersion }),
      devices: state.devices.map(heardDevice),
    },
  };
}

function heardDevice(device: Device): ReportedDevice {
  const { uuid, index, vendor, model, minor, pciBusId, parentUuid, slice, holders } = device;
  return {
    uuid,
    index,
    vendor,
    model,
    ...(minor === undefined ? {} : { minor }),
    ...(pciBusId === undefined ? {} : { pciBusId }),
    ...(parentUuid === undefined ? {} : { parentUuid }),
    ...(slice === undefined ? {} : { slice: heardSlice(slice) }),
    health: heardHealth(device),
    holders: holders.map(heardHolder),
    readings: {},
    absences: {},
  };
}

/** A health that is not known here is one of a newer agent: not ok, whatever it is. */
function heardHealth({ health, healthReason }: Device): DeviceHealth {
  const state = healthByNumber[health] ?? "failing";
  return state === "ok" ? { state } : { state, reason: healthReason };
}

function heardHolder({ namespace, pod, container, sharedBy }: WireHolder): Holder {
  return { namespace, pod, container, ...(sharedBy === undefined ? {} : { sharedBy }) };
}

function heardSlice({ gpuInstance, computeInstance, profile, placementStart }: Slice): MigSlice {
  return {
    gpuInstance,
    computeInstance,
    ...(profile === undefined ? {} : { profile }),
    ...(placementStart === undefined ? {} : { placementStart }),
  };
}
