/**
 * The numbers by which readings, absences and health travel. A number is never given a new meaning.
 *
 * @module
 */
import { Health, Reading, Absence as WireAbsence } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { Absence, ReadingName } from "#metric/reading.ts";
import type { DeviceHealth } from "#metric/sample.ts";

/** `NodeSnapshot.keys` hold the device's position times this, plus the number of the reading. */
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
} as const satisfies Record<ReadingName, Reading>;

export const absenceNumbers = {
  unsupported: WireAbsence.UNSUPPORTED,
  "not-permitted": WireAbsence.NOT_PERMITTED,
  failed: WireAbsence.FAILED,
  implausible: WireAbsence.IMPLAUSIBLE,
  pending: WireAbsence.PENDING,
} as const satisfies Record<Absence, WireAbsence>;

export const healthNumbers = {
  ok: Health.OK,
  lost: Health.LOST,
  "reset-required": Health.RESET_REQUIRED,
  failing: Health.FAILING,
} as const satisfies Record<DeviceHealth["state"], Health>;

function inverse<Name extends string>(numbers: Readonly<Record<Name, number>>) {
  const names: (Name | undefined)[] = [];
  for (const name of Object.keys(numbers) as Name[]) names[numbers[name]] = name;
  return names;
}
export const readingsByNumber = inverse(readingNumbers);
export const absencesByNumber = inverse(absenceNumbers);
export const healthByNumber = inverse(healthNumbers);
