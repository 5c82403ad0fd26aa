/**
 * Thousands of agents in one process, for `scale.ts`: `bun bench/scale-agents.ts NODES`.
 *
 * What they send are the real encoder's bytes, over the least HTTP/2 that a follower takes, written by
 * hand: one port, and an address of the loopback network for each agent. Agents are sampled in fifty
 * groups, one every 20 ms. In a group all devices read alike, so what changed is encoded once for all of
 * its agents; a whole snapshot, at first and every 30 s, is each agent's own.
 *
 * Prints its port.
 */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { systemClock } from "#core/clock.ts";
import { NodeSnapshotSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { snapshotEncoder } from "#telemetry/encode.ts";
import { framed } from "#telemetry/frames.ts";
import type { NodeReport } from "#telemetry/report.ts";
import { fleetReport, sampleIntervalMs } from "./fleet-report.ts";
import {
  agentAddress,
  gpusPerPod,
  namespaceOf,
  nodeName,
  podName,
  podsPerNode,
  workloadOf,
} from "./scale-plan.ts";

const clock = systemClock();
const groups = 50;
const wholeEveryMs = 30_000;
const http2 = {
  prefaceBytes: 24,
  headerBytes: 9,
  data: 0,
  headers: 1,
  settings: 4,
  ping: 6,
  endHeaders: 4,
  ack: 1,
};

/** A frame of HTTP/2: https://www.rfc-editor.org/rfc/rfc9113#section-4.1 */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(http2.headerBytes + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, http2.headerBytes);
  return bytes;
}

/**
 * `:status: 200` and `content-type: application/grpc+proto`, the first by its place in HPACK's table and
 * the second as text under its name's: https://www.rfc-editor.org/rfc/rfc7541#section-6
 */
const contentType = "application/grpc+proto";
const answer = Buffer.concat([
  Buffer.from([0x88, 0x0f, 0x10, contentType.length]),
  Buffer.from(contentType),
]);

interface Follower {
  readonly socket: Socket;
  readonly node: number;
  wholeAtMs: number;
}
const followers = Array.from({ length: groups }, () => new Set<Follower>());
const nodeByAddress = new Map<string, number>();
for (let node = 0; node < Number(process.argv[2] ?? 10); node += 1)
  nodeByAddress.set(agentAddress(node), node);

/** Answers what a client of HTTP/2 needs answered, and tells of its first call. */
function serve(socket: Socket, onCall: () => void): void {
  let buffered = Buffer.alloc(0);
  let skipBytes = http2.prefaceBytes;
  const take = (type: number, flags: number, payload: Uint8Array) => {
    if (type === http2.headers) onCall();
    else if (flags === http2.ack) return;
    else if (type === http2.settings) socket.write(frame(type, http2.ack, 0, new Uint8Array(0)));
    else if (type === http2.ping) socket.write(frame(type, http2.ack, 0, payload));
  };
  socket.write(frame(http2.settings, 0, 0, new Uint8Array(0)));
  socket.on("data", (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    for (;;) {
      const start = skipBytes + http2.headerBytes;
      if (buffered.length < start) return;
      const end = start + buffered.readUIntBE(skipBytes, 3);
      if (buffered.length < end) return;
      take(
        buffered.readUInt8(skipBytes + 3),
        buffered.readUInt8(skipBytes + 4),
        buffered.subarray(start, end),
      );
      buffered = buffered.subarray(end);
      skipBytes = 0;
    }
  });
}

function reportOf(node: number, sample: NodeReport): NodeReport {
  const devices = sample.devices.map((device, index) => {
    const pod = node * podsPerNode + Math.floor(index / gpusPerPod);
    const namespace = namespaceOf(workloadOf(pod));
    const holders = [{ namespace, pod: podName(pod), container: "main" }];
    return { ...device, uuid: `GPU-${node}-${index}`, holders };
  });
  return { ...sample, name: nodeName(node), devices };
}

const encoder = (everyMs: number) =>
  snapshotEncoder({ startedAtMs: 1, monotonicMs: clock.monotonicMs, wholeEveryMs: everyMs });
const encodeChange = followers.map(() => encoder(Number.POSITIVE_INFINITY));

function message(encoded: ReturnType<ReturnType<typeof encoder>>): Buffer {
  const bytes = toBinary(NodeSnapshotSchema, create(NodeSnapshotSchema, encoded));
  return frame(http2.data, 0, 1, framed(bytes));
}

function sampleGroup(group: number): void {
  const sampledAtMs = clock.wallMs();
  const sample = fleetReport("group", 0, sampledAtMs);
  const encode = encodeChange[group];
  if (encode === undefined) return;
  const change = message(encode(sample));
  const nowMs = clock.monotonicMs();
  for (const follower of followers[group] ?? []) {
    const { socket, node, wholeAtMs } = follower;
    // One that does not read is sent nothing more, as an agent sends it only the newest.
    if (socket.writableLength > 0) continue;
    if (nowMs - wholeAtMs < wholeEveryMs) {
      socket.write(change);
      continue;
    }
    // The first comes within a second; from then on they are spread as the connections were.
    follower.wholeAtMs = nowMs;
    socket.write(message(encoder(0)(reportOf(node, sample))));
  }
}

const server = createServer((socket) => {
  const node = nodeByAddress.get(socket.localAddress ?? "");
  if (node === undefined) {
    socket.destroy();
    return;
  }
  const follower: Follower = { socket, node, wholeAtMs: Number.NEGATIVE_INFINITY };
  const group = followers[node % groups];
  socket.on("close", () => group?.delete(follower));
  socket.on("error", () => socket.destroy());
  serve(socket, () => {
    socket.write(frame(http2.headers, http2.endHeaders, 1, answer));
    group?.add(follower);
  });
});
await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
let turn = 0;
clock.every(sampleIntervalMs / groups, () => {
  sampleGroup(turn % groups);
  turn += 1;
});
process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
