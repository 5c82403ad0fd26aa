/**
 * A well-behaved client beside an attack: it holds push streams and asks GetMetrics at a steady pace
 * on one connection, as KEDA does.
 *
 *   node test/hostile/good-client.mjs PORT STREAMS
 *
 * Prints `{"streams"}` when its streams have spoken, then for each line of its input what it saw since
 * the line before: `{"calls", "failed", "codes", "p50Ms", "p99Ms", "maxMs", "newcomers"}`.
 */
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [port, streamsText] = process.argv.slice(2);
const everyMs = 20;
const deadlineMs = 2_000;
const proto = fileURLToPath(
  new URL("../../proto/externalscaler/externalscaler.proto", import.meta.url),
);
const { externalscaler } = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true }));
const client = new externalscaler.ExternalScaler(
  `127.0.0.1:${port}`,
  grpc.credentials.createInsecure(),
  { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 500 },
);
const scalerMetadata = { targetGpuUtilization: "80" };
const refOf = (name) => ({ name, namespace: "good", scalerMetadata });

const open = (at) =>
  new Promise((resolve) => {
    const stream = client.StreamIsActive(refOf(`stream-${at}`));
    stream.once("data", resolve);
    stream.on("data", () => undefined);
    // As KEDA: a stream that ends is opened again after a pause.
    stream.on("error", () => undefined);
    stream.once("close", () => setTimeout(() => open(at).then(resolve), 1_000));
  });
const streams = Number(streamsText);
await Promise.all(Array.from({ length: streams }, (_, at) => open(at)));
const printLine = (facts) => process.stdout.write(`${JSON.stringify(facts)}\n`);
printLine({ streams });

let latenciesMs = [];
let codes = {};
let newcomers = { calls: 0, failed: 0 };
const print = () => {
  latenciesMs.sort((one, other) => one - other);
  const at = (share) => latenciesMs[Math.ceil(share * latenciesMs.length) - 1] ?? null;
  const { OK = 0 } = codes;
  const [calls, failed] = [latenciesMs.length, latenciesMs.length - OK];
  printLine({ calls, failed, codes, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), newcomers });
};
createInterface({ input: process.stdin }).on("line", () => {
  print();
  latenciesMs = [];
  codes = {};
  newcomers = { calls: 0, failed: 0 };
});
setInterval(() => {
  const sentMs = performance.now();
  const deadline = Date.now() + deadlineMs;
  client.GetMetrics({ scaledObjectRef: refOf("good"), metricName: "" }, { deadline }, (error) => {
    latenciesMs.push(Math.round((performance.now() - sentMs) * 10) / 10);
    const code = error === null ? "OK" : grpc.status[error.code];
    codes[code] = (codes[code] ?? 0) + 1;
  });
}, everyMs);

/** A client that has no connection yet, such as a KEDA that has just started. */
setInterval(() => {
  const fresh = new externalscaler.ExternalScaler(
    `127.0.0.1:${port}`,
    grpc.credentials.createInsecure(),
    { "grpc.use_local_subchannel_pool": 1 },
  );
  fresh.GetMetricSpec(refOf("fresh"), { deadline: Date.now() + deadlineMs }, (error) => {
    newcomers.calls += 1;
    if (error !== null) newcomers.failed += 1;
    fresh.close();
  });
}, 500);
