/**
 * Simulated agents for `bench/fleet.ts`: one port each, 8 GPUs each, the real encoder behind the
 * least server there is, so that a thousand of them leave the machine to the follower.
 *
 * Arguments: how many agents, every how many ms a whole snapshot is sent, and the number of the first
 * node (0). Prints the ports as
 * one line of JSON when all listen. `energyMillijoules` carries the time of the sample on the wall
 * clock, which the processes of a machine share: from it the receiver learns the true age. So does
 * `powerAverageMilliwatts`, as far as its range allows: from it a caller of GetMetrics learns it.
 *
 * @module
 */
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { systemClock } from "#core/clock.ts";
import { NodeSnapshotSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { Readings } from "#metric/reading.ts";
import { snapshotEncoder } from "#telemetry/encode.ts";
import type { NodeReport } from "#telemetry/report.ts";
import { gpusPerNode, holderOf, nodeAddress, nodeName, powerCycleMs } from "./fleet-plan.ts";

const sampleIntervalMs = 1_000;
const clock = systemClock();

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

function report(node: string, first: number): NodeReport {
  const devices = Array.from({ length: gpusPerNode }, (_, index) => ({
    uuid: `GPU-${node}-${index}`,
    index,
    minor: index,
    vendor: "nvidia",
    model: "NVIDIA H100 80GB HBM3",
    health: { state: "ok" } as const,
    holders: [holderOf(first + index)],
    readings: readings(clock.wallMs()),
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

async function agent(node: number, wholeEveryMs: number): Promise<number> {
  const [name, first] = [nodeName(node), node * gpusPerNode];
  const server = createServer();
  const { monotonicMs } = clock;
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc+proto" });
    const encode = snapshotEncoder({ startedAtMs: 1, monotonicMs, wholeEveryMs });
    const send = () => {
      const message = create(NodeSnapshotSchema, encode(report(name, first)));
      stream.write(frame(toBinary(NodeSnapshotSchema, message)));
    };
    let stop = clock.after(Math.random() * sampleIntervalMs, () => {
      stop = clock.every(sampleIntervalMs, send);
    });
    stream.on("close", () => stop());
    stream.on("error", () => stop());
  });
  await new Promise<void>((resolve) => server.listen(0, nodeAddress(node), resolve));
  return (server.address() as AddressInfo).port;
}

function frame(message: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

const [count = 10, wholeEveryMs = 30_000, firstNode = 0] = process.argv.slice(2).map(Number);
const ports = await Promise.all(
  Array.from({ length: count }, (_, at) => agent(firstNode + at, wholeEveryMs)),
);
process.stdout.write(`${JSON.stringify(ports)}\n`);
