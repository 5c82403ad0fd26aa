import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type ForeignClient, foreignClient } from "../foreign/client.ts";
import { manualClock } from "../support/manual-clock.ts";
import { rawClient } from "./raw-client.ts";
import { heldServer, until } from "./stand-in.ts";

const scaler = "externalscaler.ExternalScaler";
/** For tests that make hundreds of calls: a busy machine needs its time. */
const loadedTestMs = 30_000;
let client: ForeignClient;
beforeAll(() => {
  client = foreignClient();
});
afterAll(() => client[Symbol.asyncDispose]());

describe("an old connection", () => {
  test(
    "ends its streams with OK and loses no call, time after time",
    async () => {
      await using held = await heldServer({ connectionAgeMs: 150 });
      held.set({ active: () => true });
      const channel = await client.connect(held.address);
      const codes: Record<string, number> = {};
      let endedOk = 0;
      let loading = true;
      const load = async () => {
        while (loading) {
          const round = await channel.burst(20, scaler, "IsActive");
          for (const [code, count] of Object.entries(round))
            codes[code] = (codes[code] ?? 0) + count;
        }
      };
      const follow = async () => {
        while (endedOk < 5) {
          const stream = await channel.stream(scaler, "StreamIsActive");
          const { code, details } = await stream.ended;
          expect({ code, details, heard: stream.waiting()[0] }).toEqual({
            code: "OK",
            details: "",
            heard: { result: true },
          });
          endedOk += 1;
        }
        loading = false;
      };
      await Promise.all([load(), load(), follow()]);
      expect(Object.keys(codes)).toEqual(["OK"]);
      await until(() => held.open.connections <= 1, "old connections are closed");
      expect(held.open.streams).toBe(0);
      expect(held.logged).toEqual([]);
    },
    loadedTestMs,
  );

  test("is closed, and the next call opens a new one", async () => {
    await using held = await heldServer({ connectionAgeMs: 100 });
    const channel = await client.connect(held.address);
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
    await until(() => held.open.connections === 0, "the connection is closed");
    await until(async () => (await channel.state()) === "IDLE", "the channel is idle");
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
  });

  test.each([
    [0, 800],
    [0.5, 1_000],
    [0.999_999, 1_200],
  ])("is drained at its own age (%p of the spread: %p ms)", async (share, ageMs) => {
    const clock = manualClock();
    const limits = { connectionAgeMs: 1_000, connectionAgeJitter: 0.2 };
    await using held = await heldServer({ clock, random: () => share, ...limits });
    const channel = await client.connect(held.address);
    const stream = await channel.stream(scaler, "StreamMetricSpec");
    await stream.next();
    clock.advance(ageMs - 1);
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
    expect(held.open.streams).toBe(1);
    clock.advance(1);
    expect((await stream.ended).code).toBe("OK");
  });

  test("is left in peace while it is used", async () => {
    await using held = await heldServer({ prefaceMs: 50, idleMs: 50 });
    const channel = await client.connect(held.address);
    await using stream = await channel.stream(scaler, "StreamIsActive");
    await stream.next();
    await Bun.sleep(200);
    held.set({ active: () => true });
    expect(await stream.next()).toEqual({ result: true });
  });

  test("is closed when nobody has called for a while", async () => {
    await using held = await heldServer({ idleMs: 100 });
    const channel = await client.connect(held.address);
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
    await until(() => held.open.connections === 0, "the connection is closed");
    expect((await channel.unary(scaler, "IsActive")).code).toBe("OK");
    expect(held.logged).toEqual([]);
  });

  test("whose client does not read is cut", async () => {
    await using held = await heldServer({ connectionAgeMs: 100, shutdownMs: 100 });
    held.set({ active: () => true });
    await using raw = rawClient(held.server.port, { initialWindowSize: 0 });
    raw.call(`/${scaler}/StreamIsActive`, new Uint8Array(5));
    await until(() => held.open.streams === 1, "the stream is open");
    await until(() => held.open.connections === 0, "the connection is cut");
    expect(held.open.streams).toBe(0);
  });
});

/** A client that never closes its side, whatever the server does. */
async function stubbornSocket(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => undefined).resume();
  await once(socket, "connect");
  return socket;
}

/** Whether a socket is still there for the kernel: it answers nothing to a socket that is closed. */
async function isHalfOpen(socket: Socket): Promise<boolean> {
  const closed = new Promise<boolean>((resolve) => socket.once("close", () => resolve(false)));
  socket.write("?");
  return Promise.race([closed, Bun.sleep(200).then(() => true)]);
}

describe("a client that never closes its side", () => {
  test("is cut when its connection is old", async () => {
    await using held = await heldServer({ connectionAgeMs: 100, shutdownMs: 100 });
    const socket = await stubbornSocket(held.server.port);
    await until(() => held.open.connections === 1, "the connection is open");
    await until(() => held.open.connections === 0, "the connection is cut");
    expect(await isHalfOpen(socket)).toBe(false);
  });

  test("is cut when there are too many", async () => {
    await using held = await heldServer({ connectionsMax: 1 });
    const socket = await stubbornSocket(held.server.port);
    await until(() => held.open.connections === 1, "the first connection is open");
    await using raw = rawClient(held.server.port);
    expect((await raw.call(`/${scaler}/IsActive`, new Uint8Array(5)).ended).status).toBe("0");
    expect(await isHalfOpen(socket)).toBe(false);
    expect(held.open.connections).toBe(1);
    expect(held.logged).toMatchObject([
      { level: "warn", event: "connection cut", facts: { limit: 1, peer: "127.0.0.1" } },
    ]);
  });

  test("is cut when it says nothing, or no HTTP/2", async () => {
    await using held = await heldServer({ prefaceMs: 100, idleMs: 60_000 });
    const silent = await stubbornSocket(held.server.port);
    const slow = await stubbornSocket(held.server.port);
    slow.write("PRI * HTTP/2.0");
    await until(() => held.open.connections === 2, "both connections are open");
    await until(() => held.open.connections === 0, "both are cut");
    expect(await isHalfOpen(silent)).toBe(false);
    expect(await isHalfOpen(slow)).toBe(false);
  });

  test("has no turn kept for it when it has gone while it waited", async () => {
    const clock = manualClock();
    await using held = await heldServer({ clock, newConnectionsMax: 1, newConnectionMs: 1_000 });
    await using first = rawClient(held.server.port, {}, "127.0.0.2");
    expect((await first.call(`/${scaler}/IsActive`, new Uint8Array(5)).ended).status).toBe("0");
    const crowd = await Promise.all(
      Array.from({ length: 9 }, () => stubbornSocket(held.server.port)),
    );
    await until(() => held.open.connections === 10, "the crowd waits");
    for (const socket of crowd) socket.destroy();
    clock.advance(1_000);
    await until(() => held.open.connections === 1, "the crowd is gone, in one turn");
    expect(held.logged).toEqual([]);
  });

  test("is cut some time after its session has ended", async () => {
    await using held = await heldServer({ shutdownMs: 100 });
    const socket = await stubbornSocket(held.server.port);
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.write(new Uint8Array([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    // GOAWAY of the client's own.
    socket.write(new Uint8Array([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    await until(() => held.open.connections === 1, "the connection is open");
    await until(() => held.open.connections === 0, "the connection is cut");
  });

  test("does not keep the server from stopping", async () => {
    await using held = await heldServer({ shutdownMs: 100 });
    const socket = await stubbornSocket(held.server.port);
    await until(() => held.open.connections === 1, "the connection is open");
    await held.server.stop();
    expect(held.open.connections).toBe(0);
    expect(await isHalfOpen(socket)).toBe(false);
  });
});

test("a port that is taken is the system's own error", async () => {
  await using held = await heldServer();
  await expect(heldServer({ port: held.server.port })).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
});

describe("stop()", () => {
  test("does not wait for a socket that says nothing", async () => {
    await using held = await heldServer({ shutdownMs: 100 });
    const closed = Promise.withResolvers<void>();
    await Bun.connect({
      hostname: "127.0.0.1",
      port: held.server.port,
      socket: { data: () => undefined, close: () => closed.resolve() },
    });
    await held.server.stop();
    await closed.promise;
    expect(held.open.connections).toBe(0);
  });

  test("ends open streams with OK, then refuses", async () => {
    await using held = await heldServer();
    const channel = await client.connect(held.address);
    const streams = await Promise.all(
      ["StreamIsActive", "StreamMetricSpec"].map((method) => channel.stream(scaler, method)),
    );
    for (const stream of streams) await stream.next();
    const first = held.server.stop();
    expect(held.server.stop()).toBe(first);
    await first;
    for (const stream of streams) expect((await stream.ended).code).toBe("OK");
    expect(held.open).toEqual({ streams: 0, connections: 0 });
    expect(held.listeners.size).toBe(0);
    expect((await channel.unary(scaler, "IsActive")).code).toBe("UNAVAILABLE");
    expect(held.logged).toEqual([]);
  });

  test(
    "loses no call that is on its way",
    async () => {
      await using held = await heldServer();
      const channel = await client.connect(held.address);
      await channel.unary(scaler, "IsActive");
      const burst = channel.burst(500, scaler, "IsActive");
      await until(() => held.finished.length > 1, "the burst has begun");
      const stopped = held.server.stop();
      const { OK = 0, UNAVAILABLE = 0, ...others } = await burst;
      await stopped;
      expect(others).toEqual({});
      expect(OK + UNAVAILABLE).toBe(500);
      expect(OK).toBe(held.finished.filter(({ code }) => code === "OK").length - 1);
    },
    loadedTestMs,
  );

  test("waits for a call at hand", async () => {
    await using held = await heldServer();
    await using raw = rawClient(held.server.port);
    const call = raw.call(`/${scaler}/IsActive`);
    await raw.call(`/${scaler}/IsActive`, new Uint8Array(5)).ended; // So the first has come, too.
    const stopped = held.server.stop();
    call.send(new Uint8Array(5));
    expect((await call.ended).status).toBe("0");
    await stopped;
  });

  test("refuses a new stream on a connection that cannot close yet", async () => {
    await using held = await heldServer({ shutdownMs: 300 });
    held.set({ active: () => true });
    await using raw = rawClient(held.server.port, { initialWindowSize: 0 });
    raw.call(`/${scaler}/StreamIsActive`, new Uint8Array(5));
    await until(() => held.open.streams === 1, "a stream is open that the client does not read");
    const stopped = held.server.stop();
    const refused = await raw.call(`/${scaler}/StreamIsActive`, new Uint8Array(5)).ended;
    expect(refused).toEqual({
      status: "14",
      message: "Cannot answer: the scaler is stopping; ask another replica",
    });
    await stopped;
    expect(held.open).toEqual({ streams: 0, connections: 0 });
  });

  test("cuts a client that never goes", async () => {
    await using held = await heldServer({ shutdownMs: 100, handlerMs: 60_000 });
    await using raw = rawClient(held.server.port);
    raw.call(`/${scaler}/IsActive`);
    await raw.call(`/${scaler}/IsActive`, new Uint8Array(5)).ended; // So the first has come, too.
    await held.server.stop();
    expect(held.open.connections).toBe(0);
  });
});
