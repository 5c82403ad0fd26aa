/**
 * What a fleet costs the scaler: the compiled binary follows simulated agents with 8 GPUs each, at
 * one sample a second, resolves 500 ScaledObjects through a Kubernetes API stand-in, and is asked at
 * KEDA's rate.
 *
 *   bun bench/scaler.ts [--seconds 60] [--asking 500] [nodes…]       default: 10 100 1000
 *
 * Prints one JSON object for each number of nodes. The agents, the API stand-in and the client are
 * processes of their own on the same machine; CPU and memory are the scaler's alone.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { podObject, scalableObject, scaledObject } from "../test/fake-kubernetes/objects.ts";
import { serveBinary } from "../test/support/binary.ts";
import {
  gpusPerNode,
  metadataOf,
  namespaceOf,
  nodeAddress,
  nodeName,
  podName,
  workloadName,
  workloadOf,
  workloads,
} from "./fleet-plan.ts";

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    /** How many of the ScaledObjects KEDA asks for; all of them exist. */
    asking: { type: "string", default: String(workloads) },
  },
  allowPositionals: true,
});
const counts = positionals.length > 0 ? positionals.map(Number) : [10, 100, 1_000];
const all = Array.from({ length: workloads }, (_, workload) => workload);
for (const nodes of counts) await run(nodes);

async function run(nodes: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bench-scaler-"));
  const start = (...args: readonly string[]) =>
    Bun.spawn([process.execPath, ...args], { stdout: "pipe", stderr: "inherit" });

  const objects = join(folder, "objects.json");
  writeFileSync(objects, JSON.stringify(objectsFor(nodes)));
  const api = start(join(import.meta.dir, "../test/fake-kubernetes/main.ts"), folder, objects);
  const { kubeconfig } = JSON.parse(await firstLine(api.stdout)) as { kubeconfig: string };
  const agents = start(join(import.meta.dir, "fleet-agents.ts"), String(nodes), "30000");
  const ports = JSON.parse(await firstLine(agents.stdout)) as number[];

  const serving = await serveBinary({
    args: [
      ...["--role", "scaler", "--kubeconfig", kubeconfig, "--namespace", "keda"],
      ...["--agents", ports.map((port, node) => `${nodeAddress(node)}:${port}`).join()],
    ],
  });
  const startedMs = performance.now();
  const ready = async () => (await fetch(`http://127.0.0.1:${serving.httpPort}/readyz`)).ok;
  while (!(await ready())) await Bun.sleep(20);
  const readyMs = Math.round(performance.now() - startedMs);
  await Bun.sleep(10_000);

  const refs = join(folder, "refs.json");
  writeFileSync(
    refs,
    JSON.stringify(
      all.slice(0, Number(values.asking)).map((workload) => ({
        name: workloadName(workload),
        namespace: namespaceOf(workload),
        scalerMetadata: metadataOf(workload),
      })),
    ),
  );
  const cpuBefore = cpuSeconds(serving.pid);
  const fromMs = performance.now();
  const load = Bun.spawn(
    [
      "node",
      join(import.meta.dir, "keda-load.mjs"),
      String(serving.grpcPort),
      values.seconds,
      refs,
    ],
    { stdout: "pipe", stderr: "inherit" },
  );
  const found = JSON.parse(await new Response(load.stdout).text()) as object;
  const cores = (cpuSeconds(serving.pid) - cpuBefore) / ((performance.now() - fromMs) / 1_000);
  console.log(
    JSON.stringify({
      nodes,
      asking: Number(values.asking),
      gpus: nodes * gpusPerNode,
      readyMs,
      cores: Number(cores.toFixed(3)),
      rssMebibytes: rssMebibytes(serving.pid),
      ...found,
    }),
  );
  await serving[Symbol.asyncDispose]();
  for (const process of [agents, api]) {
    process.kill();
    await process.exited;
  }
  rmSync(folder, { recursive: true });
}

/** A ScaledObject and a Deployment for each workload, and a pod for each GPU. */
function objectsFor(nodes: number): object[] {
  const pods = Array.from({ length: nodes * gpusPerNode }, (_, gpu) => {
    const workload = workloadOf(gpu);
    return podObject({
      name: podName(gpu),
      namespace: namespaceOf(workload),
      labels: { app: workloadName(workload) },
      node: nodeName(Math.floor(gpu / gpusPerNode)),
    });
  });
  const replicas = new Map<number, number>();
  for (let gpu = 0; gpu < pods.length; gpu += 1)
    replicas.set(workloadOf(gpu), (replicas.get(workloadOf(gpu)) ?? 0) + 1);
  const scaled = all.flatMap((workload) => {
    const name = workloadName(workload);
    const namespace = namespaceOf(workload);
    const matchLabels = { app: name };
    return [
      scalableObject({ name, namespace, matchLabels, replicas: replicas.get(workload) ?? 0 }),
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

function rssMebibytes(pid: number): number {
  const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kibibytes) / 1024);
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
