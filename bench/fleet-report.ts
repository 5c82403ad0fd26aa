/**
 * What an agent of the simulated fleet reports each second.
 *
 * @module
 */
import type { Readings } from "#metric/reading.ts";
import type { NodeReport } from "#telemetry/report.ts";
import { gpusPerNode, holderOf, powerCycleMs } from "./fleet-plan.ts";

export const sampleIntervalMs = 1_000;

/** A busy H100 with performance monitoring: what moves between two samples moves here. */
function readings(sampledAtMs: number): Readings {
  const wobble = (middle: number, by: number) => Math.round(middle + (Math.random() - 0.5) * by);
  return {
    utilizationPercent: wobble(90, 10),
    memoryUtilizationPercent: wobble(50, 10),
    memoryUsedBytes: 70e9,
    memoryTotalBytes: 80e9,
    temperatureCelsius: wobble(65, 3),
    memoryTemperatureCelsius: wobble(75, 3),
    powerInstantMilliwatts: wobble(600_000, 50_000),
    powerAverageMilliwatts: sampledAtMs % powerCycleMs,
    powerLimitMilliwatts: 700_000,
    energyMillijoules: sampledAtMs,
    smClockMegahertz: wobble(1900, 60),
    memoryClockMegahertz: 2619,
    encoderPercent: 0,
    decoderPercent: 0,
    throttleReasonsMask: 0,
    performanceState: 0,
    eccCorrectedErrors: 0,
    eccUncorrectedErrors: 0,
    nvlinkTxMegabytesPerSecond: wobble(40_000, 9_000),
    nvlinkRxMegabytesPerSecond: wobble(40_000, 9_000),
    smUtilizationPercent: 90 + Math.random(),
    smOccupancyPercent: 40 + Math.random(),
    tensorUtilizationPercent: 30 + Math.random(),
    dramBandwidthPercent: 55 + Math.random(),
  };
}

/** @param first The node's first GPU, counted over all nodes. */
export function fleetReport(node: string, first: number, sampledAtMs: number): NodeReport {
  const devices = Array.from({ length: gpusPerNode }, (_, index) => ({
    uuid: `GPU-${node}-${index}`,
    index,
    minor: index,
    vendor: "nvidia",
    model: "NVIDIA H100 80GB HBM3",
    health: { state: "ok" } as const,
    conditions: [],
    holders: [holderOf(first + index)],
    readings: readings(sampledAtMs),
    absences: {
      pcieTxKilobytesPerSecond: "pending",
      pcieRxKilobytesPerSecond: "pending",
    } as const,
  }));
  return {
    name: node,
    sampleIntervalMs,
    ageMs: 0,
    holdersAgeMs: 0,
    session: 1,
    driverVersion: "570.86.10",
    libraryVersion: "12.570.86.10",
    devices,
  };
}
