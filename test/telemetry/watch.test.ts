import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  agentBurstMs,
  agentBytesPerSecond,
  agentMessageMs,
  messageBytesMax,
} from "#core/limits.ts";
import { type NodeSnapshot, NodeSnapshotSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { framed, frameReader } from "#telemetry/frames.ts";
import { watchAgent } from "#telemetry/watch.ts";
import { manualClock } from "../support/manual-clock.ts";
import { processorMs } from "../support/processor-time.ts";
import { until } from "../support/until.ts";

function frame(message: Uint8Array, flag = 0): Uint8Array {
  const header = Buffer.alloc(5);
  header.writeUInt8(flag, 0);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

describe("frameReader()", () => {
  test("reads a message that comes in many pieces for about what one of few costs", () => {
    const message = framed(new Uint8Array(messageBytesMax));
    const received: number[] = [];
    const read = frameReader(({ length }) => received.push(length));
    const tookMs = processorMs(() => {
      for (let at = 0; at < message.length; at += 16) read(message.subarray(at, at + 16));
    });
    expect(received).toEqual([messageBytesMax]);
    // Where each piece copied what came before it, 3 s.
    expect(tookMs).toBeLessThan(1_000);
  });

  test("gives each message once and whole, however the bytes are cut", () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 30 })), (sent, cuts) => {
        const received: number[][] = [];
        const read = frameReader((message) => received.push([...message]));
        let rest: Uint8Array = Buffer.concat(sent.map((message) => frame(message)));
        for (const cut of cuts) {
          read(rest.subarray(0, cut));
          rest = rest.subarray(cut);
        }
        read(rest);
        expect(received).toEqual(sent.map((message) => [...message]));
      }),
    );
  });

  test("refuses a compressed message, which was not offered", () => {
    const received: Uint8Array[] = [];
    const read = frameReader((message) => received.push(message));
    expect(() => read(frame(new Uint8Array(3), 1))).toThrow("it is compressed");
    expect(received).toEqual([]);
  });

  test("refuses a message above the limit by its header, and takes one at it", () => {
    const header = (bytes: number) => frame(new Uint8Array(bytes)).subarray(0, 5);
    const read = frameReader(() => {});
    expect(() => read(header(messageBytesMax))).not.toThrow();
    expect(() => frameReader(() => {})(header(messageBytesMax + 1))).toThrow(
      `${messageBytesMax + 1} bytes, the limit is ${messageBytesMax}`,
    );
  });
});

const stops: (() => unknown)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** Watches an agent whose answer the test plays. */
async function watching(
  answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
  signal = new AbortController().signal,
  clock = manualClock(),
) {
  const server = createServer();
  let connections = 0;
  server.on("session", (session) => {
    connections += 1;
    session.on("close", () => {
      connections -= 1;
    });
  });
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    answer(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stops.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const nodes: (string | undefined)[] = [];
  const onSnapshot = ({ state }: NodeSnapshot) => {
    nodes.push(state?.node);
  };
  const watched = watchAgent({ address: "127.0.0.1", port, clock, signal, onSnapshot });
  const end = watched.then(() => "ended", String);
  return { end, nodes, port, connections: () => connections };
}

const ok = { ":status": 200, "content-type": "application/grpc+proto" };
const snapshot = frame(
  toBinary(NodeSnapshotSchema, create(NodeSnapshotSchema, { state: { node: "node-a" } })),
);

const largeBytes = 100 * 1024;
const large = frame(
  toBinary(
    NodeSnapshotSchema,
    create(NodeSnapshotSchema, { state: { driverVersion: "x".repeat(largeBytes - 8) } }),
  ),
);

function finish(stream: ServerHttp2Stream, trailers: Record<string, string>): void {
  stream.respond(ok, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(snapshot);
}

describe("watchAgent()", () => {
  test("speaks gRPC, ends with the stream, and leaves no connection behind", async () => {
    let asked: IncomingHttpHeaders = {};
    const { end, nodes, connections } = await watching((stream, headers) => {
      asked = headers;
      finish(stream, { "grpc-status": "0" });
    });
    expect(await end).toBe("ended");
    expect(nodes).toEqual(["node-a"]);
    expect(asked).toMatchObject({
      ":method": "POST",
      ":path": "/gpuscaler.v1.NodeTelemetry/Watch",
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    while (connections() > 0) await Bun.sleep(1);
  });

  test.each([
    ["with its message", { "grpc-status": "8", "grpc-message": "too%20many" }, "status 8 too many"],
    ["without one", { "grpc-status": "14" }, /status 14 $/],
    ["whose message is not encoded", { "grpc-status": "2", "grpc-message": "5%" }, "status 2 5%"],
    ["that is missing", { other: "x" }, "gRPC status missing"],
  ])("fails with a status %s", async (_how, trailers, problem) => {
    const { end } = await watching((stream) => finish(stream, trailers));
    expect(await end).toMatch(problem);
  });

  test("fails with a status that comes at once, without trailers", async () => {
    const { end, port } = await watching((stream) =>
      stream.respond({ ...ok, "grpc-status": "12", "grpc-message": "no" }, { endStream: true }),
    );
    expect(await end).toBe(`Error: Cannot watch 127.0.0.1:${port}: gRPC status 12 no`);
  });

  test("fails at a port that is something else's", async () => {
    const { end } = await watching((stream) => stream.respond({ ":status": 404 }));
    expect(await end).toContain("HTTP status 404; see that the port is an agent's");
  });

  test("fails with a message that cannot be read", async () => {
    const { end } = await watching((stream) => {
      stream.respond(ok);
      stream.write(frame(new Uint8Array(3), 1));
    });
    expect(await end).toContain("it is compressed");
  });

  test("fails when the connection is lost", async () => {
    const { end, nodes } = await watching((stream) => {
      stream.respond(ok);
      stream.write(snapshot, () => stream.session?.destroy());
    });
    expect(await end).toStartWith("Error");
    expect(nodes).toEqual(["node-a"]);
  });

  test("fails with the reason for which it is aborted, before or while it watches", async () => {
    const before = await watching(() => {}, AbortSignal.abort(new Error("left before")));
    expect(await before.end).toBe("Error: left before");
    const leaving = new AbortController();
    const during = await watching((stream) => {
      stream.respond(ok);
      leaving.abort(new Error("left"));
    }, leaving.signal);
    expect(await during.end).toBe("Error: left");
    while (during.connections() > 0) await Bun.sleep(1);
  });

  test("fails where nobody listens", async () => {
    const { signal } = new AbortController();
    const call = {
      address: "127.0.0.1",
      port: 9,
      clock: manualClock(),
      signal,
      onSnapshot: () => {},
    };
    expect(await watchAgent(call).then(String, String)).toContain("ECONNREFUSED");
  });
});

describe("an agent that sends faster than agents do", () => {
  /** An agent that sends one message again and again, as fast as it can. */
  async function flood(message: Uint8Array) {
    const part = Buffer.concat(
      Array.from({ length: Math.ceil(16_384 / message.length) }, () => message),
    );
    const clock = manualClock();
    let takenBytes = 0;
    const { nodes } = await watching(
      (stream) => {
        stream.respond(ok);
        const send = () => {
          takenBytes += part.length;
          if (stream.write(part)) setImmediate(send);
          else stream.once("drain", send);
        };
        send();
      },
      undefined,
      clock,
    );
    return { clock, nodes, takenBytes: () => takenBytes };
  }

  test.each<[what: string, message: Uint8Array, paceMs: number]>([
    ["small messages", snapshot, agentMessageMs],
    ["large messages", large, (largeBytes / agentBytesPerSecond) * 1_000],
  ])("is read at its pace: %s", async (_what, message, paceMs) => {
    const burst = Math.floor(agentBurstMs / paceMs) + 1;
    const { clock, nodes, takenBytes } = await flood(message);
    await until(() => nodes.length >= burst);
    for (let more = 1; more <= 60; more += 1) {
      expect(nodes.length).toBeLessThan(burst + more);
      clock.advance(Math.ceil(paceMs));
      await until(() => nodes.length >= burst + more);
    }
    // What was sent and not read lies on the agent's side, but for the windows of the connection.
    expect(takenBytes() - nodes.length * message.length).toBeLessThan(messageBytesMax);
  });
});
