/**
 * What an answer costs: the compiled binary over the NVML stand-in with 8 GPUs whose PCIe call sleeps
 * 20 ms, asked by `@grpc/grpc-js` on Node.js.
 *
 *   bun bench/get-metrics.ts [--calls 100000] [--rounds 3] [--streams 1000] [--soak 1000000]
 *                            [--idle-seconds 30] [--starts 10] [--binary PATH]...
 *
 * Prints one JSON object a figure. Each load runs in rounds that alternate with the same load on the
 * servers of `floor.ts`, because on a machine that others use only the ratio of them says much. Several
 * binaries, each named by `--binary`, alternate too; without one it is the binary of these sources.
 * Of each load the medians of its rounds come last.
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
    rounds: { type: "string", default: "3" },
    streams: { type: "string", default: "0" },
    soak: { type: "string", default: "0" },
    "idle-seconds": { type: "string", default: "30" },
    starts: { type: "string", default: "10" },
    binary: { type: "string", multiple: true },
  },
});
const binaries = values.binary ?? [binary()];
const metadata = { targetGpuUtilization: "80" };
const soakStep = 100_000;
const streamSeconds = 10;
const nvml = await nvmlStandin();
nvml.set({ gpus: 8, each: { utilizationPercent: 73 } });
const args = ["--collector", "nvml", "--nvml-library", nvml.libraryPath];
const start = (path: string) => serveBinary({ args, env: nvml.env, command: [path] });
const report = (figure: string, facts: object) => console.log(JSON.stringify({ figure, ...facts }));

for (const path of binaries) {
  report("binary", { path, mebibytes: round(Bun.file(path).size / 2 ** 20) });
  await measureStarts(path);
  await measureStreams(path);
}

const servings = await Promise.all(binaries.map(start));
const servers = servings.map(({ pid, grpcPort }, at) => ({
  figure: `GetMetrics, ${binaries[at]}`,
  pid,
  port: grpcPort,
}));
for (const serving of servings) await firstAnswer(serving);
await measureIdle();
const floors = [await floorServer("http2"), await floorServer("connect")];
for (const callers of [1, 32]) measureCalls(callers);
for (const { figure, pid } of servers)
  report(`${figure}, after the calls`, { rssMebibytes: rss(pid) });
soak();
for (const floor of floors) floor.stop();
for (const serving of servings) await serving[Symbol.asyncDispose]();
nvml.remove();

/** Each start ends at the first answered call. */
async function measureStarts(path: string): Promise<void> {
  const startMs: number[] = [];
  for (let run = 0; run < Number(values.starts); run += 1) {
    const fromMs = performance.now();
    const serving = await start(path);
    await firstAnswer(serving);
    startMs.push(performance.now() - fromMs);
    await serving[Symbol.asyncDispose]();
  }
  if (startMs.length === 0) return;
  report("start to first answered call", {
    path,
    runs: startMs.length,
    medianMs: round(median(startMs)),
    maxMs: round(Math.max(...startMs)),
  });
}

/** Push streams of one connection that repeat themselves each second. */
async function measureStreams(path: string): Promise<void> {
  const streams = Number(values.streams);
  if (streams === 0) return;
  await using serving = await start(path);
  await firstAnswer(serving);
  await Bun.sleep(3_000);
  const rssBefore = rss(serving.pid);
  const program = join(import.meta.dir, "stream-load.mjs");
  const client = Bun.spawn(["node", program, `${serving.grpcPort}`, `${streams}`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  await client.stdout.getReader().read();
  const cpuFrom = cpuSeconds(serving.pid);
  await Bun.sleep(streamSeconds * 1_000);
  report("push streams, a message a second each", {
    path,
    streams,
    cpuMsPerMessage: ((cpuSeconds(serving.pid) - cpuFrom) * 1_000) / (streams * streamSeconds),
    rssMebibytes: rss(serving.pid),
    rssKibibytesPerStream: round(((rss(serving.pid) - rssBefore) * 1_024) / streams),
  });
  client.kill();
  await client.exited;
}

async function measureIdle(): Promise<void> {
  await Bun.sleep(3_000);
  const before = servers.map(({ pid }) => cpuSeconds(pid));
  const seconds = Number(values["idle-seconds"]);
  await Bun.sleep(seconds * 1_000);
  for (const [at, { figure, pid }] of servers.entries())
    report(`${figure}, idle, sampling 8 GPUs at 1 Hz`, {
      seconds,
      cpuPercentOfACore: round(((cpuSeconds(pid) - (before[at] ?? 0)) / seconds) * 100),
      rssMebibytes: rss(pid),
    });
}

function measureCalls(callers: number): void {
  const rounds = Number(values.rounds);
  const calls = Math.ceil(Number(values.calls) / (callers === 1 ? 5 : 1) / rounds);
  const all = [...floors, ...servers];
  const loads = Array.from({ length: rounds }, () =>
    all.map((server) => load(server, { callers, calls })),
  );
  for (const [at, { figure }] of all.entries()) {
    const medianOf = (name: keyof Load) => median(loads.map((round) => round[at]?.[name] ?? 0));
    report(`${figure}, medians`, {
      callers,
      rounds,
      callsPerSecond: medianOf("callsPerSecond"),
      p50Ms: medianOf("p50Ms"),
      p99Ms: medianOf("p99Ms"),
      serverCpuMsPerCall: medianOf("serverCpuMsPerCall"),
    });
  }
}

function soak(): void {
  for (let done = 0; done < Number(values.soak); done += soakStep)
    for (const server of servers) {
      load(server, { callers: 32, calls: soakStep });
      report(`${server.figure}, soak`, { calls: done + soakStep, rssMebibytes: rss(server.pid) });
    }
}

interface Server {
  readonly figure: string;
  readonly pid: number;
  readonly port: number;
}

async function floorServer(kind: string): Promise<Server & { readonly stop: () => void }> {
  const program = join(import.meta.dir, "floor.ts");
  const child = Bun.spawn([process.execPath, program, kind], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  return { figure: `bare ${kind}`, pid: child.pid, port, stop: () => child.kill() };
}

interface Load {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly serverCpuMsPerCall: number;
}

function load({ figure, pid, port }: Server, request: { callers: number; calls: number }): Load {
  const cpuFrom = cpuSeconds(pid);
  const program = join(import.meta.dir, "load.mjs");
  const node = ["node", program, String(port), JSON.stringify({ ...request, metadata })];
  const { stdout, stderr, exitCode } = Bun.spawnSync(node);
  if (exitCode !== 0) throw new Error(`the load failed: ${stderr}`);
  const serverMs = (cpuSeconds(pid) - cpuFrom) * 1_000;
  const serverCpuMsPerCall = Number((serverMs / request.calls).toFixed(3));
  const result = { ...JSON.parse(stdout.toString()), serverCpuMsPerCall };
  report(figure, result);
  return result;
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

function median(values: readonly number[]): number {
  return values.toSorted((low, high) => low - high)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Number(value.toFixed(1));
}
