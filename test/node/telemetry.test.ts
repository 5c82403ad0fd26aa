import { afterEach, expect, test } from "bun:test";
import { connect } from "node:http2";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { credentials, loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { systemClock } from "#core/clock.ts";
import { NodeSnapshotSchema } from "#gen/gpuscaler/v1/node_telemetry_pb.ts";
import { snapshotDecoder } from "#telemetry/decode.ts";
import { frameReader } from "#telemetry/frames.ts";
import type { AgentReport } from "#telemetry/report.ts";
import { watchAgent } from "#telemetry/watch.ts";
import { manualClock } from "../support/manual-clock.ts";
import { type TestAgent, type TestAgentOptions, testAgent } from "../support/test-agent.ts";
import { until } from "../support/until.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function agent(options?: TestAgentOptions): Promise<TestAgent> {
  const started = await testAgent(options);
  cleanups.push(started.kill);
  return started;
}

function watcher({ address, port }: TestAgent) {
  const leaving = new AbortController();
  const decode = snapshotDecoder();
  const heard: (AgentReport | undefined)[] = [];
  const ended = watchAgent({
    address,
    port,
    clock: systemClock(),
    signal: leaving.signal,
    onSnapshot: (snapshot) => heard.push(decode(snapshot)),
  });
  // Each test looks at the end that it expects; the others end with their agent.
  ended.catch(() => {});
  const leave = () => leaving.abort(new Error("left"));
  cleanups.push(leave);
  const percent = () => heard.at(-1)?.report.devices[0]?.readings.utilizationPercent;
  return { heard, ended, leave, percent };
}

test("a foreign client reads the newest snapshot at once, then what changes", async () => {
  const { address, port, read } = await agent();
  read({ "GPU-1": 10, "GPU-2": 20 });
  const { gpuscaler } = loadPackageDefinition(
    loadSync(join(import.meta.dir, "../../proto/gpuscaler/v1/node_telemetry.proto"), {
      longs: Number,
      enums: String,
    }),
    // biome-ignore lint/suspicious/noExplicitAny: grpc-js makes its clients at run time, untyped.
  ) as any;
  const client = new gpuscaler.v1.NodeTelemetry(`${address}:${port}`, credentials.createInsecure());
  const call = client.watch({});
  cleanups.push(() => client.close());
  cleanups.push(() => call.cancel());
  const messages: { state?: unknown; keys: number[]; values: number[] }[] = [];
  call.on("data", (message: (typeof messages)[number]) => messages.push(message));
  call.on("error", () => {});

  await until(() => messages.length === 1);
  expect(messages[0]).toMatchObject({
    state: { node: "node-a", sampleIntervalMs: 1_000, devices: [{ uuid: "GPU-1" }, {}] },
    keys: [1, 65],
    values: [10, 20],
  });
  read({ "GPU-1": 10, "GPU-2": 30 });
  await until(() => messages.length === 2);
  expect(messages[1]).toMatchObject({ keys: [65], values: [30] });
  expect(messages[1]?.state ?? undefined).toBeUndefined();
});

test("many watchers all get the newest state; one too many is refused until one leaves", async () => {
  const serving = await agent({ watchersMax: 20 });
  serving.read({ "GPU-1": 10 });
  const watchers = Array.from({ length: 20 }, () => watcher(serving));
  await until(() => watchers.every(({ percent }) => percent() === 10));

  const tooMany = await watcher(serving).ended.then(String, String);
  expect(tooMany).toContain("gRPC status");

  serving.read({ "GPU-1": 11 });
  await until(() => watchers.every(({ percent }) => percent() === 11));
  watchers[0]?.leave();
  let free = watcher(serving);
  // The server hears of the one that left a moment later.
  while ((await Promise.race([free.ended.catch(() => "full"), firstOf(free)])) === "full")
    free = watcher(serving);
  expect(free.percent()).toBe(11);
});

async function firstOf({ heard }: ReturnType<typeof watcher>): Promise<string> {
  await until(() => heard.length > 0);
  return "heard";
}

test("an agent that has read no device says only that it is alive", async () => {
  const clock = manualClock();
  const serving = await agent({ clock });
  const { heard, percent } = watcher(serving);
  await until(() => heard.length === 1);
  clock.advance(5_000);
  await until(() => heard.length === 2);
  expect(heard).toEqual([undefined, undefined]);

  serving.read({ "GPU-1": 10 });
  await until(() => percent() === 10);
});

test("an agent whose driver hangs repeats itself, and the readings grow old", async () => {
  const clock = manualClock();
  const serving = await agent({ clock });
  serving.read({ "GPU-1": 10 });
  const { heard } = watcher(serving);
  await until(() => heard.length === 1);
  clock.advance(5_000);
  await until(() => heard.length === 2);
  expect(heard.map((one) => one?.report.ageMs)).toEqual([0, 5_000]);
});

test("an agent that drains ends its streams without an error, new ones too", async () => {
  const serving = await agent();
  serving.read({ "GPU-1": 10 });
  const { ended, percent } = watcher(serving);
  await until(() => percent() === 10);
  serving.drain();
  expect(await ended).toBeUndefined();
  const late = watcher(serving);
  expect(await late.ended).toBeUndefined();
  expect(late.heard).toEqual([]);
});

test("a watcher that reads slowly gets the newest state, not a queue", async () => {
  const serving = await agent();
  const names = Array.from({ length: 500 }, (_, index) => `GPU-${index}`);
  const load = (percent: number) =>
    serving.read(Object.fromEntries(names.map((name) => [name, percent])));
  load(100);
  const session = connect(`http://${serving.address}:${serving.port}`);
  cleanups.push(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": "/gpuscaler.v1.NodeTelemetry/Watch",
    "content-type": "application/grpc+proto",
  });
  stream.end(new Uint8Array(5));
  await new Promise((resolve) => stream.once("response", resolve));

  const rounds = 1_000;
  for (let round = 0; round < rounds; round += 1) {
    load(round % 100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  let newest: number | undefined;
  let messages = 0;
  const decode = snapshotDecoder();
  const read = frameReader((message) => {
    messages += 1;
    const heard = decode(fromBinary(NodeSnapshotSchema, message));
    newest = heard?.report.devices[0]?.readings.utilizationPercent;
  });
  stream.on("data", read);
  await until(() => newest === (rounds - 1) % 100);
  expect(messages).toBeLessThan(rounds / 2);
});
