/**
 * KEDA's load: every ScaledObject is asked 18 times a minute, 6 times for each of GetMetricSpec,
 * GetMetrics and IsActive, evenly spread, over one connection. `@grpc/grpc-js` on Node.js.
 *
 *   node bench/keda-load.mjs PORT SECONDS REFS.json [EVERY_SECONDS]
 *
 * REFS.json: a list of { name, namespace, scalerMetadata }. Prints one JSON object, or one for each span
 * of so many seconds; failures are counted by code, and each code's first sentence is told. An age is that of
 * the sample behind an answer, which `power_draw` carries (see fleet-plan.ts).
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [port, seconds, path, everySeconds] = process.argv.slice(2);
const refs = JSON.parse(readFileSync(path, "utf8"));
const proto = fileURLToPath(
  new URL("../proto/externalscaler/externalscaler.proto", import.meta.url),
);
const { externalscaler } = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true }));
const client = new externalscaler.ExternalScaler(
  `127.0.0.1:${port}`,
  grpc.credentials.createInsecure(),
);
const powerCycleMs = 100_000_000;
const endMs = performance.now() + Number(seconds) * 1000;
let latenciesMs = [];
let agesMs = [];
let failures = new Map();
let sentences = new Map();
let calls = 0;
let open = 0;

function call(method, request, done) {
  calls += 1;
  open += 1;
  client[method](request, (error, answer) => {
    open -= 1;
    if (error === null) done(answer);
    else {
      const code = grpc.status[error.code];
      failures.set(code, (failures.get(code) ?? 0) + 1);
      if (!sentences.has(code)) sentences.set(code, error.details);
    }
  });
}

function round(ref) {
  call("GetMetricSpec", ref, () => {});
  const sentMs = performance.now();
  call(
    "GetMetrics",
    { scaledObjectRef: ref, metricName: "" },
    ({ metricValues: [{ metricValueFloat }] }) => {
      latenciesMs.push(performance.now() - sentMs);
      if (performance.now() < endMs) call("IsActive", ref, () => {});
      if (ref.scalerMetadata.metricType !== "power_draw" || !(metricValueFloat > 0)) return;
      const ageMs = (Date.now() % powerCycleMs) - metricValueFloat * 1000;
      agesMs.push(ageMs < 0 ? ageMs + powerCycleMs : ageMs);
    },
  );
}

function report() {
  console.log(
    JSON.stringify({
      calls,
      failures: Object.fromEntries(failures),
      sentences: Object.fromEntries(sentences),
      getMetricsMsP50: quantile(latenciesMs, 0.5),
      getMetricsMsP99: quantile(latenciesMs, 0.99),
      ageMsP50: quantile(agesMs, 0.5),
      ageMsP99: quantile(agesMs, 0.99),
    }),
  );
  [calls, latenciesMs, agesMs, failures, sentences] = [0, [], [], new Map(), new Map()];
}

function quantile(values, share) {
  const ascending = values.toSorted((low, high) => low - high);
  const value = ascending[Math.ceil(share * ascending.length) - 1];
  return value === undefined ? null : Number(value.toFixed(1));
}

const intervalMs = 60_000 / 6;
const reporting =
  everySeconds === undefined ? undefined : setInterval(report, Number(everySeconds) * 1000);
await Promise.all(
  refs.map(async (ref, at) => {
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    await pause((at / refs.length) * intervalMs);
    while (performance.now() < endMs) {
      round(ref);
      await pause(intervalMs);
    }
  }),
);
while (open > 0) await new Promise((resolve) => setTimeout(resolve, 10));
clearInterval(reporting);
report();
client.close();
