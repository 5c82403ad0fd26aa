import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ScaledObjectRefSchema } from "#gen/externalscaler/externalscaler_pb.ts";
import { type ForeignClient, foreignClient } from "../foreign/client.ts";
import { manualClock } from "../support/manual-clock.ts";
import { frame, rawClient } from "./raw-client.ts";
import { heldServer, until } from "./stand-in.ts";

const scaler = "externalscaler.ExternalScaler";
const emptyMessage = new Uint8Array(5);
const message = (ref: MessageInitShape<typeof ScaledObjectRefSchema>) =>
  frame(toBinary(ScaledObjectRefSchema, create(ScaledObjectRefSchema, ref)));
let client: ForeignClient;
beforeAll(() => {
  client = foreignClient();
});
afterAll(() => client[Symbol.asyncDispose]());

describe("messages", () => {
  const sized = (bytes: number) => ({ scalerMetadata: { profile: "x".repeat(bytes) } });

  test.each([
    ["a message within the limit is read", 1_000, "INVALID_ARGUMENT"],
    ["a message over it is RESOURCE_EXHAUSTED", 2_000, "RESOURCE_EXHAUSTED"],
  ])("%s", async (_what, bytes, code) => {
    await using held = await heldServer({ messageBytesMax: 1_500 });
    const channel = await client.connect(held.address);
    expect((await channel.unary(scaler, "IsActive", sized(bytes))).code).toBe(code);
    const stream = await channel.stream(scaler, "StreamIsActive", sized(bytes));
    expect((await stream.ended).code).toBe(code);
    await until(() => held.finished.length === 2, "both calls are counted");
    expect(held.finished.map((call) => call.code)).toEqual([code, code]);
  });

  test("the limit holds for what a compressed message unpacks to", async () => {
    await using held = await heldServer({ messageBytesMax: 1_500 });
    const channel = await client.connect(held.address, {
      "grpc.default_compression_algorithm": 2,
    });
    const { code } = await channel.unary(scaler, "IsActive", sized(1_000_000));
    expect(code).toBe("RESOURCE_EXHAUSTED");
  });

  test.each([
    ["IsActive", undefined],
    ["IsActive", new Uint8Array([0, 0, 0, 0, 9, 1])],
    ["StreamIsActive", undefined],
  ])("a message to %s that never ends is given up", async (method, part) => {
    await using held = await heldServer({ handlerMs: 100 });
    await using raw = rawClient(held.server.port);
    const call = raw.call(`/${scaler}/${method}`);
    if (part !== undefined) call.write(part);
    expect(await call.ended).toEqual({
      status: "4",
      message: "Cannot read the request: it did not end within 100 ms; send it whole",
    });
    await call.closed;
    await until(() => held.finished.length === 1, "the call is over");
    expect(held.finished).toMatchObject([{ code: "DEADLINE_EXCEEDED" }]);
    expect(held.logged).toEqual([]);
  });
});

test("a process that stands still does not hold it against its clients", async () => {
  await using held = await heldServer({ handlerMs: 200 });
  await using raw = rawClient(held.server.port);
  const call = raw.call(`/${scaler}/IsActive`);
  call.write(emptyMessage.subarray(0, 1));
  raw.call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  await until(() => held.open.streams === 1, "the call has come");
  Bun.sleepSync(400);
  // When the time is over already.
  setTimeout(() => call.send(emptyMessage.subarray(1)));
  expect((await call.ended).status).toBe("0");
});

test("a stream with a long message lives on when the time to send it is over", async () => {
  await using held = await heldServer({ handlerMs: 100 });
  const channel = await client.connect(held.address);
  await using stream = await channel.stream(scaler, "StreamIsActive", {
    name: "x".repeat(100_000),
  });
  expect(await stream.next()).toEqual({ result: false });
  await Bun.sleep(200);
  held.set({ active: () => true });
  expect(await stream.next()).toEqual({ result: true });
});

test("calls that are reset as soon as they are opened leave nothing behind", async () => {
  await using held = await heldServer({ streamsMax: 10 });
  await using raw = rawClient(held.server.port);
  for (let at = 0; at < 20; at += 1)
    for (const method of ["IsActive", "StreamIsActive", "Nothing"])
      raw.call(`/${scaler}/${method}`, emptyMessage).cancel();
  expect((await raw.call(`/${scaler}/IsActive`, emptyMessage).ended).status).toBe("0");
  await until(() => held.open.streams === 0, "no stream is open");
  expect(held.listeners.size).toBe(0);
  expect(held.logged).toEqual([]);
});

test("a message that comes slowly is waited for while some of it comes", async () => {
  const clock = manualClock();
  await using held = await heldServer({ clock, handlerMs: 100 });
  await using raw = rawClient(held.server.port);
  const call = raw.call(`/${scaler}/IsActive`);
  for (let sent = 0; sent < 4; sent += 1) {
    call.write(emptyMessage.subarray(sent, sent + 1));
    raw.call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    await until(() => held.open.streams === sent + 1, "a byte has come");
    clock.advance(100);
  }
  call.send(emptyMessage.subarray(4));
  expect((await call.ended).status).toBe("0");
});

describe("a client that dies", () => {
  test.each([
    [`${scaler}/IsActive`, "before its message", undefined],
    [`${scaler}/StreamIsActive`, "before its message", undefined],
    [`${scaler}/StreamIsActive`, "after its message", emptyMessage],
    ["grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "before its message", undefined],
  ])("in %s, %s, leaves nothing behind", async (path, _when, message) => {
    await using held = await heldServer({ callsMax: 8 });
    const raw = rawClient(held.server.port);
    for (let call = 0; call < 40; call++) raw.call(`/${path}`, message);
    if (path.includes("Stream") || path.includes("Reflection"))
      await until(() => held.open.streams === 40, "the streams are open");
    else await until(() => held.open.connections === 1, "the connection is open");
    await raw[Symbol.asyncDispose]();
    await until(() => held.open.connections === 0, "the connection is gone");
    expect(held.open.streams).toBe(0);
    expect(held.listeners.size).toBe(0);
    expect(held.finished.filter(({ code }) => code !== "CANCELLED")).toEqual([]);
    expect(held.logged).toEqual([]);
    const channel = await client.connect(held.address);
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
  });
});

describe("streams", () => {
  test("one too many is RESOURCE_EXHAUSTED; one that ends makes room; calls go on", async () => {
    await using held = await heldServer({ streamsMax: 2 });
    const [one, other] = await Promise.all([
      client.connect(held.address),
      client.connect(held.address),
    ]);
    const open = async (channel: typeof one) => channel.stream(scaler, "StreamIsActive");
    const first = await open(one);
    await first.next();
    await using second = await open(other);
    await second.next();
    expect(await (await open(one)).ended).toEqual({
      code: "RESOURCE_EXHAUSTED",
      details:
        "Cannot open another stream: at most 2 open streams; ask again later or add replicas",
    });
    expect((await one.unary(scaler, "IsActive")).code).toBe("OK");

    await first.cancel();
    await until(() => held.open.streams === 1, "the first stream is over");
    await using third = await open(other);
    expect(await third.next()).toEqual({ result: false });
  });

  test("one connection carries every stream that a process may have, and calls beside them", async () => {
    await using held = await heldServer({ streamsMax: 300, callsMax: 4 });
    const channel = await client.connect(held.address);
    const streams = await Promise.all(
      Array.from({ length: 300 }, () => channel.stream(scaler, "StreamIsActive")),
    );
    for (const stream of streams) expect(await stream.next()).toEqual({ result: false });
    expect(held.open).toEqual({ streams: 300, connections: 1 });
    expect(await channel.burst(100, scaler, "IsActive")).toEqual({ OK: 100 });
    held.set({ active: () => true });
    for (const stream of streams) expect(await stream.next()).toEqual({ result: true });
  });
});

describe("unary calls", () => {
  test("a burst waits for its turn and is answered", async () => {
    await using held = await heldServer({ callsMax: 2 });
    const channel = await client.connect(held.address);
    expect(await channel.burst(500, scaler, "IsActive")).toEqual({ OK: 500 });
  });

  const path = `/${scaler}/IsActive`;
  /** More than a stream holds unread: it takes a slot before it has come whole. */
  const long = message({ name: "x".repeat(100_000) });
  const abandonedMessage = message({ name: "abandoned" });
  const [longStart, longRest] = [long.subarray(0, 60_000), long.subarray(60_000)];

  test("more than may wait is RESOURCE_EXHAUSTED, and what waits is answered", async () => {
    await using held = await heldServer({ callsMax: 1, callsWaitingMax: 1, handlerMs: 60_000 });
    await using raw = rawClient(held.server.port);
    const working = raw.call(path);
    working.write(longStart);
    const waiting = raw.call(path, emptyMessage);
    const refused = raw.call(path, emptyMessage);
    expect(await refused.ended).toEqual({
      status: "8",
      message: "Cannot take another call: at most 1 waiting calls; ask again later or add replicas",
    });
    working.send(longRest);
    expect((await working.ended).status).toBe("0");
    expect((await waiting.ended).status).toBe("0");
  });

  test.each(["gave up", "died with its connection"])(
    "a call that %s while it waited holds no slot",
    async (how) => {
      await using held = await heldServer({ callsMax: 1, handlerMs: 60_000 });
      await using raw = rawClient(held.server.port);
      const working = raw.call(path);
      working.write(longStart);
      await using other = rawClient(held.server.port);
      const abandoned = other.call(path, abandonedMessage);
      // Reflection needs no slot, and it comes after the call.
      const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
      for (const { call } of [raw, other]) call(reflection);
      await until(() => held.open.streams === 2, "both calls have come");
      if (how === "gave up") abandoned.cancel();
      else await other[Symbol.asyncDispose]();
      await until(() => held.finished.length > 0, "the server knows");
      expect(held.finished.filter(({ code }) => code !== "CANCELLED")).toEqual([]);
      working.send(longRest);
      expect((await working.ended).status).toBe("0");
      expect((await raw.call(path, emptyMessage).ended).status).toBe("0");
      expect(held.refs.map(({ name }) => name)).not.toContain("abandoned");
      expect(held.logged).toEqual([]);
    },
  );

  test("a call that died while it was read holds no slot", async () => {
    await using held = await heldServer({ callsMax: 1, handlerMs: 60_000 });
    const raw = rawClient(held.server.port);
    raw.call(path).write(longStart);
    await until(() => held.open.connections === 1, "the connection is open");
    await raw[Symbol.asyncDispose]();
    await until(() => held.finished.length === 1, "the call is over");
    const channel = await client.connect(held.address);
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
    expect(held.logged).toEqual([]);
  });

  test("a long call that stops is DEADLINE_EXCEEDED, and makes room", async () => {
    await using held = await heldServer({ callsMax: 1, handlerMs: 200 });
    await using raw = rawClient(held.server.port);
    const stuck = raw.call(path);
    stuck.write(longStart);
    const next = raw.call(path, emptyMessage);
    expect(await stuck.ended).toEqual({
      status: "4",
      message: "Cannot read the request: it did not end within 200 ms; send it whole",
    });
    expect((await next.ended).status).toBe("0");
    expect(held.logged).toEqual([]);
  });

  const garbage = frame(new Uint8Array([0xff, 0xff]));
  const silent = { initialWindowSize: 0 };
  const text = { "content-type": "text/plain" };
  test.each([
    { which: "whose message has not come", part: new Uint8Array() },
    { which: "whose message has come in part", part: longStart.subarray(0, 1_000) },
    { which: "whose answer is not read", whole: emptyMessage, settings: silent },
    { which: "that is no protobuf", whole: garbage, settings: silent },
    { which: "that is no gRPC", whole: emptyMessage, settings: silent, headers: text },
  ])("a call $which holds no slot", async ({ part, whole, settings, headers }) => {
    await using held = await heldServer({ callsMax: 1, callsWaitingMax: 1, handlerMs: 60_000 });
    await using raw = rawClient(held.server.port, settings);
    for (let calls = 0; calls < 8; calls += 1) {
      const call = raw.call(path, whole, headers);
      if (part !== undefined) call.write(part);
    }
    raw.call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    await until(() => held.open.streams === 1, "the calls have come");
    const channel = await client.connect(held.address);
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
  });

  test("what one connection asks for at once does not delay another's call", async () => {
    await using held = await heldServer({ callsMax: 1, handlerMs: 60_000 });
    await using raw = rawClient(held.server.port);
    const working = raw.call(path);
    working.write(longStart);
    const crowd = Array.from({ length: 20 }, () => raw.call(path, emptyMessage).ended);
    raw.call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    await until(() => held.open.streams === 1, "the calls have come");
    const channel = await client.connect(held.address);
    const alone = channel.unary(scaler, "IsActive", { name: "alone" });
    await channel.stream(scaler, "StreamMetricSpec");
    await until(() => held.open.streams === 2, "the other's call has come");
    working.send(longRest);
    await Promise.all(crowd);
    await alone;
    // After the long one and one of the crowd at most.
    expect(held.refs.findIndex(({ name }) => name === "alone")).toBeLessThanOrEqual(2);
    expect(held.refs).toHaveLength(22);
  });
});

describe("connections", () => {
  test("one too many is cut; one that goes makes room", async () => {
    await using held = await heldServer({ connectionsMax: 1 });
    const first = await client.connect(held.address);
    const second = await client.connect(held.address);
    expect((await first.unary(scaler, "IsActive")).code).toBe("OK");
    expect((await second.unary(scaler, "IsActive")).code).toBe("UNAVAILABLE");
    expect((await first.unary(scaler, "IsActive")).code).toBe("OK");
    expect(held.open.connections).toBe(1);
    await first.close();
    await until(
      async () => (await second.unary(scaler, "IsActive")).code === "OK",
      "the second client got in",
    );
  });
});

describe("what is no call", () => {
  test.each(["/externalscaler.ExternalScaler/Nothing", "/nobody.Nothing/Ask", "/"])(
    "%s is UNIMPLEMENTED",
    async (path) => {
      await using held = await heldServer();
      await using raw = rawClient(held.server.port);
      expect(await raw.call(path, emptyMessage).ended).toEqual({
        status: "12",
        message: `Cannot call ${path}: no such method; list them with server reflection`,
      });
      expect(held.finished).toMatchObject([{ method: "unknown", code: "UNIMPLEMENTED" }]);
    },
  );

  test("a path that is long is not said whole", async () => {
    await using held = await heldServer();
    await using raw = rawClient(held.server.port);
    const { message } = await raw.call(`/${"x".repeat(300)}`, emptyMessage).ended;
    expect(message).toStartWith(`Cannot call /${"x".repeat(199)}: no such method`);
  });

  test("a call whose authority is no host is INVALID_ARGUMENT, and no others suffer", async () => {
    await using held = await heldServer();
    await using raw = rawClient(held.server.port);
    const path = `/${scaler}/IsActive`;
    const call = raw.call(path, emptyMessage, { ":authority": "here:port" });
    expect(await call.ended).toEqual({
      status: "3",
      message: "Cannot read the request: its :authority is no host; send host and port",
    });
    expect((await raw.call(path, emptyMessage).ended).status).toBe("0");
    expect(held.finished).toMatchObject([{ code: "INVALID_ARGUMENT" }, { code: "OK" }]);
  });

  test("bytes that are no HTTP/2 are cut off and nothing else suffers", async () => {
    await using held = await heldServer({ shutdownMs: 60_000 });
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: held.server.port,
      socket: { data: () => undefined },
    });
    socket.write("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    await until(() => socket.readyState <= 0, "the server closed the socket");
    const channel = await client.connect(held.address);
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
    await until(() => held.open.connections === 1, "only the good connection is counted");
  });

  test("a message that is no protobuf is INTERNAL, as gRPC says, and no bug of ours", async () => {
    await using held = await heldServer();
    await using raw = rawClient(held.server.port);
    const garbage = new Uint8Array([0, 0, 0, 0, 2, 0xff, 0xff]);
    expect((await raw.call(`/${scaler}/IsActive`, garbage).ended).status).toBe("13");
    expect(held.logged).toEqual([]);
  });
});
