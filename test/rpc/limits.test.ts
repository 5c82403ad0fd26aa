import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ScaledObjectRefSchema } from "#gen/externalscaler/externalscaler_pb.ts";
import { type ForeignClient, foreignClient } from "../foreign/client.ts";
import { manualClock } from "../support/manual-clock.ts";
import { frame, rawClient } from "./raw-client.ts";
import { heldServer, until } from "./stand-in.ts";

const scaler = "externalscaler.ExternalScaler";
const emptyMessage = new Uint8Array(5);
/** IsActiveResponse with `result: true`. */
const activeMessage = new Uint8Array([8, 1]);
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
    scalerMetadata: { metricName: "x".repeat(100_000) },
  });
  expect(await stream.next()).toEqual({ result: false });
  await Bun.sleep(200);
  held.set({ active: () => true });
  expect(await stream.next()).toEqual({ result: true });
});

test("calls that are reset as soon as they are opened leave nothing behind", async () => {
  await using held = await heldServer({ streamsMax: 10, strikes: { most: 100, perSecond: 0 } });
  await using raw = rawClient(held.server.port);
  for (let at = 0; at < 12; at += 1)
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
    await using held = await heldServer({ callsMax: 8, reflectionStreamsMax: 40 });
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

  test("one peer may have its share of them only", async () => {
    await using held = await heldServer({ streamsMax: 4, streamsPerPeerMax: 0.75 });
    const path = `/${scaler}/StreamIsActive`;
    await using greedy = rawClient(held.server.port, {}, "127.0.0.2");
    const taken = [1, 2, 3].map(() => greedy.call(path, emptyMessage));
    expect(await greedy.call(path, emptyMessage).ended).toEqual({
      status: "8",
      message:
        "Cannot open another stream: at most 3 open streams of one client; ask again later or " +
        "add replicas",
    });
    await using modest = rawClient(held.server.port);
    const own = modest.call(path, emptyMessage);
    expect((await modest.call(path, emptyMessage).ended).status).toBe("8");
    held.set({ active: () => true });
    for (const kept of [...taken, own])
      await until(() => kept.body().length === 12, "both messages have come");
  });

  test("those of an old connection keep their place until they are opened again", async () => {
    const clock = manualClock();
    const limits = { streamsMax: 2, connectionAgeMs: 1_000, streamsReservedMs: 500 };
    await using held = await heldServer({ clock, random: () => 0.5, ...limits });
    const path = `/${scaler}/StreamIsActive`;
    const from = (address: string) => rawClient(held.server.port, {}, address);
    await using old = from("127.0.0.2");
    await Promise.all([old.call(path, emptyMessage), old.call(path, emptyMessage)]);
    await until(() => held.open.streams === 2, "both streams are open");
    clock.advance(1_000);
    await old.closed;

    await using greedy = from("127.0.0.3");
    expect((await greedy.call(path, emptyMessage).ended).status).toBe("8");
    await using again = from("127.0.0.2");
    again.call(path, emptyMessage);
    await until(() => held.open.streams === 1, "the first is open again");
    expect((await greedy.call(path, emptyMessage).ended).status).toBe("8");
    clock.advance(500);
    greedy.call(path, emptyMessage);
    await until(() => held.open.streams === 2, "what nobody opened again is free");
  });

  test("a client that reads nothing is kept one message, and then gets the newest", async () => {
    const clock = manualClock();
    await using held = await heldServer({ clock, pushSpacingMs: 1 });
    await using raw = rawClient(held.server.port, { initialWindowSize: 0 });
    const call = raw.call(`/${scaler}/StreamIsActive`, emptyMessage);
    await until(() => held.open.streams === 1, "the stream is open");
    for (let changes = 0; changes < 9; changes += 1) {
      held.set({ active: () => changes % 2 === 0 });
      clock.advance(2);
      await Bun.sleep(1);
    }
    raw.settings({ initialWindowSize: 65_535 });
    const read = () => {
      clock.advance(300);
      return call.body().length === 12;
    };
    await until(read, "two messages have come");
    expect(call.body()).toEqual(Buffer.concat([frame(new Uint8Array()), frame(activeMessage)]));
  });

  test("of reflection there are a few only", async () => {
    await using held = await heldServer({ reflectionStreamsMax: 2 });
    await using raw = rawClient(held.server.port);
    const reflect = () => raw.call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    const [first] = [reflect(), reflect()];
    expect(await reflect().ended).toEqual({
      status: "8",
      message:
        "Cannot open another stream: at most 2 open streams of reflection; ask again later or " +
        "add replicas",
    });
    first?.cancel();
    await until(() => held.open.streams === 1, "one is over");
    const again = reflect();
    await until(() => held.open.streams === 2, "another is open");
    again.send(new Uint8Array());
    expect((await again.ended).status).toBe("0");
  });

  test("a stream that its client does not read in time is ended", async () => {
    await using held = await heldServer({ firstTakeMs: 100, takeMs: 100 });
    await using raw = rawClient(held.server.port, { initialWindowSize: 0 });
    await raw.call(`/${scaler}/StreamIsActive`, emptyMessage).closed;
    await until(() => held.open.streams === 0, "the stream is over");
    expect(held.finished).toMatchObject([{ code: "RESOURCE_EXHAUSTED" }]);
    expect(held.listeners.size).toBe(0);
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
  const longMetadata = { metricName: "x".repeat(100_000) };
  const long = message({ scalerMetadata: longMetadata });
  const abandonedMessage = message({ scalerMetadata: longMetadata, name: "abandoned" });
  const [longStart, longRest] = [long.subarray(0, 60_000), long.subarray(60_000)];

  test("of more than may be open the oldest is ended with RESOURCE_EXHAUSTED", async () => {
    await using held = await heldServer({ callsOpenMax: 2, handlerMs: 60_000 });
    await using raw = rawClient(held.server.port);
    const [first, second] = [raw.call(path), raw.call(path)];
    await using other = rawClient(held.server.port);
    expect((await other.call(path, emptyMessage).ended).status).toBe("0");
    expect(await first.ended).toEqual({
      status: "8",
      message: "Cannot keep the call: at most 2 open calls; ask again later or add replicas",
    });
    second.send(emptyMessage);
    expect((await second.ended).status).toBe("0");
  });

  test("requests that came in part keep so many bytes, then the oldest is ended", async () => {
    await using held = await heldServer({ requestBytesMax: 3_000, handlerMs: 60_000 });
    await using raw = rawClient(held.server.port);
    const part = message({ name: "x".repeat(2_000) }).subarray(0, 1_400);
    const calls = [1, 2, 3].map(() => raw.call(path));
    for (const call of calls) call.write(part);
    expect(await calls[0]?.ended).toEqual({
      status: "8",
      message:
        "Cannot keep the call: at most 3000 bytes of unfinished requests; ask again later or " +
        "add replicas",
    });
    expect((await raw.call(path, emptyMessage).ended).status).toBe("0");
    await until(() => held.finished.length === 2, "two calls are over");
  });

  test("a connection whose answers are not read gets one, and the rest when it is", async () => {
    await using held = await heldServer({ unreadAnswersMax: 2, handlerMs: 60_000 });
    await using raw = rawClient(held.server.port, { initialWindowSize: 0 });
    const calls = Array.from({ length: 6 }, () => raw.call(path, emptyMessage));
    await until(() => held.refs.length === 1, "one is answered");
    const other = await client.connect(held.address);
    for (const name of ["other", "another"])
      expect((await other.unary(scaler, "IsActive", { name })).code).toBe("OK");
    expect(held.refs).toHaveLength(3);
    raw.settings({ initialWindowSize: 65_535 });
    for (const call of calls) expect((await call.ended).status).toBe("0");
    raw.settings({ initialWindowSize: 0 });
    const later = Array.from({ length: 6 }, () => raw.call(path, emptyMessage));
    await until(() => held.refs.length === 10, "two more are answered");
    expect((await other.unary(scaler, "IsActive")).code).toBe("OK");
    expect(held.refs).toHaveLength(11);
    raw.settings({ initialWindowSize: 65_535 });
    for (const call of later) expect((await call.ended).status).toBe("0");
  });

  test("an answer that its client does not take in time is given up", async () => {
    await using held = await heldServer({ firstTakeMs: 100, takeMs: 100 });
    await using raw = rawClient(held.server.port, { initialWindowSize: 0 });
    await raw.call(path, emptyMessage).closed;
    await until(() => held.finished.length === 1, "the call is over");
    expect(held.finished).toMatchObject([{ code: "RESOURCE_EXHAUSTED" }]);
  });

  test("a peer that opens calls to cancel them is barred for a while, and no other", async () => {
    const clock = manualClock();
    await using held = await heldServer({ clock, strikes: { most: 10, perSecond: 0 }, barMs: 500 });
    const channel = await client.connect(held.address);
    await using kept = await channel.stream(scaler, "StreamIsActive");
    await kept.next();
    const from = () => rawClient(held.server.port, {}, "127.0.0.2");
    const raw = from();
    for (let at = 0; at < 10; at += 1) raw.call(path, emptyMessage).cancel();
    await until(() => held.finished.length === 10, "the calls are over");
    expect(held.open.connections).toBe(2);
    raw.call(path, emptyMessage).cancel();
    await raw.closed;
    await from().closed;
    expect(held.logged).toMatchObject([
      { level: "warn", event: "peer barred", facts: { peer: "127.0.0.2", barMs: 500 } },
    ]);
    clock.advance(500);
    await using back = from();
    expect((await back.call(path, emptyMessage).ended).status).toBe("0");
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
    held.set({ active: () => true });
    clock.advance(1_000);
    expect(await kept.next()).toEqual({ result: true });
  });

  test.each(["gave up", "died with its connection"])(
    "a call that %s while it waited holds no slot",
    async (how) => {
      await using held = await heldServer({ longCallsMax: 1, handlerMs: 60_000 });
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

  test("a long call that died while it was read holds no slot", async () => {
    await using held = await heldServer({ longCallsMax: 1, handlerMs: 60_000 });
    const raw = rawClient(held.server.port);
    raw.call(path).write(longStart);
    await until(() => held.open.connections === 1, "the connection is open");
    await raw[Symbol.asyncDispose]();
    await until(() => held.finished.length === 1, "the call is over");
    await using other = rawClient(held.server.port);
    expect((await other.call(path, long).ended).status).toBe("0");
    expect(held.logged).toEqual([]);
  });

  test("a long call that stops is DEADLINE_EXCEEDED, and makes room", async () => {
    await using held = await heldServer({ longCallsMax: 1, handlerMs: 200 });
    await using raw = rawClient(held.server.port);
    const stuck = raw.call(path);
    stuck.write(longStart);
    const next = raw.call(path, long);
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
    await using held = await heldServer({ callsMax: 1, longCallsMax: 1, handlerMs: 60_000 });
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

  test("what one peer asks for at once does not delay another's call", async () => {
    await using held = await heldServer({ longCallsMax: 1, handlerMs: 60_000 });
    await using raw = rawClient(held.server.port);
    await using raw2 = rawClient(held.server.port);
    const working = raw.call(path);
    working.write(longStart);
    const crowd = Array.from({ length: 10 }, () =>
      [raw, raw2].map(({ call }) => call(path, long).ended),
    );
    for (const { call } of [raw, raw2])
      call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    await until(() => held.open.streams === 2, "the calls have come");
    await using other = rawClient(held.server.port, {}, "127.0.0.2");
    const alone = other.call(path, message({ scalerMetadata: longMetadata, name: "alone" }));
    other.call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    await until(() => held.open.streams === 3, "the other's call has come");
    working.send(longRest);
    await Promise.all(crowd.flat());
    await alone.ended;
    // After the one at work and one of the crowd at most.
    expect(held.refs.findIndex(({ name }) => name === "alone")).toBeLessThanOrEqual(2);
    expect(held.refs).toHaveLength(22);
  });
});

describe("connections", () => {
  const stream = `/${scaler}/StreamIsActive`;

  test("of too many, the peer with the most loses the one that is idle for the longest", async () => {
    await using held = await heldServer({ connectionsMax: 4 });
    const from = (address: string) => rawClient(held.server.port, {}, address);
    const crowd = [];
    for (const connections of [1, 2, 3]) {
      crowd.push(from("127.0.0.2"));
      await until(() => held.open.connections === connections, "it is open");
    }
    const [inUse, idle, younger] = crowd;
    inUse?.call(stream, emptyMessage);
    await until(() => held.open.streams === 1, "the first connection is in use");
    await using alone = from("127.0.0.3");
    await until(() => held.open.connections === 4, "another peer is in");
    await using newcomer = from("127.0.0.4");
    expect((await newcomer.call(`/${scaler}/IsActive`, emptyMessage).ended).status).toBe("0");
    await idle?.closed;
    for (const kept of [alone, inUse, younger])
      expect((await kept?.call(`/${scaler}/IsActive`, emptyMessage).ended)?.status).toBe("0");
    await Promise.all(crowd.map((one) => one[Symbol.asyncDispose]()));
  });

  test("a crowd that only connects never keeps a client out", async () => {
    await using held = await heldServer({ connectionsMax: 3 });
    const crowd = Array.from({ length: 30 }, () => rawClient(held.server.port, {}, "127.0.0.2"));
    const channel = await client.connect(held.address);
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
    await until(() => held.open.connections <= 3, "the others are cut");
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
    await Promise.all(crowd.map((one) => one[Symbol.asyncDispose]()));
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
