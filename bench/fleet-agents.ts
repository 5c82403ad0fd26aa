/**
 * Simulated agents for `bench/fleet.ts`: real NodeTelemetry servers, one port each, 8 GPUs each.
 *
 * Arguments: how many agents, and every how many ms a whole snapshot is sent. Prints the ports as
 * one line of JSON when all listen. `energyMillijoules` of the first GPU carries the time of the
 * sample on the machine's monotonic clock, from which the receiver learns the true age.
 *
 * @module
 */
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { systemClock } from "#core/clock.ts";
import type { Collection } from "#device/collector.ts";
import type { Readings } from "#metric/reading.ts";
import { nodeReports } from "#node/reports.ts";
import { nodeTelemetryRoutes } from "#node/telemetry.ts";

const gpusPerNode = 8;
const sampleIntervalMs = 1_000;
const clock = systemClock();

/** A busy H100 with performance monitoring: what moves between two samples moves here. */
function readings(nowMs: number): Readings {
  const wobble = (middle: number, by: number) => Math.round(middle + (Math.random() - 0.5) * by);
  return {
    utilizationPercent: wobble(90, 10),
    memoryUtilizationPercent: wobble(50, 10),
    memoryUsedBytes: 70e9,
    memoryTotalBytes: 80e9,
    temperatureCelsius: wobble(65, 3),
    memoryTemperatureCelsius: wobble(75, 3),
    powerInstantMilliwatts: wobble(600_000, 50_000),
    powerAverageMilliwatts: wobble(600_000, 50_000),
    powerLimitMilliwatts: 700_000,
    energyMillijoules: nowMs,
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

function collection(node: string): Collection {
  const nowMs = clock.monotonicMs();
  const devices = Array.from({ length: gpusPerNode }, (_, index) => ({
    uuid: `GPU-${node}-${index}`,
    index,
    minor: index,
    vendor: "nvidia",
    model: "NVIDIA H100 80GB HBM3",
    health: { state: "ok" } as const,
    readings: readings(nowMs),
    absences: {
      pcieTxKilobytesPerSecond: "pending",
      pcieRxKilobytesPerSecond: "pending",
    } as const,
  }));
  return { session: 1, driverVersion: "570.86.10", libraryVersion: "12.570.86.10", devices };
}

async function agent(name: string, wholeEveryMs: number): Promise<number> {
  const reports = nodeReports({ name, sampleIntervalMs, clock, log: () => {} });
  const routes = nodeTelemetryRoutes({
    source: reports,
    clock,
    startedAtMs: clock.wallMs(),
    draining: new AbortController().signal,
    wholeEveryMs,
  });
  const server = createServer(connectNodeAdapter({ routes }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  clock.after(Math.random() * sampleIntervalMs, () => {
    clock.every(sampleIntervalMs, () => reports.put(collection(name), clock.monotonicMs()));
  });
  return (server.address() as AddressInfo).port;
}

const [count = 10, wholeEveryMs = 30_000] = process.argv.slice(2).map(Number);
const names = Array.from({ length: count }, (_, node) => `node-${process.pid}-${node}`);
const ports = await Promise.all(names.map((name) => agent(name, wholeEveryMs)));
process.stdout.write(`${JSON.stringify(ports)}\n`);
