/**
 * Frames of HTTP/2 on the gRPC port of a server that runs: any bytes that a socket can carry.
 *
 * Source: RFC 9113, sections 3.4, 4.1 and 6.
 *
 * @module
 */
import { connect } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { ScaledObjectRefSchema } from "#gen/externalscaler/externalscaler_pb.ts";
import { frame as grpcFrame, rawClient } from "../../rpc/raw-client.ts";
import { heldServer } from "../../rpc/stand-in.ts";
import type { Draws } from "../draws.ts";
import { mutateBytes } from "../mutate-bytes.ts";
import { mutateProtobuf } from "../mutate-protobuf.ts";
import { promise, type Target } from "../target.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const headerBytes = 9;
const types = { data: 0, headers: 1, priority: 2, reset: 3, settings: 4, ping: 6, goaway: 7 };
const [windowUpdate, continuation] = [8, 9];
const [endStream, endHeaders] = [0x1, 0x4];
const path = "/externalscaler.ExternalScaler";

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
  /** What its header says where that is a lie. */
  readonly length?: number;
}

function encoded({ type, flags, stream, payload, length = payload.length }: Frame): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUIntBE(length & 0xffffff, 0, 3);
  header.writeUInt8(type & 0xff, 3);
  header.writeUInt8(flags & 0xff, 4);
  header.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([header, payload]);
}

/** Frames behind the preface, as far as they are whole; what is left over is one of an odd type. */
function framesOf(input: Buffer): readonly Frame[] {
  const frames: Frame[] = [];
  let at = input.subarray(0, preface.length).equals(preface) ? preface.length : 0;
  for (; at + headerBytes <= input.length; ) {
    const end = at + headerBytes + input.readUIntBE(at, 3);
    const [type, flags] = [input.readUInt8(at + 3), input.readUInt8(at + 4)];
    const payload = input.subarray(at + headerBytes, end);
    frames.push({ type, flags, stream: input.readUInt32BE(at + 5), payload });
    at = end;
  }
  return frames;
}

/** A header that no table has: both texts as they are (RFC 7541, section 6.2.2). */
function literal(name: string, value: string): Buffer {
  const text = (part: string) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part)]);
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

function call(stream: number, method: string, message: Uint8Array | undefined): readonly Frame[] {
  const payload = Buffer.concat([
    literal(":method", "POST"),
    literal(":scheme", "http"),
    literal(":path", method),
    literal(":authority", "localhost"),
    literal("content-type", "application/grpc"),
    literal("te", "trailers"),
  ]);
  const isLast = message === undefined;
  const flags = endHeaders | (isLast ? endStream : 0);
  const opening: Frame = { type: types.headers, flags, stream, payload };
  return isLast
    ? [opening]
    : [opening, { type: types.data, flags: endStream, stream, payload: grpcFrame(message) }];
}

const settings: Frame = { type: types.settings, flags: 0, stream: 0, payload: Buffer.alloc(0) };
const ref = (scalerMetadata: Readonly<Record<string, string>>) =>
  toBinary(ScaledObjectRefSchema, create(ScaledObjectRefSchema, { name: "a", scalerMetadata }));

function conversation(...frames: readonly (readonly Frame[])[]): Buffer {
  return Buffer.concat([preface, ...[settings, ...frames.flat()].map(encoded)]);
}

const numbers = (width: number, ...values: readonly number[]) => {
  const payload = Buffer.alloc(width * values.length);
  for (const [at, value] of values.entries()) payload.writeUInt32BE(value >>> 0, at * width);
  return payload;
};
const single = (type: number, payload: Buffer, stream = 0, flags = 0): readonly Frame[] => [
  { type, flags, stream, payload },
];

function corpus(): readonly Buffer[] {
  return [
    conversation(),
    conversation(call(1, `${path}/IsActive`, ref({}))),
    conversation(call(1, `${path}/GetMetricSpec`, ref({ targetValue: "5" }))),
    conversation(call(1, `${path}/StreamIsActive`, ref({})), single(types.reset, numbers(4, 8), 1)),
    conversation(
      call(1, "/grpc.health.v1.Health/Check", new Uint8Array()),
      call(3, "/none", undefined),
    ),
    conversation(
      call(1, `${path}/IsActive`, ref({ bad: "key" })),
      call(3, `${path}/IsActive`, ref({})),
      single(types.ping, Buffer.alloc(8)),
      single(windowUpdate, numbers(4, 65_535)),
      single(types.priority, Buffer.alloc(5), 3),
      single(types.goaway, numbers(4, 3, 0)),
    ),
    conversation(
      [{ type: types.headers, flags: 0, stream: 1, payload: literal(":method", "POST") }],
      single(continuation, literal(":path", `${path}/IsActive`), 1, endHeaders),
    ),
    conversation(
      call(
        1,
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Buffer.from([58, 1, 42]),
      ),
    ),
  ];
}

const mutateMessage = mutateProtobuf(ScaledObjectRefSchema, [
  "targetValue",
  "5",
  "metricName",
  "a",
]);

function mutate(draws: Draws, input: Buffer, other: Buffer): Buffer {
  if (draws.oneIn(10)) return mutateBytes(draws, input, other);
  const frames = [...framesOf(input)];
  const others = framesOf(other);
  for (let count = draws.few(4); count >= 0; count -= 1) changeFrames(draws, frames, others);
  return Buffer.concat([preface, ...frames.map(encoded)]).subarray(0, 256 * 1024);
}

function changeFrames(draws: Draws, frames: Frame[], others: readonly Frame[]): void {
  const at = draws.below(frames.length + 1);
  const frame = frames[at] ?? settings;
  const taken = others.length === 0 ? frame : draws.of(others);
  const put = (change: Partial<Frame>) => frames.splice(at, 1, { ...frame, ...change });
  const edits: readonly (() => unknown)[] = [
    () => frames.splice(at, 1),
    () => frames.splice(at, 0, ...Array.from({ length: 1 + draws.few(30) }, () => taken)),
    () => put({ flags: frame.flags ^ (1 << draws.below(8)) }),
    () => put({ type: draws.below(12) }),
    () => put({ stream: draws.of([0, 1, 2, 3, 5, 0x7fffffff, 0x80000001, frame.stream + 2]) }),
    () => put({ length: draws.of([0, 1, 8, 0x4000, 0x4001, 0xffffff]) }),
    () => put({ payload: mutateBytes(draws, frame.payload, taken.payload) }),
    () =>
      put({
        payload: grpcFrame(
          mutateMessage(draws, frame.payload.subarray(5), taken.payload),
          draws.of([0, 0, 0, 1, 2]),
        ),
      }),
    () => put({ payload: numbers(4, draws.of([0, 1, 0x7fffffff, 0x80000000, 0xffffffff])) }),
    () =>
      put({
        type: types.settings,
        stream: 0,
        payload: Buffer.concat([
          Buffer.from([0, draws.below(10)]),
          numbers(4, draws.of([0, 1, 0x4000, 0x7fffffff, 0xffffffff])),
        ]),
      }),
    () =>
      put({
        payload: Buffer.concat([
          frame.payload,
          literal(
            draws.of(["te", ":path", "grpc-timeout", "Bad", "", "connection", "content-length"]),
            draws.of(["", "1n", "\n", "-1", `${path}/GetMetrics`]),
          ),
        ]),
      }),
  ];
  draws.of(edits)();
}

/** One server for all inputs, whose limits let one address do what it likes. */
async function startServer() {
  const held = await heldServer({
    strikes: { most: 1e9, perSecond: 1e9 },
    newConnectionsMax: 64,
    handlerMs: 300,
    prefaceMs: 300,
    idleMs: 300,
    shutdownMs: 200,
    firstTakeMs: 300,
    takeMs: 300,
  });
  return { held, seen: 0 };
}
let server: ReturnType<typeof startServer> | undefined;

/** A deaf client may be held for this long; nothing of what is read takes so much. */
const patienceMs = 1_500;

/** Says everything and closes its side. @returns How the server ended it, and what it said. */
function say(
  port: number,
  input: Buffer,
): Promise<{ readonly end: string; readonly said: Buffer }> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const parts: Buffer[] = [];
    let end = "closed";
    const timer = setTimeout(() => {
      end = "left open";
      socket.destroy();
    }, patienceMs);
    socket.on("data", (part) => parts.push(Buffer.from(part)));
    socket.on("error", () => {
      end = "reset";
    });
    socket.on("close", () => {
      clearTimeout(timer);
      resolve({ end, said: Buffer.concat(parts) });
    });
    socket.on("connect", () => {
      const half = Math.floor(input.length / 2);
      socket.write(input.subarray(0, half));
      socket.end(input.subarray(half));
    });
  });
}

export const http2Target: Target = {
  name: "http2",
  testInputs: 200,
  share: 10_000,
  inFlight: 16,
  corpus,
  mutate,
  run: async (input) => {
    server ??= startServer();
    const running = await server;
    const { held } = running;
    const { end, said } = await say(held.server.port, input);
    running.seen += 1;
    if (running.seen % 64 === 0) await checkGoodClient(held.server.port);
    const bugs = held.logged.filter(({ level }) => level === "error");
    promise(bugs.length === 0, () => `a bug is logged: ${Bun.inspect(bugs[0])}`);
    const replies = framesOf(said).map(({ type, flags, payload }) =>
      type === types.goaway || type === types.reset
        ? `${type}:${payload.length >= 4 ? payload.readUInt32BE(payload.length >= 8 ? 4 : 0) : ""}`
        : `${type}:${flags}`,
    );
    return `${end} ${[...new Set(replies)].join(" ")}`;
  },
  close: async () => {
    if (server === undefined) return;
    const { held } = await server;
    server = undefined;
    await held.server.stop();
    promise(held.open.connections === 0, () => `${held.open.connections} connections are left`);
    promise(held.open.streams === 0, () => `${held.open.streams} streams are left`);
    promise(held.listeners.size === 0, () => `${held.listeners.size} listeners are left`);
  },
};

/** A client that behaves is answered, whatever the others say. */
async function checkGoodClient(port: number): Promise<void> {
  await using client = rawClient(port);
  const { status } = await client.call(`${path}/IsActive`, grpcFrame(ref({}))).ended;
  promise(status === "0", () => `a client that behaves is answered: ${status}`);
}
