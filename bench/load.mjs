/**
 * A foreign client under load: `@grpc/grpc-js` on Node.js asks GetMetrics and reports latencies.
 *
 *   node bench/load.mjs PORT '{"callers":32,"calls":100000,"metadata":{...}}'
 *
 * Prints one JSON object: calls, failed, seconds, callsPerSecond, p50Ms, p99Ms, maxMs.
 */
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [port, request] = process.argv.slice(2);
const { callers, calls, metadata } = JSON.parse(request);
const proto = fileURLToPath(
  new URL("../proto/externalscaler/externalscaler.proto", import.meta.url),
);
const { externalscaler } = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true }));
const client = new externalscaler.ExternalScaler(
  `127.0.0.1:${port}`,
  grpc.credentials.createInsecure(),
);
const ask = {
  scaledObjectRef: { name: "bench", namespace: "bench", scalerMetadata: metadata },
  metricName: "gpu-utilization",
};
const getMetrics = () =>
  new Promise((resolve) => client.GetMetrics(ask, (error) => resolve(error === null)));

// Both compilers have seen the path before anything is counted.
for (let warm = 0; warm < 200; warm += 1) await getMetrics();

const latenciesMs = new Float64Array(calls);
let next = 0;
let failed = 0;
const startedMs = performance.now();
await Promise.all(
  Array.from({ length: callers }, async () => {
    while (next < calls) {
      const mine = next++;
      const sentMs = performance.now();
      if (!(await getMetrics())) failed += 1;
      latenciesMs[mine] = performance.now() - sentMs;
    }
  }),
);
const seconds = (performance.now() - startedMs) / 1000;
latenciesMs.sort();
const at = (share) => Number(latenciesMs[Math.ceil(share * calls) - 1].toFixed(3));
console.log(
  JSON.stringify({
    callers,
    calls,
    failed,
    seconds: Number(seconds.toFixed(1)),
    callsPerSecond: Math.round(calls / seconds),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  }),
);
client.close();
