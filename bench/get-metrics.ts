/**
 * What an answer costs: the compiled binary over the NVML stand-in with 8 GPUs whose PCIe call sleeps
 * 20 ms, asked by `@grpc/grpc-js` on Node.js.
 *
 *   bun bench/get-metrics.ts [--calls 100000] [--soak 1000000] [--idle-seconds 30] [--starts 10]
 *
 * Prints one JSON object a figure. Each load runs in rounds that alternate with the same load on a bare
 * HTTP/2 server, because on a machine that others use only the ratio of the two says much.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ExternalScaler } from "../gen/externalscaler/externalscaler_pb.ts";
import { nvmlStandin } from "../test/nvml-standin/control.ts";
import { binary, type Serving, serveBinary } from "../test/support/binary.ts";

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "100000" },
    soak: { type: "string", default: "0" },
    "idle-seconds": { type: "string", default: "30" },
    starts: { type: "string", default: "10" },
  },
});
const metadata = { targetGpuUtilization: "80" };
const rounds = 3;
const soakStep = 100_000;
const nvml = await nvmlStandin();
nvml.set({ gpus: 8, each: { utilizationPercent: 73 } });
const args = ["--collector", "nvml", "--nvml-library", nvml.libraryPath];
const start = () => serveBinary({ args, env: nvml.env });
const report = (figure: string, facts: object) => console.log(JSON.stringify({ figure, ...facts }));

report("binary", { mebibytes: round(Bun.file(binary()).size / 2 ** 20) });

const startMs: number[] = [];
for (let run = 0; run < Number(values.starts); run += 1) {
  const fromMs = performance.now();
  const serving = await start();
  await firstAnswer(serving);
  startMs.push(performance.now() - fromMs);
  await serving[Symbol.asyncDispose]();
}
startMs.sort((low, high) => low - high);
report("start to first answered call", {
  runs: startMs.length,
  medianMs: round(startMs[Math.floor(startMs.length / 2)] ?? Number.NaN),
  maxMs: round(startMs.at(-1) ?? Number.NaN),
});

const serving = await start();
await firstAnswer(serving);
await Bun.sleep(3_000);
const before = cpuSeconds(serving.pid);
const idleSeconds = Number(values["idle-seconds"]);
await Bun.sleep(idleSeconds * 1_000);
report("idle, sampling 8 GPUs at 1 Hz", {
  seconds: idleSeconds,
  cpuPercentOfACore: round(((cpuSeconds(serving.pid) - before) / idleSeconds) * 100),
  rssMebibytes: rss(serving.pid),
});

const bare = await bareServer();
const ours = { figure: "GetMetrics", pid: serving.pid, port: serving.grpcPort };
const calls = Number(values.calls);
for (const callers of [1, 32])
  for (let round = 0; round < rounds; round += 1)
    for (const server of [bare, ours]) {
      const share = callers === 1 ? calls / 5 : calls;
      load(server, { callers, calls: Math.ceil(share / rounds) });
    }
report("after the calls", { rssMebibytes: rss(serving.pid) });
for (let done = 0; done < Number(values.soak); done += soakStep) {
  load(ours, { callers: 32, calls: soakStep });
  report("soak", { calls: done + soakStep, rssMebibytes: rss(serving.pid) });
}
bare.stop();
await serving[Symbol.asyncDispose]();
nvml.remove();

interface Server {
  readonly figure: string;
  readonly pid: number;
  readonly port: number;
}

async function bareServer(): Promise<Server & { readonly stop: () => void }> {
  const program = join(import.meta.dir, "floor.ts");
  const child = Bun.spawn([process.execPath, program], { stdout: "pipe", stderr: "inherit" });
  const { value } = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  return { figure: "bare HTTP/2", pid: child.pid, port, stop: () => child.kill() };
}

function load({ figure, pid, port }: Server, request: { callers: number; calls: number }): void {
  const cpuFrom = cpuSeconds(pid);
  const program = join(import.meta.dir, "load.mjs");
  const node = ["node", program, String(port), JSON.stringify({ ...request, metadata })];
  const { stdout, stderr, exitCode } = Bun.spawnSync(node);
  if (exitCode !== 0) throw new Error(`the load failed: ${stderr}`);
  const serverMs = (cpuSeconds(pid) - cpuFrom) * 1_000;
  const perCall = { serverCpuMsPerCall: Number((serverMs / request.calls).toFixed(3)) };
  report(figure, { ...JSON.parse(stdout.toString()), ...perCall });
}

async function firstAnswer({ grpcPort }: Serving): Promise<void> {
  const scaler = createClient(
    ExternalScaler,
    createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` }),
  );
  const request = { scaledObjectRef: { scalerMetadata: metadata } };
  while (!(await scaler.getMetrics(request).then(Boolean, () => false))) await Bun.sleep(1);
}

/** User and system time, from /proc, which counts every thread. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function rss(pid: number): number {
  const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return round(Number(kibibytes) / 1024);
}

function round(value: number): number {
  return Number(value.toFixed(1));
}
