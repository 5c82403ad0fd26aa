/**
 * Turns the messages of one NodeTelemetry stream back into reports.
 *
 * One process reads the messages of a thousand nodes each second, so a message costs copies of what
 * changed and of nothing else. What is outside its range is not believed, whoever sends it.
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
import type { UseName, UseShares } from "#metric/device-use.ts";
import {
  type Absence,
  type Absences,
  isPlausible,
  type ReadingName,
  type Readings,
} from "#metric/reading.ts";
import type { DeviceCondition, DeviceHealth, MigSlice } from "#metric/sample.ts";
import type { DeviceSince } from "#metric/since.ts";
import { checkState, checkUse, invalidReport } from "./check.ts";
import {
  absencesByNumber,
  conditionsByNumber,
  healthByNumber,
  keysPerDevice,
  readingsByNumber,
  usesByNumber,
} from "./encode.ts";
import type { AgentReport, Holder, NodeReport, ReportedDevice } from "./report.ts";

/**
 * Decodes one stream's messages in their order.
 *
 * @returns What is known after each message; `undefined` before the first whole snapshot.
 * @throws {Fault} `report-invalid` when a message breaks a limit or speaks of a device that its
 * stream never named.
 */
export function snapshotDecoder() {
  let known: AgentReport | undefined;
  return (snapshot: NodeSnapshot): AgentReport | undefined => {
    const { state, ageMs, holdersAgeMs } = snapshot;
    const base = state === undefined ? known : stateReport(state);
    if (base === undefined) return undefined;
    const { startedAtMs, report } = base;
    const devices = withColumns(report, snapshot);
    const lackingAges = state && lackingAgesOf(state, snapshot);
    known = { startedAtMs, report: { ...report, ageMs, holdersAgeMs, devices, lackingAges } };
    if (snapshot.deviceUses.length === 0) return known;
    return { startedAtMs, report: { ...known.report, devices: withUses(known.report, snapshot) } };
  };
}

type Mutable<Row> = { -readonly [Key in keyof Row]: Row[Key] };
interface ChangedDevice {
  readonly readings: Mutable<Readings>;
  readonly absences: Mutable<Absences>;
}

function withColumns(
  { name: node, devices }: Pick<NodeReport, "name" | "devices">,
  { keys, values, absentKeys, absences }: NodeSnapshot,
): readonly ReportedDevice[] {
  if (keys.length !== values.length || absentKeys.length !== absences.length)
    throw invalidReport(
      node,
      `its columns must be of one length, got ${keys.length} keys with ${values.length} values and ` +
        `${absentKeys.length} absent keys with ${absences.length} absences`,
    );
  const [changes, most] = [keys.length + absentKeys.length, devices.length * keysPerDevice];
  if (changes > most)
    throw invalidReport(node, `keys must be at most ${most} for its devices, got ${changes}`);
  const result = [...devices];
  const changed: (ChangedDevice | undefined)[] = [];
  // Devices that did not change stay the same objects; the others are copied once a message.
  const deviceOf = (key: number): ChangedDevice => {
    const position = Math.floor(key / keysPerDevice);
    const already = changed[position];
    if (already !== undefined) return already;
    const device = devices[position];
    if (device === undefined)
      throw invalidReport(
        node,
        `keys must be of its ${devices.length} devices, got one of device ${position}`,
      );
    const copy = { readings: { ...device.readings }, absences: { ...device.absences } };
    changed[position] = copy;
    result[position] = { ...device, ...copy };
    return copy;
  };
  for (let at = 0; at < keys.length; at += 1) {
    const [key = 0, value = Number.NaN] = [keys[at], values[at]];
    const name = readingsByNumber[key % keysPerDevice];
    if (name === undefined) continue;
    if (isPlausible(name, value)) setReading(deviceOf(key), name, value);
    else setAbsence(deviceOf(key), name, "implausible");
  }
  for (let at = 0; at < absentKeys.length; at += 1) {
    const key = absentKeys[at] ?? 0;
    const name = readingsByNumber[key % keysPerDevice];
    if (name === undefined) continue;
    setAbsence(deviceOf(key), name, absencesByNumber[absences[at] ?? WireAbsence.UNSPECIFIED]);
  }
  return result;
}

/** Of this message alone: the next one's are others. */
function withUses(
  { name: node, devices }: Pick<NodeReport, "name" | "devices">,
  { deviceUses }: NodeSnapshot,
): readonly ReportedDevice[] {
  const uses = new Map<number, { [Name in UseName]?: UseShares[Name] }>();
  for (const use of deviceUses) {
    checkUse(use, node, devices.length);
    const name = usesByNumber[use.use];
    if (name === undefined) continue;
    const shares = use.podUids.map((uid, at) => [uid, use.parts[at] ?? 0] as const);
    uses.set(use.position, { ...uses.get(use.position), [name]: new Map(shares) });
  }
  return devices.map((device, position) => {
    const own = uses.get(position);
    return own === undefined ? device : { ...device, uses: own };
  });
}

/** Nothing from an agent that does not send them. */
function lackingAgesOf(
  { devices }: NodeState,
  { absentKeys, absentAgesMs }: NodeSnapshot,
): ReadonlyMap<string, DeviceSince> | undefined {
  if (absentAgesMs.length === 0 && devices.every(({ unwellAgeMs }) => unwellAgeMs === undefined))
    return undefined;
  const ages = devices.map(({ unwellAgeMs }) => ({
    unwell: unwellAgeMs,
    absent: {} as { [Name in ReadingName]?: number },
  }));
  for (const [at, ageMs] of absentAgesMs.entries()) {
    const key = absentKeys[at] ?? 0;
    const name = readingsByNumber[key % keysPerDevice];
    const device = ages[Math.floor(key / keysPerDevice)];
    if (name !== undefined && device !== undefined) device.absent[name] = ageMs;
  }
  return new Map(devices.map(({ uuid }, position) => [uuid, ages[position] ?? { absent: {} }]));
}

/** `delete` costs far more than a look-up, so it is done only where there is something. */
function setReading({ readings, absences }: ChangedDevice, name: ReadingName, value: number): void {
  readings[name] = value;
  if (absences[name] !== undefined) delete absences[name];
}

function setAbsence(
  { readings, absences }: ChangedDevice,
  name: ReadingName,
  absence: Absence | undefined,
): void {
  if (readings[name] !== undefined) delete readings[name];
  if (absence !== undefined) absences[name] = absence;
  else if (absences[name] !== undefined) delete absences[name];
}

/** What a whole snapshot says beside its ages and readings. */
function stateReport(state: NodeState) {
  checkState(state);
  const { node: name, startedAtMs, session, sampleIntervalMs } = state;
  const { driverVersion, libraryVersion } = state;
  const devices = state.devices.map(reportedDevice);
  return {
    startedAtMs: Number(startedAtMs),
    report: { name, session, sampleIntervalMs, driverVersion, libraryVersion, devices },
  };
}

function reportedDevice(device: Device): ReportedDevice {
  const { uuid, index, vendor, model, minor, pciBusId, parentUuid, slice, holders } = device;
  return {
    uuid,
    index,
    vendor,
    model,
    minor,
    pciBusId,
    parentUuid,
    slice: slice && migSlice(slice),
    health: deviceHealth(device),
    conditions: deviceConditions(device),
    holders: holders.map(holder),
    readings: {},
    absences: {},
  };
}

/** A health that is not known here is one of a newer agent: not ok, whatever it is. */
function deviceHealth({ health, healthReason }: Device): DeviceHealth {
  const state = healthByNumber[health] ?? "failing";
  return state === "ok" ? { state } : { state, reason: healthReason };
}

/** A kind that is not known here is one of a newer agent, and nothing here could say it. */
function deviceConditions({ conditions }: Device): readonly DeviceCondition[] {
  const known = new Map<string, DeviceCondition>();
  for (const { kind: number, detail } of conditions) {
    const kind = conditionsByNumber[number];
    if (kind !== undefined) known.set(kind, { kind, detail });
  }
  return [...known.values()];
}

function holder({ namespace, pod, container, sharedBy }: WireHolder): Holder {
  return { namespace, pod, container, sharedBy };
}

function migSlice({ gpuInstance, computeInstance, profile, placementStart }: Slice): MigSlice {
  return { gpuInstance, computeInstance, profile, placementStart };
}
