/** An agent that lies, floods or babbles, against a scaler of the compiled binary. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  connect,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, connect as connectSocket } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  Health,
  type NodeSnapshotSchema,
  NodeStateSchema,
  NodeTelemetry,
} from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import type { Ref } from "../cluster/scaler.ts";
import { type ClusterScene, clusterScene } from "../cluster/scene.ts";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);
const keda = foreignClient();
const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  await keda[Symbol.asyncDispose]();
});

let scene: ClusterScene;
let llm: Ref;
beforeAll(async () => {
  scene = await clusterScene({ keda, nodes: ["node-a"] });
  stops.push(() => scene[Symbol.asyncDispose]());
  scene.node("node-a").gpus([{ percent: 42, pod: "llm-0" }]);
  llm = scene.workload({ name: "llm", pods: [{ name: "llm-0", node: "node-a" }] });
  await eventually(() => scene.scaler().value(llm), 42);
});

/** What the agent listed for node-b sends, one message after the other. */
type Messages = Iterable<MessageInitShape<typeof NodeSnapshotSchema>>;

/** Serves NodeTelemetry for node-b, and counts what the scaler lets it send. */
async function hostile(messages: () => Messages) {
  let sent = 0;
  const adapter = connectNodeAdapter({
    routes: (router) =>
      router.service(NodeTelemetry, {
        async *watch(_request, { signal }) {
          for (const message of messages()) {
            if (signal.aborted) return;
            yield message;
            sent += 1;
          }
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      }),
  });
  const stop = await listed(createServer(adapter));
  return { sent: () => sent, stop };
}

/** Lists a server as the agent of node-b, until it is stopped. */
async function listed(server: Http2Server): Promise<() => Promise<void>> {
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
    session.on("close", () => sessions.delete(session));
  });
  const address = "127.0.0.50";
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  scene.listAgent({ node: "node-b", address, port });
  return async () => {
    scene.unlistAgent("node-b");
    for (const session of sessions) session.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
}

const refusals = () =>
  scene
    .scaler()
    .gauge("keda_gpu_scaler_fleet_refused_reports_total")
    .then((count) => count ?? 0);

/** What the scaler holds in memory. */
function residentBytes(): number {
  const status = readFileSync(`/proc/${scene.scaler().serving.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** What a scaler may need for one agent, whatever that sends: far below what the floods send. */
const growthBytesMax = 128 * 1024 * 1024;

const state = (
  more: MessageInitShape<typeof NodeStateSchema>,
): MessageInitShape<typeof NodeSnapshotSchema> => ({
  state: create(NodeStateSchema, {
    node: "node-b",
    startedAtMs: BigInt(Date.now()) * 2n,
    session: 1,
    sampleIntervalMs: 1_000,
    ...more,
  }),
});
const gpu = { uuid: "GPU-00000001-0000-4000-8000-0", vendor: "mock", health: Health.OK };
const holder = { namespace: "default", pod: "llm-0", container: "main" };

describe("the honest node's value stays, and the agent of another node is refused, where it", () => {
  test.each<[what: string, messages: Messages]>([
    [
      "claims the honest agent's node",
      [{ ...state({ node: "node-a", devices: [gpu] }), keys: [1], values: [1] }],
    ],
    [
      "sends 1 MiB of empty devices",
      [state({ devices: Array.from({ length: 500_000 }, () => ({})) })],
    ],
    [
      "says that nobody shares a device that is held",
      [state({ devices: [{ ...gpu, holders: [{ ...holder, sharedBy: 0 }] }] })],
    ],
    ["sends readings of no device", [{ ...state({ devices: [gpu] }), keys: [65], values: [1] }]],
  ])("%s", async (_what, messages) => {
    const before = { refusals: await refusals(), bytes: residentBytes() };
    const agent = await hostile(() => messages);
    // The second refusal is of a stream that was opened again.
    await eventually(async () => (await refusals()) >= before.refusals + 2, true);
    expect(await scene.scaler().value(llm)).toBe(42);
    expect(residentBytes() - before.bytes).toBeLessThan(growthBytesMax);
    await agent.stop();
  });

  test("sends what is no message", async () => {
    const before = await refusals();
    const server = createServer();
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => {});
      stream.respond({ ":status": 200, "content-type": "application/grpc+proto" });
      const noise = crypto.getRandomValues(new Uint8Array(1_000));
      // Field 0 is in no message, so that the noise cannot happen to be one.
      stream.write(Buffer.concat([Buffer.from([0, 0, 0, 3, 0xe9, 0]), noise]));
    });
    const stop = await listed(server);
    await eventually(async () => (await refusals()) >= before + 2, true);
    expect(await scene.scaler().value(llm)).toBe(42);
    await stop();
  });
});

describe("the honest node's value stays, and memory too, while the agent of another node sends", () => {
  const devices = Array.from({ length: 512 }, (_, index) => ({
    ...gpu,
    uuid: `GPU-00000099-0000-4000-8000-${index}`,
    index,
    model: "m".repeat(256),
  }));

  test.each<[what: string, message: MessageInitShape<typeof NodeSnapshotSchema>, least: number]>([
    ["empty messages without end", {}, 1_000],
    ["its whole state without end", state({ devices }), 20],
  ])("%s", async (_what, message, least) => {
    const before = residentBytes();
    const agent = await hostile(function* () {
      for (;;) yield message;
    });
    await until(() => agent.sent() > 0);
    for (let asked = 0; asked < 100 || agent.sent() < least; asked += 1)
      expect(await scene.scaler().value(llm)).toBe(42);
    expect(residentBytes() - before).toBeLessThan(growthBytesMax);
    await agent.stop();
  });
});

test("clients of a few addresses take every place to watch an agent, and a new scaler gets in", async () => {
  const { address, agent } = scene.node("node-a");
  const { grpcPort: port } = agent();
  /** Watches, and says whether reports come or which gRPC status did. */
  const watch = async (localAddress: string) => {
    const session = connect(`http://${address}:${port}`, {
      createConnection: () => connectSocket({ host: address, port, localAddress }),
    });
    stops.push(() => session.destroy());
    session.on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": "/gpuscaler.v1.NodeTelemetry/Watch",
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    stream.on("error", () => {});
    stream.end(new Uint8Array(5));
    return new Promise<string>((resolve) => {
      stream.once("data", () => resolve("served"));
      const onHeaders = (headers: IncomingHttpHeaders) => {
        if (headers["grpc-status"] !== undefined) resolve(`status ${headers["grpc-status"]}`);
      };
      stream.on("response", onHeaders).on("trailers", onHeaders);
    });
  };
  const outcomes: Record<string, number> = {};
  for (let host = 1; host <= 20; host += 1)
    for (const outcome of await Promise.all(
      Array.from({ length: 5 }, () => watch(`127.0.9.${host}`)),
    ))
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  // Each address has four and one too many; the scaler that was there before has a place.
  expect(outcomes["served"]).toBeGreaterThanOrEqual(63);
  expect(outcomes["status 8"]).toBeGreaterThanOrEqual(20);

  const late = await scene.startScaler();
  await eventually(late.ready, "ok");
  await eventually(() => late.value(llm), 42);
  expect(await scene.scaler().value(llm)).toBe(42);
});
