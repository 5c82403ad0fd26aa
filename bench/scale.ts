/**
 * One scaler at the edge of what it follows: 5,000 nodes with 8 GPUs and 20,000 pods, and 2,000
 * ScaledObjects that KEDA asks for 18 times a minute each.
 *
 *   bun bench/scale.ts [--seconds 60] [--nodes 5000] [--asking 2000] [--rest 20]
 *
 * Prints one JSON object: CPU and memory of the compiled binary, at rest (followed, and gone round) and
 * while it is asked, the age of the data behind the answers, and how long they take. Agents
 * (`scale-agents.ts`), API server and client are processes of their own on the same machine, whose CPU
 * stands beside it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { podObject, scalableObject, scaledObject } from "../test/fake-kubernetes/objects.ts";
import { serveBinary } from "../test/support/binary.ts";
import {
  agentAddress,
  metadataOf,
  namespaceOf,
  nodeName,
  podName,
  podsPerNode,
  workloadName,
  workloadOf,
  workloads,
} from "./scale-plan.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    nodes: { type: "string", default: "5000" },
    asking: { type: "string", default: String(workloads) },
    /** Seconds without a call, after the start. */
    rest: { type: "string", default: "20" },
    binary: { type: "string" },
  },
});
const nodes = Number(values.nodes);
const folder = mkdtempSync(join(tmpdir(), "bench-scale-"));
const start = (...command: readonly string[]) =>
  Bun.spawn([...command], { stdout: "pipe", stderr: "inherit" });
const bench = (name: string) => join(import.meta.dir, name);

const objects = join(folder, "objects.json");
writeFileSync(objects, JSON.stringify(allObjects()));
const api = start(process.execPath, bench("../test/fake-kubernetes/main.ts"), folder, objects);
const { kubeconfig } = JSON.parse(await firstLine(api.stdout)) as { kubeconfig: string };
const agents = start(process.execPath, bench("scale-agents.ts"), values.nodes);
const port = Number(await firstLine(agents.stdout));

const startedMs = performance.now();
const addresses = Array.from({ length: nodes }, (_, node) => `${agentAddress(node)}:${port}`);
const serving = await serveBinary({
  args: [
    ...["--role", "scaler", "--kubeconfig", kubeconfig, "--namespace", "keda"],
    ...["--agents", addresses.join()],
  ],
  ...(values.binary === undefined ? {} : { command: [values.binary] }),
});
const page = async (path: string) => fetch(`http://127.0.0.1:${serving.httpPort}${path}`);
while (!(await page("/readyz")).ok) await Bun.sleep(100);
const readyMs = Math.round(performance.now() - startedMs);
const processes = { scaler: serving.pid, agents: agents.pid, api: api.pid };
await Bun.sleep(10_000);

const rest = await measured(async () => {
  await Bun.sleep(Number(values.rest) * 1_000);
  return {};
});
const asked = await measured(ask);
const metrics = await (await page("/metrics")).text();
const gauge = (name: string) =>
  Number(new RegExp(`^keda_gpu_scaler_${name} (.+)$`, "m").exec(metrics)?.[1]);
console.log(
  JSON.stringify({
    ...{ nodes, workloads, pods: nodes * podsPerNode, readyMs },
    heardNodes: gauge("fleet_nodes"),
    silentAgents: gauge("fleet_silent_agents"),
    eventLoopLagMaxMs: Math.round(1_000 * gauge("event_loop_lag_seconds_max")),
    rest,
    asked,
    peakRssMebibytes: statusMebibytes(serving.pid, "VmHWM"),
  }),
);
await serving[Symbol.asyncDispose]();
for (const child of [agents, api]) {
  child.kill();
  await child.exited;
}
rmSync(folder, { recursive: true });

/** What KEDA finds while it asks for every ScaledObject. */
async function ask(): Promise<object> {
  const refs = join(folder, "refs.json");
  const all = Array.from({ length: Number(values.asking) }, (_, workload) => ({
    name: workloadName(workload),
    namespace: namespaceOf(workload),
    scalerMetadata: metadataOf(workload),
  }));
  writeFileSync(refs, JSON.stringify(all));
  const load = start("node", bench("keda-load.mjs"), `${serving.grpcPort}`, values.seconds, refs);
  const found = JSON.parse(await new Response(load.stdout).text()) as object;
  await load.exited;
  const microseconds = Number(load.resourceUsage()?.cpuTime.total ?? Number.NaN);
  const clientCores = Number((microseconds / 1e6 / Number(values.seconds)).toFixed(3));
  return { clientCores, ...found };
}

/** CPU in cores of each process while something goes on, and the scaler's memory after it. */
async function measured(happens: () => Promise<object>): Promise<object> {
  const cpu = () => Object.values(processes).map(cpuSeconds);
  const [before, fromMs] = [cpu(), performance.now()];
  const found = await happens();
  const seconds = (performance.now() - fromMs) / 1_000;
  const cores = cpu().map((after, at) =>
    Number(((after - (before[at] ?? 0)) / seconds).toFixed(3)),
  );
  return {
    cores: Object.fromEntries(Object.keys(processes).map((name, at) => [name, cores[at]])),
    rssMebibytes: statusMebibytes(serving.pid, "VmRSS"),
    ...found,
  };
}

/** A ScaledObject and a Deployment for each workload, and its pods. */
function allObjects(): object[] {
  const replicas = Array.from({ length: workloads }, () => 0);
  const pods = Array.from({ length: nodes * podsPerNode }, (_, pod) => {
    const workload = workloadOf(pod);
    replicas[workload] = (replicas[workload] ?? 0) + 1;
    return podObject({
      name: podName(pod),
      namespace: namespaceOf(workload),
      labels: { app: workloadName(workload) },
      node: nodeName(Math.floor(pod / podsPerNode)),
    });
  });
  const scaled = replicas.flatMap((count, workload) => {
    const name = workloadName(workload);
    const namespace = namespaceOf(workload);
    return [
      scalableObject({ name, namespace, matchLabels: { app: name }, replicas: count }),
      scaledObject({ name, namespace, triggers: [{ metadata: metadataOf(workload) }] }),
    ];
  });
  return [...pods, ...scaled];
}

/** User and system time, from /proc, which counts every thread. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function statusMebibytes(pid: number, name: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1_024);
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) break;
  }
  return text;
}
