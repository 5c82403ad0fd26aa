/**
 * One scaler of the compiled binary under KEDA's load for as long as one likes, while agents, pods,
 * ScaledObjects and push streams come and go.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
} from "../../bench/fleet-plan.ts";
import { agentService } from "../cluster/scene.ts";
import {
  endpointSlice,
  podObject,
  scalableObject,
  scaledObject,
} from "../fake-kubernetes/objects.ts";
import { type FakeKubernetes, startFakeKubernetes } from "../fake-kubernetes/server.ts";
import { type ForeignClient, type ForeignStream, foreignClient } from "../foreign/client.ts";
import { linesOf } from "../support/lines.ts";
import { type ChaosProcess, chaosProcess } from "./process.ts";

export interface SoakOptions {
  readonly seconds: number;
  /** One line of figures for each span of so many seconds. */
  readonly everySeconds: number;
  readonly onFigures?: (figures: SoakFigures, samples: readonly SoakSample[]) => void;
}

/** What the process was like at one moment. */
export interface SoakSample {
  readonly atSeconds: number;
  readonly rssMebibytes: number;
  readonly descriptors: number;
  /** The latest timer since the sample before. */
  readonly lagMs: number;
}

/** One span of time. */
export interface SoakFigures {
  readonly atSeconds: number;
  readonly rssMebibytes: number;
  readonly descriptors: number;
  readonly lagMsP99: number;
  readonly calls: number;
  /** By code: replicas whose agent was killed are missing for a while. */
  readonly failures: Readonly<Record<string, number>>;
  readonly getMetricsMsP99: number;
  /** Push streams that ended although nobody cancelled them. */
  readonly streamsLost: number;
  /** Of the second half of all samples so far. */
  readonly rssMebibytesPerHour: number;
}

export interface Soaked {
  readonly figures: readonly SoakFigures[];
  readonly samples: readonly SoakSample[];
  /** Lines at level error, and what is no line of a log. */
  readonly errors: readonly string[];
}

const groups = 4;
const nodesPerGroup = 5;
/** Each with a connection of its own, and a call for each ScaledObject 18 times a minute: 300 calls a second. */
const clients = 2;
/** Faster than a Prometheus scrapes, so that a short run has samples. */
const sampleEveryMs = 5_000;
const groupEveryMs = 20_000;
const groupAwayMs = 3_000;
const podEveryMs = 500;
const visitorEveryMs = 1_000;
const visitorStaysMs = 15_000;
const streamsHeld = 100;
const streamEveryMs = 500;

export async function soak(options: SoakOptions): Promise<Soaked> {
  const { seconds, everySeconds, onFigures = () => undefined } = options;
  await using open = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "soak-"));
  open.defer(() => rmSync(folder, { recursive: true }));
  const kubernetes = await startFakeKubernetes({ tls: true, token: "soak" });
  open.defer(kubernetes.stop);
  const kubeconfig = join(folder, "kubeconfig");
  await kubernetes.writeKubeconfig(kubeconfig);
  kubernetes.apply(...fleetObjects());
  const racks: Rack[] = [];
  for (let group = 0; group < groups; group += 1)
    racks.push(open.use(await rack(kubernetes, group)));
  const scaler = await chaosProcess({
    name: "scaler",
    address: "127.0.0.1",
    args: ["--role", "scaler", "--kubeconfig", kubeconfig, "--namespace", "keda"],
    env: {},
    logPath: join(folder, "log"),
  });
  await scaler.start();
  open.defer(async () => {
    if (scaler.isRunning()) await scaler.signal("SIGKILL");
  });
  await ready(scaler);
  const keda = open.use(foreignClient());
  const refs = join(folder, "refs.json");
  writeFileSync(refs, JSON.stringify(fleetRefs()));
  const timers = open.use(churn(kubernetes, racks));
  const streams = open.use(await streamChurn(scaler, keda));

  const samples: SoakSample[] = [];
  const beginMs = performance.now();
  const elapsedSeconds = () => (performance.now() - beginMs) / 1_000;
  let spanSamples: SoakSample[] = [];
  const sampling = (async () => {
    while (elapsedSeconds() < seconds && scaler.isRunning()) {
      await Bun.sleep(sampleEveryMs);
      const lagMs = await maxLagMs(scaler);
      const sample = { atSeconds: Math.round(elapsedSeconds()), ...scaler.figures(), lagMs };
      samples.push(sample);
      spanSamples.push(sample);
    }
  })();
  const loads = Array.from({ length: clients }, () =>
    open.use(load(scaler.grpcPort, seconds, refs, everySeconds)),
  );
  const figures: SoakFigures[] = [];
  for (;;) {
    const spans = await Promise.all(loads.map(({ next }) => next()));
    const told = spans.flatMap((span) => span ?? []);
    const last = samples.at(-1);
    if (told.length < loads.length || last === undefined) break;
    const lagMsP99 = quantile(
      spanSamples.map(({ lagMs }) => lagMs),
      0.99,
    );
    spanSamples = [];
    const one: SoakFigures = {
      atSeconds: last.atSeconds,
      rssMebibytes: last.rssMebibytes,
      descriptors: last.descriptors,
      lagMsP99,
      calls: told.reduce((sum, { calls }) => sum + calls, 0),
      failures: added(told.map((each) => each.failures)),
      getMetricsMsP99: Math.max(...told.map(({ getMetricsMsP99 }) => getMetricsMsP99 ?? 0)),
      streamsLost: streams.lost(),
      rssMebibytesPerHour: rssSlope(samples),
    };
    figures.push(one);
    onFigures(one, samples);
  }
  await sampling;
  await timers[Symbol.asyncDispose]();
  const errors = scaler
    .log()
    .filter(({ level }) => level === "error")
    .map((line) => JSON.stringify(line));
  return { figures, samples, errors: [...scaler.deaths(), ...errors] };
}

/** By least squares over the second half, in MiB an hour. */
export function rssSlope(samples: readonly SoakSample[]): number {
  const half = samples.slice(Math.floor(samples.length / 2));
  const mean = (pick: (sample: SoakSample) => number) =>
    half.reduce((sum, sample) => sum + pick(sample), 0) / half.length;
  const [hours, mebibytes] = [
    mean(({ atSeconds }) => atSeconds / 3_600),
    mean(({ rssMebibytes }) => rssMebibytes),
  ];
  const about = (sample: SoakSample) => sample.atSeconds / 3_600 - hours;
  const spread = mean((sample) => about(sample) ** 2);
  const together = mean((sample) => about(sample) * (sample.rssMebibytes - mebibytes));
  return spread === 0 ? 0 : Number((together / spread).toFixed(1));
}

export function quantile(values: readonly number[], share: number): number {
  const ascending = values.toSorted((low, high) => low - high);
  return ascending[Math.ceil(share * ascending.length) - 1] ?? 0;
}

function added(all: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const counts of all)
    for (const [what, count] of Object.entries(counts)) sums[what] = (sums[what] ?? 0) + count;
  return sums;
}

function fleetObjects() {
  const gpus = Array.from({ length: groups * nodesPerGroup * gpusPerNode }, (_none, gpu) => gpu);
  const all = Array.from({ length: workloads }, (_none, workload) => workload);
  const scaled = all.flatMap((workload) => {
    const name = workloadName(workload);
    const namespace = namespaceOf(workload);
    const replicas = gpus.filter((gpu) => workloadOf(gpu) === workload).length;
    return [
      scalableObject({ name, namespace, matchLabels: { app: name }, replicas }),
      scaledObject({ name, namespace, triggers: [{ metadata: metadataOf(workload) }] }),
    ];
  });
  return [...gpus.map((gpu) => fleetPod(gpu)), ...scaled];
}

function fleetPod(gpu: number, uid?: string) {
  const workload = workloadOf(gpu);
  return podObject({
    name: podName(gpu),
    namespace: namespaceOf(workload),
    labels: { app: workloadName(workload) },
    node: nodeName(Math.floor(gpu / gpusPerNode)),
    ...(uid === undefined ? {} : { uid }),
  });
}

function fleetRefs() {
  return Array.from({ length: workloads }, (_none, workload) => ({
    name: workloadName(workload),
    namespace: namespaceOf(workload),
    scalerMetadata: metadataOf(workload),
  }));
}

interface Rack extends AsyncDisposable {
  /** Kills its agents, and starts them again a while later at other ports. */
  readonly replace: () => Promise<void>;
}

/** A process of some agents, listed as their Service would list them. */
async function rack(kubernetes: FakeKubernetes, group: number): Promise<Rack> {
  const program = join(import.meta.dir, "..", "..", "bench", "fleet-agents.ts");
  const first = group * nodesPerGroup;
  let child: Bun.Subprocess | undefined;
  const start = async () => {
    const started = Bun.spawn(
      [process.execPath, program, `${nodesPerGroup}`, "30000", `${first}`],
      { stdout: "pipe", stderr: "inherit" },
    );
    child = started;
    const { value: line } = await linesOf(started.stdout).next();
    if (line === undefined) throw new Error("the agents ended before they served");
    for (const [at, port] of (JSON.parse(line) as number[]).entries()) {
      const name = nodeName(first + at);
      const ports = [{ name: "grpc", port }];
      const endpoints = [{ address: nodeAddress(first + at), node: name }];
      kubernetes.apply(endpointSlice({ ...agentService, name, ports, endpoints }));
    }
  };
  const end = async () => {
    child?.kill("SIGKILL");
    await child?.exited;
  };
  await start();
  return {
    replace: async () => {
      await end();
      await Bun.sleep(groupAwayMs);
      await start();
    },
    [Symbol.asyncDispose]: end,
  };
}

/** Has agents, pods and whole objects come and go. */
function churn(kubernetes: FakeKubernetes, racks: readonly Rack[]): AsyncDisposable {
  let over = false;
  let turn = 0;
  const repeat = async (everyMs: number, run: (turn: number) => void | Promise<void>) => {
    for (let at = 0; !over; at += 1) {
      await Bun.sleep(everyMs);
      if (!over) await run(at);
    }
  };
  const gpus = groups * nodesPerGroup * gpusPerNode;
  const visitors: string[] = [];
  const removeVisitor = (name: string) => {
    for (const kind of ["ScaledObject", "Deployment", "Pod"])
      kubernetes.remove({ kind, namespace: "visitors", name });
  };
  const running = [
    repeat(groupEveryMs, (at) => racks[at % racks.length]?.replace()),
    // A pod that ends, and one of its name that begins a while later, as a StatefulSet has them.
    repeat(podEveryMs, (at) => {
      turn += 1;
      const gpu = Math.floor(at / 2) % gpus;
      const namespace = namespaceOf(workloadOf(gpu));
      if (at % 2 === 0) kubernetes.remove({ kind: "Pod", namespace, name: podName(gpu) });
      else kubernetes.apply(fleetPod(gpu, `uid-${turn}`));
    }),
    // Names that never come again: whatever is remembered of them has to be forgotten.
    repeat(visitorEveryMs, (at) => {
      const name = `visitor-${at}`;
      visitors.push(name);
      kubernetes.apply(...visitor(name));
      if (visitors.length > visitorStaysMs / visitorEveryMs)
        removeVisitor(visitors.shift() ?? name);
    }),
  ];
  return {
    [Symbol.asyncDispose]: async () => {
      over = true;
      await Promise.all(running);
    },
  };
}

function visitor(name: string) {
  const namespace = "visitors";
  const metadata = { scalerAddress: "keda-gpu-scaler.keda:6000", targetGpuUtilization: "80" };
  return [
    scalableObject({ name, namespace, matchLabels: { app: name } }),
    podObject({ name, namespace, labels: { app: name }, node: nodeName(0) }),
    scaledObject({ name, namespace, triggers: [{ metadata }] }),
  ];
}

/** Holds so many push streams, and opens one anew twice a second. */
async function streamChurn(scaler: ChaosProcess, keda: ForeignClient) {
  const channel = await keda.connect(`${scaler.address}:${scaler.grpcPort}`);
  const refs = fleetRefs();
  const held: ForeignStream[] = [];
  let over = false;
  let lost = 0;
  const openOne = async (at: number) => {
    const ref = refs[at % refs.length] ?? {};
    const stream = await channel.stream("externalscaler.ExternalScaler", "StreamIsActive", ref);
    held.push(stream);
    void stream.ended.then(() => {
      const place = held.indexOf(stream);
      if (place === -1 || over) return;
      lost += 1;
      held.splice(place, 1);
    });
    for (const oldest of held.length > streamsHeld ? held.splice(0, 1) : []) await oldest.cancel();
  };
  for (let at = 0; at < streamsHeld; at += 1) await openOne(at);
  const running = (async () => {
    for (let at = streamsHeld; !over; at += 1) {
      await Bun.sleep(streamEveryMs);
      await openOne(at);
    }
  })();
  return {
    lost: () => lost,
    [Symbol.asyncDispose]: async () => {
      over = true;
      await running;
    },
  };
}

/** What `bench/keda-load.mjs` prints of one span. */
interface LoadSpan {
  readonly calls: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly getMetricsMsP99: number | null;
}

function load(port: number, seconds: number, refs: string, everySeconds: number) {
  const program = join(import.meta.dir, "..", "..", "bench", "keda-load.mjs");
  const child = Bun.spawn(["node", program, `${port}`, `${seconds}`, refs, `${everySeconds}`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = linesOf(child.stdout);
  return {
    next: async (): Promise<LoadSpan | undefined> => {
      const { value: line } = await lines.next();
      return line === undefined ? undefined : (JSON.parse(line) as LoadSpan);
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function ready({ address, httpPort }: ChaosProcess): Promise<void> {
  while (!(await fetch(`http://${address}:${httpPort}/readyz`)).ok) await Bun.sleep(50);
}

async function maxLagMs({ address, httpPort }: ChaosProcess): Promise<number> {
  const page = await (await fetch(`http://${address}:${httpPort}/metrics`)).text();
  const series = /^keda_gpu_scaler_event_loop_lag_seconds_max (\S+)/m.exec(page)?.[1];
  return Number((Number(series) * 1_000).toFixed(1));
}
