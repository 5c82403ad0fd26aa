/**
 * A cluster that is made to be broken: compiled scalers and agents over a stand-in of NVML, and fakes of
 * the API server, of kubelets and of engines, with a proxy before everything that is reached by network.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FakeEngine, fakeEngine } from "../cluster/fake-engine.ts";
import type { Ref } from "../cluster/scaler.ts";
import { agentService, workloads } from "../cluster/scene.ts";
import { type FakeKubelet, fakeKubelet, podWith } from "../fake-kubelet/fake-kubelet.ts";
import { writeKubeconfig } from "../fake-kubernetes/credentials.ts";
import { endpointSlice } from "../fake-kubernetes/objects.ts";
import { type FakeKubernetes, startFakeKubernetes } from "../fake-kubernetes/server.ts";
import { nvmlStandin, type Standin } from "../nvml-standin/control.ts";
import { sharedLibrary } from "../support/shared-library.ts";
import { type ChaosProcess, chaosProcess } from "./process.ts";
import { type TcpProxy, tcpProxy } from "./proxy.ts";
import {
  holders,
  largeWhite,
  readingAt,
  smallWhite,
  type Tenant,
  type TickSpan,
  tenants,
  tickMs,
  unheldWatts,
} from "./tenants.ts";

/** One process with its network and its clock. */
export interface Member {
  readonly process: ChaosProcess;
  /** In front of an agent, or between a scaler and the API server. */
  readonly network: TcpProxy;
  /** How far its wall clock is off from now on. */
  readonly shiftClock: (byMs: number) => void;
}

export interface ChaosNode extends Member {
  readonly kubelet: FakeKubelet;
}

export interface ChaosEngine {
  readonly engine: FakeEngine;
  readonly network: TcpProxy;
}

/** What is asked for. */
export interface Asked {
  readonly ref: Ref;
  /** The tenant, and before it what it was, as long as a scaler may not have heard of the change. */
  readonly versions: () => readonly [Tenant, ...Tenant[]];
}

export interface ChaosCluster extends AsyncDisposable {
  readonly kubernetes: FakeKubernetes;
  readonly nodes: readonly ChaosNode[];
  readonly scalers: readonly Member[];
  readonly engines: readonly ChaosEngine[];
  /** The ticks whose readings may be behind an answer of now that is at most so old. */
  readonly span: (mostAgeMs: number) => TickSpan;
  readonly asked: readonly Asked[];
  /** Scales the tenant in white up or down. */
  readonly scaleWhite: () => void;
  /** From now on everybody knows of it. */
  readonly scaledWhite: () => void;
  readonly processes: readonly ChaosProcess[];
}

const nodeNames = ["node-a", "node-b", "node-c"];
/** Ticks are remembered for longer than any answer may be old. */
const rememberedTicks = 400;
const callsKeptTicks = 240;

export async function chaosCluster(): Promise<ChaosCluster> {
  await using open = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "chaos-"));
  open.defer(() => rmSync(folder, { recursive: true }));
  const kubernetes = await startFakeKubernetes({ tls: true, token: "chaos" });
  open.defer(kubernetes.stop);
  const clocks = await wallClocks(folder);

  const member = async (
    name: string,
    address: string,
    options: { readonly args: readonly string[]; readonly env?: Readonly<Record<string, string>> },
  ) => {
    const { env, shiftClock } = clocks(name);
    const process = await chaosProcess({
      name,
      address,
      args: options.args,
      env: { ...env, ...options.env },
      logPath: join(folder, `${name}.log`),
    });
    open.defer(async () => {
      if (process.isRunning()) await process.signal("SIGKILL");
    });
    return { process, shiftClock };
  };
  const proxy = async (...args: Parameters<typeof tcpProxy>) => {
    const made = await tcpProxy(...args);
    open.defer(made.close);
    return made;
  };

  const standins: Standin[] = [];
  const nodes: ChaosNode[] = [];
  for (const [index, name] of nodeNames.entries()) {
    const address = `127.0.2.${index + 1}`;
    const kubelet = await fakeKubelet(join(folder, `${name}.sock`));
    open.defer(kubelet.vanish);
    kubelet.set(podsOn(name, index));
    const standin = await nvmlStandin({});
    open.defer(standin.remove);
    standins.push(standin);
    const made = await member(name, address, {
      args: [
        ...["--role", "agent", "--node-name", name, "--sample-interval", "500ms"],
        ...["--collector", "nvml", "--nvml-library", standin.libraryPath],
        ...["--pod-resources-socket", kubelet.socketPath],
      ],
      env: standin.env,
    });
    const network = await proxy(address, () => ({ address, port: made.process.grpcPort }));
    nodes.push({ ...made, network, kubelet });
    const endpoints = [{ address, node: name }];
    const ports = [{ name: "grpc", port: network.port }];
    kubernetes.apply(endpointSlice({ ...agentService, name, ports, endpoints }));
  }

  const engines: ChaosEngine[] = [];
  for (const address of ["127.0.3.1", "127.0.3.2"]) {
    const engine = open.use(await fakeEngine("vllm-v1.prom", address));
    engines.push({ engine, network: await proxy(address, () => engine) });
  }

  const scalers: Member[] = [];
  for (const name of ["scaler-0", "scaler-1"]) {
    const kubeconfig = join(folder, `${name}.kubeconfig`);
    const network = await proxy("127.0.0.1", () => ({
      address: kubernetes.host,
      port: kubernetes.port,
    }));
    const url = `https://127.0.0.1:${network.port}`;
    const { caPem } = kubernetes;
    if (caPem === undefined) throw new Error("the API server of this cluster has a certificate");
    await writeKubeconfig(kubeconfig, { url, caPem, token: "chaos" });
    const made = await member(name, "127.0.0.1", {
      args: [
        ...["--role", "scaler", "--kubeconfig", kubeconfig, "--namespace", "keda"],
        ...["--allow-endpoint", engines.map(({ engine }) => engine.address).join(",")],
      ],
    });
    scalers.push({ ...made, network });
  }

  const asked = applyTenants(kubernetes, engines);
  const story = playStory(standins, engines, kubernetes);
  open.defer(story.stop);
  const processes = [...nodes, ...scalers].map(({ process }) => process);
  await Promise.all(processes.map((process) => process.start()));
  const owned = open.move();
  return {
    kubernetes,
    nodes,
    scalers,
    engines,
    span: story.span,
    ...asked,
    processes,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Gives each process a wall clock that can be moved. */
async function wallClocks(folder: string) {
  const library = await sharedLibrary({
    name: "wall-clock",
    what: "the library that moves wall clocks",
    source: join(import.meta.dir, "wall-clock.c"),
  });
  return (name: string) => {
    const file = join(folder, `${name}.clock`);
    // In place: the process has the file mapped.
    const shiftClock = (byMs: number) =>
      writeFileSync(file, new BigInt64Array([BigInt(byMs)]), { flag: "r+" });
    writeFileSync(file, new BigInt64Array([0n]));
    return { env: { LD_PRELOAD: library, WALL_CLOCK_FILE: file }, shiftClock };
  };
}

/** The GPUs of a node that are held: one for each replica with a device there. */
function heldOn(node: string) {
  return holders.flatMap((tenant) =>
    tenant.replicas.flatMap((replica, place) =>
      replica.node === node ? [{ tenant, place, pod: podName(tenant, place) }] : [],
    ),
  );
}

const podName = ({ name }: Tenant, replica: number) => `${name}-${replica}`;
const uuid = (node: number, gpu: number) => `GPU-${node}${gpu}000000-0000-4000-8000-000000000000`;

function podsOn(name: string, node: number) {
  return heldOn(name).map(({ tenant: { namespace }, pod }, gpu) =>
    podWith(pod, "nvidia.com/gpu", [uuid(node, gpu)], { namespace }),
  );
}

function applyTenants(
  kubernetes: FakeKubernetes,
  engines: readonly ChaosEngine[],
): Pick<ChaosCluster, "asked" | "scaleWhite" | "scaledWhite"> {
  const workload = workloads(kubernetes);
  const apply = (tenant: Tenant) => {
    const { namespace, name, source, target, replicas } = tenant;
    const pods = replicas.map(({ node }, at) => {
      const pod = { name: podName(tenant, at), node, uid: `${namespace}-${at}` };
      const engine = engines[at];
      if (source === "device" || engine === undefined) return pod;
      const ports = [{ name: "http", port: engine.network.port }];
      return { ...pod, ip: engine.engine.address, containers: [{ name: "server", ports }] };
    });
    const metricType = source === "device" ? "power_draw" : "queue_depth";
    const metadata = { metricType, targetValue: `${target}` };
    return workload({ namespace, name, metadata, pods });
  };

  let whites: readonly [Tenant, ...Tenant[]] = [smallWhite];
  const steady = tenants.map((tenant): Asked => {
    const versions: readonly [Tenant] = [tenant];
    return { ref: apply(tenant), versions: () => versions };
  });
  return {
    asked: [...steady, { ref: apply(smallWhite), versions: () => whites }],
    scaleWhite: () => {
      const [now] = whites;
      const next = now === smallWhite ? largeWhite : smallWhite;
      whites = [next, now];
      apply(next);
    },
    scaledWhite: () => {
      whites = [whites[0]];
    },
  };
}

/** Lets time pass on the devices and in the engines. */
function playStory(
  standins: readonly Standin[],
  engines: readonly ChaosEngine[],
  kubernetes: FakeKubernetes,
) {
  /** When each of the newest ticks was shown. */
  const shown: { readonly tick: number; readonly atMs: number }[] = [];
  const served = tenants.filter(({ source }) => source === "engine");
  let tick = -1;
  const show = () => {
    tick += 1;
    shown.push({ tick, atMs: performance.now() });
    if (shown.length > rememberedTicks) shown.shift();
    for (const [node, standin] of standins.entries())
      standin.set({ gpus: gpusOf(nodeNames[node] ?? "", node, tick) });
    for (const tenant of served) loadEngines(engines, tenant, tick);
    if (tick % callsKeptTicks !== 0) return;
    // As the real one does each minute.
    kubernetes.bookmark();
    for (const standin of standins) standin.forgetCalls();
  };
  show();
  const timer = setInterval(show, tickMs);
  return {
    stop: () => clearInterval(timer),
    span: (mostAgeMs: number): TickSpan => {
      const oldestMs = performance.now() - mostAgeMs;
      const from = shown.findLast(({ atMs }) => atMs <= oldestMs) ?? shown[0];
      return { from: from?.tick ?? 0, to: tick };
    },
  };
}

function loadEngines(engines: readonly ChaosEngine[], tenant: Tenant, tick: number): void {
  for (const place of tenant.replicas.keys())
    engines[place]?.engine.load({ waiting: readingAt(tenant, place, tick), running: 1 });
}

function gpusOf(name: string, node: number, tick: number) {
  const watts = heldOn(name).map(({ tenant, place }) => readingAt(tenant, place, tick));
  return [...watts, unheldWatts].map((each, gpu) => {
    const milliwatts = Math.round(each * 1_000);
    return {
      uuid: uuid(node, gpu),
      powerMilliwatts: milliwatts,
      fields: { 185: milliwatts, 186: milliwatts },
    };
  });
}
