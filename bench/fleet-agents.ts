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
import { snapshotEncoder } from "#telemetry/encode.ts";
import { gpusPerNode, nodeAddress, nodeName } from "./fleet-plan.ts";
import { fleetReport, sampleIntervalMs } from "./fleet-report.ts";

const clock = systemClock();

async function agent(node: number, wholeEveryMs: number): Promise<number> {
  const [name, first] = [nodeName(node), node * gpusPerNode];
  const server = createServer();
  const { monotonicMs } = clock;
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc+proto" });
    const encode = snapshotEncoder({ startedAtMs: 1, monotonicMs, wholeEveryMs });
    const send = () => {
      const message = create(NodeSnapshotSchema, encode(fleetReport(name, first, clock.wallMs())));
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
