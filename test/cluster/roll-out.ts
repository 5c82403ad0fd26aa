/**
 * Roll-outs of both roles under KEDA's calls: scalers as a Deployment replaces them, agents as a
 * DaemonSet does, while a client with one connection asks without a pause.
 *
 * @module
 */
import { expect } from "bun:test";
import type { ForeignChannel, ForeignClient, Json } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import type { Ref, Scaler } from "./scaler.ts";
import { type ClusterScene, clusterScene } from "./scene.ts";
import { type ClusterService, clusterService } from "./service.ts";
import { threeNodes, threeReplicas } from "./three-replicas.ts";

/** kube-proxy acts on changes once a second, and hears of them some time after they happen. */
const endpointLagMs = 1_500;
const service = "externalscaler.ExternalScaler";

export interface RolledCluster extends AsyncDisposable {
  readonly scene: ClusterScene;
  readonly service: ClusterService;
  readonly scalers: readonly Scaler[];
  readonly llm: Ref;
}

/** Two scalers behind their Service, and a workload of three replicas that both know. */
export async function rolledCluster(
  keda: ForeignClient,
  binaryPath?: string,
): Promise<RolledCluster> {
  await using open = new AsyncDisposableStack();
  const scene = open.use(await clusterScene({ keda, scalers: 2, binaryPath }));
  const service = open.use(await clusterService());
  const scalers = [scene.scaler(0), scene.scaler(1)];
  for (const { serving } of scalers) service.endpoints.add(serving);
  const llm = threeReplicas(scene);
  for (const { value } of scalers) await eventually(() => value(llm), 276);
  const owned = open.move();
  const dispose = () => owned.disposeAsync();
  return { scene, service, scalers, llm, [Symbol.asyncDispose]: dispose };
}

/** What KEDA was told. */
export interface Told {
  readonly calls: number;
  /** Calls that failed once and were answered when they were made again. */
  readonly retried: number;
  /** Calls that failed twice. */
  readonly failed: readonly string[];
  readonly values: ReadonlySet<number>;
  readonly targets: ReadonlySet<number>;
  readonly active: ReadonlySet<boolean>;
}

const first = (answer: Json | undefined, list: string): Json =>
  ((answer?.[list] ?? []) as readonly Json[])[0] ?? {};

/**
 * Makes KEDA's three calls over one connection through the Service, again and again while something
 * happens. As KEDA does, it makes a call that failed once more, at once.
 */
export async function toldWhile(
  keda: ForeignClient,
  { address }: ClusterService,
  ref: Ref,
  happens: () => Promise<unknown>,
): Promise<Told> {
  const channel = await keda.connect(address);
  const [values, targets, active] = [new Set<number>(), new Set<number>(), new Set<boolean>()];
  const failed: string[] = [];
  let [calls, retried, over] = [0, 0, false];
  const call = async (method: string, message: Json): Promise<Json | undefined> => {
    calls += 1;
    const once = await channel.unary(service, method, message);
    if (once.code === "OK") return once.answer;
    const again = await channel.unary(service, method, message);
    if (again.code === "OK") retried += 1;
    else failed.push(`${method}: ${once.code} ${once.details}, then ${again.details}`);
    return again.answer;
  };
  const round = async () => {
    const spec = await call("GetMetricSpec", ref);
    if (spec) targets.add(Number(first(spec, "metricSpecs")["targetSizeFloat"]));
    const value = await call("GetMetrics", { scaledObjectRef: ref, metricName: "" });
    if (value) values.add(Number(first(value, "metricValues")["metricValueFloat"]));
    const activity = await call("IsActive", ref);
    if (activity) active.add(activity["result"] === true);
  };
  const asking = (async () => {
    while (!over) await round();
  })();
  try {
    await happens();
  } finally {
    over = true;
    await asking;
    await channel.close();
  }
  return { calls, retried, failed, values, targets, active };
}

/** Follows activity through the Service as KEDA's push scaler does, and opens each stream anew. */
export async function followActivity(keda: ForeignClient, { address }: ClusterService, ref: Ref) {
  const channel: ForeignChannel = await keda.connect(address);
  const ends: string[] = [];
  const heard = new Set<unknown>();
  let over = false;
  let cancel = async () => {};
  const following = (async () => {
    while (!over) {
      const stream = await channel.stream(service, "StreamIsActive", ref);
      cancel = stream.cancel;
      const { code, details } = await stream.ended;
      for (const message of stream.waiting()) heard.add(message["result"]);
      ends.push(code === "OK" ? code : `${code} ${details}`);
    }
  })();
  return {
    ends,
    heard,
    stop: async () => {
      over = true;
      await cancel();
      await following;
      // The last one ended because it was told to.
      ends.pop();
      await channel.close();
    },
  };
}

/**
 * Replaces scalers as `maxSurge: 1, maxUnavailable: 0` does: a new one is an endpoint when it is Ready,
 * and an old one for a while after it was told to stop, until every node has heard.
 *
 * @returns The new scalers.
 */
export async function rollScalers(
  { scene, service: { endpoints } }: Pick<RolledCluster, "scene" | "service">,
  old: readonly Scaler[],
  {
    binaryPath,
    lagMs = endpointLagMs,
  }: { readonly binaryPath?: string; readonly lagMs?: number } = {},
): Promise<readonly Scaler[]> {
  const started: Scaler[] = [];
  for (const { serving } of old) {
    const next = await scene.startScaler(binaryPath);
    await eventually(next.ready, "ok");
    endpoints.add(next.serving);
    if (lagMs > 0) serving.kill("SIGTERM");
    await Bun.sleep(lagMs);
    endpoints.delete(serving);
    serving.kill("SIGTERM");
    expect(await serving.exited).toBe(0);
    started.push(next);
  }
  return started;
}

/**
 * Replaces agents as a DaemonSet does: the next when the one before serves, and every scaler has heard
 * it.
 */
export async function rollAgents(
  { scene, llm }: Pick<RolledCluster, "scene" | "llm">,
  scalers: readonly Scaler[],
  binaryPath?: string,
): Promise<void> {
  for (const name of threeNodes) {
    const node = scene.node(name);
    const stopped = node.agent();
    stopped.kill("SIGTERM");
    expect(await stopped.exited).toBe(0);
    await node.restart(binaryPath);
    for (const { value } of scalers) await eventually(() => value(llm), 276);
  }
}
