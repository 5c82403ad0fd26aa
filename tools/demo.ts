/**
 * Shows the answers that KEDA would get, changing: `serve` with the mock collector on one side, a
 * gRPC client that asks what KEDA asks on the other. Ends with Ctrl-C, or after `--seconds N`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ExternalScaler } from "../gen/externalscaler/externalscaler_pb.ts";

const metadata = { targetGpuUtilization: "80", aggregation: "sum", activationThreshold: "120" };
const minReplicas = 0;
const maxReplicas = 8;
const hpaTolerance = 0.1;

const { values } = parseArgs({ options: { seconds: { type: "string" } } });
const secondsMost =
  values.seconds === undefined ? Number.POSITIVE_INFINITY : Number(values.seconds);

const main = join(import.meta.dir, "..", "src", "main.ts");
const server = Bun.spawn(
  [process.execPath, main, "serve", "--collector", "mock", "--bind", "127.0.0.1"].concat([
    "--port",
    "0",
    "--http-port",
    "0",
  ]),
  { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
);
process.on("SIGINT", () => server.kill());
process.on("SIGTERM", () => server.kill());

const { grpcPort, httpPort } = await ports(server.stderr);
while (!(await fetch(`http://127.0.0.1:${httpPort}/readyz`)).ok) await Bun.sleep(50);
const scaler = createClient(
  ExternalScaler,
  createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` }),
);
const ask = (extra: Record<string, string> = {}) => ({
  scaledObjectRef: { name: "demo", namespace: "demo", scalerMetadata: { ...metadata, ...extra } },
  metricName: "gpu-utilization",
});

console.log(`keda-gpu-scaler is answering on 127.0.0.1:${grpcPort} (gRPC) with mock GPUs.
Metrics: http://127.0.0.1:${httpPort}/metrics

The trigger, as it would stand in a ScaledObject:

  triggers:
    - type: external
      metadata:
        scalerAddress: 127.0.0.1:${grpcPort}
${Object.entries(metadata)
  .map(([key, value]) => `        ${key}: "${value}"`)
  .join("\n")}

GPU 0..3: utilization of each. GetMetrics and IsActive: what KEDA gets. Replicas: what the HPA
makes of it (AverageValue, tolerance ${hpaTolerance}), from ${minReplicas} to ${maxReplicas}.

time       GPU 0  GPU 1  GPU 2  GPU 3   GetMetrics  IsActive   replicas`);

let replicas = 1;
for (let second = 0; second < secondsMost && server.exitCode === null; second += 1) {
  try {
    console.log(await row());
  } catch (error) {
    // A call that is under way when Ctrl-C comes fails with the server: that is the end, no fault.
    if (server.exitCode === null && !server.killed) throw error;
  }
  await Bun.sleep(1_000);
}
server.kill();
process.exit((await server.exited) === 0 ? 0 : 1);

async function row(): Promise<string> {
  const each = await Promise.all(
    [0, 1, 2, 3].map((gpuIndex) => value({ gpuIndex: String(gpuIndex) })),
  );
  const sum = await value({});
  const { result: active } = await scaler.isActive(ask().scaledObjectRef);
  const before = replicas;
  replicas = desired(sum, active, before);
  const arrow = replicas > before ? " ▲" : replicas < before ? " ▼" : "";
  return [
    new Date().toTimeString().slice(0, 8).padEnd(10),
    ...each.map((percent) => `${percent.toFixed(0)} %`.padStart(6)),
    sum.toFixed(1).padStart(12),
    String(active).padStart(9),
    `${String(replicas).padStart(10)}${arrow}`,
  ].join(" ");
}

async function value(extra: Record<string, string>): Promise<number> {
  const { metricValues } = await scaler.getMetrics(ask(extra));
  const [only] = metricValues;
  if (only === undefined) throw new Error("GetMetrics gave no value");
  return only.metricValueFloat;
}

/** KEDA between 0 and 1, the HPA's AverageValue formula above. */
function desired(sum: number, active: boolean, now: number): number {
  if (!active) return minReplicas;
  const target = Number(metadata.targetGpuUtilization);
  const ratio = sum / (target * Math.max(now, 1));
  if (now > 0 && Math.abs(ratio - 1) <= hpaTolerance) return now;
  return Math.min(maxReplicas, Math.max(1, Math.ceil(sum / target)));
}

/** Reads the log until the line that names the ports; passes on what it says if it never comes. */
async function ports(log: ReadableStream<Uint8Array>): Promise<Record<string, unknown>> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of log) {
    text += decoder.decode(chunk, { stream: true });
    const line = text.split("\n").find((each) => each.includes('"event":"serving"'));
    if (line?.endsWith("}")) return JSON.parse(line) as Record<string, unknown>;
  }
  throw new Error(`the server ended before it served:\n${text}`);
}
