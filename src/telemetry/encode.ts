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
import { healthReasonCharsMax } from "#core/limits.ts";
import {
  Health,
  type NodeSnapshotSchema,
  Reading,
  Use,
  Absence as WireAbsence,
  ConditionKind as WireCondition,
} from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { type UseName, useNames } from "#metric/device-use.ts";
import { type Absence, type ReadingName, readingNames } from "#metric/reading.ts";
import type { ConditionKind, DeviceHealth } from "#metric/sample.ts";
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
      absentAgesMs: isWhole ? absentAges(report) : [],
      deviceUses: deviceUses(report),
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

/** For each absent reading in the order of the columns. */
function absentAges({ devices, lackingAges }: NodeReport): number[] {
  if (lackingAges === undefined) return [];
  return devices.flatMap(({ uuid, readings, absences }) => {
    const absent = readingNames.filter(
      (name) => readings[name] === undefined && absences[name] !== undefined,
    );
    return absent.map((name) => wireAge(lackingAges.get(uuid)?.absent[name] ?? 0));
  });
}

/** Every one: they change with every sample, and only shared devices have them. */
function deviceUses({ devices }: NodeReport) {
  return devices.flatMap(({ uses = {} }, position) =>
    useNames.flatMap((name) => {
      const shares = uses[name];
      if (shares === undefined) return [];
      const [podUids, parts] = [[...shares.keys()], [...shares.values()]];
      return [{ position, use: useNumbers[name], podUids, parts }];
    }),
  );
}

function wireAge(ageMs: number): number {
  return Math.min(Math.max(Math.round(ageMs), 0), 2 ** 32 - 1);
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
  return Bun.deepEquals(saidWhole(one), saidWhole(other));
}

/** What only a whole snapshot says. */
function saidWhole({ readings, absences, uses, xidCounts, ...said }: ReportedDevice) {
  return said;
}

function wireState(report: NodeReport, startedAtMs: number) {
  const { name, session, sampleIntervalMs, driverVersion, libraryVersion, devices } = report;
  const unwellAge = (uuid: string) => {
    const ageMs = report.lackingAges?.get(uuid)?.unwell;
    return ageMs === undefined ? undefined : wireAge(ageMs);
  };
  return {
    node: name,
    startedAtMs: BigInt(Math.round(startedAtMs)),
    session,
    sampleIntervalMs: Math.round(sampleIntervalMs),
    driverVersion,
    libraryVersion,
    devices: devices.map(saidWhole).map(({ health, holders, conditions, ...identity }) => ({
      ...identity,
      holders: [...holders],
      conditions: conditions.map(({ kind, detail }) => ({
        kind: conditionNumbers[kind],
        detail: detail.slice(0, healthReasonCharsMax),
      })),
      health: healthNumbers[health.state],
      healthReason: health.state === "ok" ? "" : health.reason.slice(0, healthReasonCharsMax),
      unwellAgeMs: unwellAge(identity.uuid),
    })),
  };
}

/**
 * `NodeSnapshot.keys` hold the device's position times this, plus the number of the reading. A number
 * of a reading, an absence, a health or a condition is never given a new meaning.
 */
export const keysPerDevice = 64;

export const readingNumbers = {
  utilizationPercent: Reading.UTILIZATION_PERCENT,
  memoryUtilizationPercent: Reading.MEMORY_UTILIZATION_PERCENT,
  memoryUsedBytes: Reading.MEMORY_USED_BYTES,
  memoryTotalBytes: Reading.MEMORY_TOTAL_BYTES,
  temperatureCelsius: Reading.TEMPERATURE_CELSIUS,
  memoryTemperatureCelsius: Reading.MEMORY_TEMPERATURE_CELSIUS,
  powerInstantMilliwatts: Reading.POWER_INSTANT_MILLIWATTS,
  powerAverageMilliwatts: Reading.POWER_AVERAGE_MILLIWATTS,
  powerLimitMilliwatts: Reading.POWER_LIMIT_MILLIWATTS,
  energyMillijoules: Reading.ENERGY_MILLIJOULES,
  smClockMegahertz: Reading.SM_CLOCK_MEGAHERTZ,
  memoryClockMegahertz: Reading.MEMORY_CLOCK_MEGAHERTZ,
  encoderPercent: Reading.ENCODER_PERCENT,
  decoderPercent: Reading.DECODER_PERCENT,
  throttleReasonsMask: Reading.THROTTLE_REASONS_MASK,
  performanceState: Reading.PERFORMANCE_STATE,
  eccCorrectedErrors: Reading.ECC_CORRECTED_ERRORS,
  eccUncorrectedErrors: Reading.ECC_UNCORRECTED_ERRORS,
  pcieTxKilobytesPerSecond: Reading.PCIE_TX_KILOBYTES_PER_SECOND,
  pcieRxKilobytesPerSecond: Reading.PCIE_RX_KILOBYTES_PER_SECOND,
  nvlinkTxMegabytesPerSecond: Reading.NVLINK_TX_MEGABYTES_PER_SECOND,
  nvlinkRxMegabytesPerSecond: Reading.NVLINK_RX_MEGABYTES_PER_SECOND,
  smUtilizationPercent: Reading.SM_UTILIZATION_PERCENT,
  smOccupancyPercent: Reading.SM_OCCUPANCY_PERCENT,
  tensorUtilizationPercent: Reading.TENSOR_UTILIZATION_PERCENT,
  dramBandwidthPercent: Reading.DRAM_BANDWIDTH_PERCENT,
  fp16UtilizationPercent: Reading.FP16_UTILIZATION_PERCENT,
  fp32UtilizationPercent: Reading.FP32_UTILIZATION_PERCENT,
  fp64UtilizationPercent: Reading.FP64_UTILIZATION_PERCENT,
  jpegPercent: Reading.JPEG_PERCENT,
  ofaPercent: Reading.OFA_PERCENT,
  powerFromEnergyMilliwatts: Reading.POWER_FROM_ENERGY_MILLIWATTS,
} as const satisfies Record<ReadingName, Reading>;

const useNumbers = {
  smPercent: Use.SM,
  memoryPercent: Use.MEMORY_BANDWIDTH,
  encoderPercent: Use.ENCODER,
  decoderPercent: Use.DECODER,
  memoryUsedBytes: Use.MEMORY,
} as const satisfies Record<UseName, Use>;

const absenceNumbers = {
  unsupported: WireAbsence.UNSUPPORTED,
  "not-permitted": WireAbsence.NOT_PERMITTED,
  failed: WireAbsence.FAILED,
  implausible: WireAbsence.IMPLAUSIBLE,
  pending: WireAbsence.PENDING,
} as const satisfies Record<Absence, WireAbsence>;

const healthNumbers = {
  ok: Health.OK,
  lost: Health.LOST,
  "reset-required": Health.RESET_REQUIRED,
  failing: Health.FAILING,
} as const satisfies Record<DeviceHealth["state"], Health>;

const conditionNumbers = {
  "xid-hardware": WireCondition.XID_HARDWARE,
  "xid-application": WireCondition.XID_APPLICATION,
  "ecc-uncorrected": WireCondition.ECC_UNCORRECTED,
  "row-remap-pending": WireCondition.ROW_REMAP_PENDING,
  "row-remap-failed": WireCondition.ROW_REMAP_FAILED,
  "recovery-action": WireCondition.RECOVERY_ACTION,
  "thermal-slowdown": WireCondition.THERMAL_SLOWDOWN,
  "hardware-slowdown": WireCondition.HARDWARE_SLOWDOWN,
  "power-brake": WireCondition.POWER_BRAKE,
} as const satisfies Record<ConditionKind, WireCondition>;

function inverse<Name extends string>(numbers: Readonly<Record<Name, number>>) {
  const names: (Name | undefined)[] = [];
  for (const name of Object.keys(numbers) as Name[]) names[numbers[name]] = name;
  return names;
}
export const readingsByNumber = inverse(readingNumbers);
export const usesByNumber = inverse(useNumbers);
export const absencesByNumber = inverse(absenceNumbers);
export const healthByNumber = inverse(healthNumbers);
export const conditionsByNumber = inverse(conditionNumbers);
