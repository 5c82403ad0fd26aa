import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { servicesMax } from "#core/limits.ts";
import { requestsOf } from "../fake-kubernetes/harness.ts";
import { endpointSlice } from "../fake-kubernetes/objects.ts";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { type FakeEngine, fakeEngine } from "./fake-engine.ts";
import type { Ref } from "./scaler.ts";
import { type ClusterScene, clusterScene } from "./scene.ts";

setDefaultTimeout(60_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

const queue = { metricType: "queue_depth", targetValue: "5" };
const routerTrigger = {
  metricType: "request_rate",
  targetValue: "5",
  engine: "vllm-router",
  endpoint: "http://router/metrics",
};

/** A directory of tokens with one for the namespace `guest`, named `vllm`. */
function tokens(): Disposable & { readonly directory: string } {
  const directory = mkdtempSync(join(tmpdir(), "tokens-"));
  mkdirSync(join(directory, "guest"));
  writeFileSync(join(directory, "guest", "vllm"), "of-guest");
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

function applyRouter({ kubernetes }: ClusterScene, namespace: string, router: FakeEngine) {
  kubernetes.apply(
    endpointSlice({
      namespace,
      name: "router-1",
      service: "router",
      ports: [{ name: "http", port: router.port }],
      endpoints: [{ address: router.address }],
    }),
  );
}

const slices = ({ kubernetes }: ClusterScene, namespace: string) =>
  (["list", "watch"] as const).flatMap((kind) =>
    requestsOf(kubernetes, kind, `/namespaces/${namespace}/endpointslices`),
  );

test.concurrent("a trigger that no object has is not answered, scraped, watched or given a token, in any scope", async () => {
  using secrets = tokens();
  using engine = await fakeEngine("vllm-v1.prom", "127.0.2.1");
  using router = await fakeEngine("vllm-router-fresh.prom", "127.0.2.2");
  await using scene = await clusterScene({
    keda,
    nodes: ["node-a"],
    scalerArgs: [
      ...["--allow-endpoint", `${engine.address},${router.address}`],
      ...["--engine-token-dir", secrets.directory],
    ],
  });
  const { value, active, refusal, push } = scene.scaler();
  scene.node("node-a").gpus([{ percent: 50 }]);
  applyRouter(scene, "guest", router);
  const pods = [
    {
      name: "llm-0",
      ip: engine.address,
      containers: [{ name: "server", ports: [{ name: "http", port: engine.port }] }],
    },
  ];
  const real = scene.workload({ namespace: "guest", name: "llm", metadata: queue, pods });
  await eventually(() => value(real), 0);

  const pageOf = ({ address, port }: FakeEngine) => `http://${address}:${port}/metrics`;
  const changes: Readonly<Record<string, Ref["scalerMetadata"]>> = {
    path: { ...queue, enginePath: "/admin" },
    token: { ...queue, engineTokenFile: "vllm" },
    "token for a host of the operator": {
      ...queue,
      endpoint: pageOf(router),
      engineTokenFile: "vllm",
    },
    service: routerTrigger,
    "no key at all": {},
    node: { scope: "node", node: "node-a" },
    cluster: { scope: "cluster" },
    "always active": { profile: "training", scope: "cluster" },
  };
  const { scalerAddress = "" } = real.scalerMetadata;
  const invented = Object.values(changes).flatMap((metadata): readonly Ref[] => [
    { ...real, scalerMetadata: { scalerAddress, ...metadata } },
    { ...real, name: "nobody", scalerMetadata: { scalerAddress, ...metadata } },
  ]);
  await using streams = new AsyncDisposableStack();
  const opened = [];
  for (const ref of invented) {
    opened.push(streams.use(await push(ref)));
    const code = ref.name === "nobody" ? "NOT_FOUND" : "UNAVAILABLE";
    expect([ref, await value(ref), await active(ref)]).toEqual([ref, code, code]);
    expect(await refusal(ref)).toContain(
      code === "NOT_FOUND" ? "no ScaledObject or ScaledJob of that name" : "none of its triggers",
    );
  }
  // The spec depends on metadata alone.
  expect(await scene.scaler().target(invented[0] ?? real)).toBe(5);

  // Whatever was read ahead would have been read by the time the pods have been read twice more.
  const scrapes = engine.scrapesAtMs.length;
  await eventually(() => engine.scrapesAtMs.length >= scrapes + 2, true);
  expect(new Set(engine.requests.map((request) => JSON.stringify(request)))).toEqual(
    new Set([JSON.stringify({ path: "/metrics", authorization: null })]),
  );
  expect(router.requests).toEqual([]);
  expect(slices(scene, "guest")).toEqual([]);
  for (const stream of opened) expect(stream.waiting()).toEqual([]);

  // All of it is done for an object that really has such a trigger.
  for (const [index, metadata] of Object.values(changes).entries())
    scene.workload({ namespace: "guest", name: `real-${index}`, metadata, pods: [] });
  const token = { ...queue, engineTokenFile: "vllm" };
  scene.workload({ namespace: "guest", name: "llm", metadata: token, pods });
  await eventually(() => engine.requests.at(-1)?.authorization, "Bearer of-guest");
  await eventually(() => router.requests.length > 0, true);
  expect(slices(scene, "guest").length).toBeGreaterThan(0);
  const cluster = { ...real, name: "real-6", scalerMetadata: { scalerAddress, scope: "cluster" } };
  await eventually(() => value(cluster), 50);
});

test.concurrent("a push stream waits for its object in silence, and wakes the workload when it is there", async () => {
  using router = await fakeEngine("vllm-router-fresh.prom", "127.0.2.3");
  await using scene = await clusterScene({
    keda,
    nodes: [],
    scalerArgs: ["--allow-endpoint", router.address],
  });
  const { push, active } = scene.scaler();
  applyRouter(scene, "default", router);
  const other = { ...routerTrigger, targetValue: "6" };
  const llm = scene.workload({ name: "llm", metadata: other, pods: [], replicas: 0 });
  await eventually(() => active(llm), false);
  const { scalerAddress = "" } = llm.scalerMetadata;
  await using stream = await push({ ...llm, scalerMetadata: { scalerAddress, ...routerTrigger } });
  await eventually(() => active(llm), false);
  expect(stream.waiting()).toEqual([]);

  scene.workload({ name: "llm", metadata: routerTrigger, pods: [], replicas: 0 });
  expect(await stream.next()).toEqual({ result: false });
  // A stream that is let in has its page read every second.
  const before = router.scrapesAtMs.length;
  await eventually(() => router.scrapesAtMs.length >= before + 3, true, { withinMs: 4_500 });
  router.load({ running: 0, arrived: 1 });
  expect(await stream.next()).toEqual({ result: true });

  // KEDA's copy of the object is older than ours for a moment.
  scene.workload({ name: "llm", metadata: other, pods: [], replicas: 0 });
  await eventually(
    () => active({ ...llm, scalerMetadata: { scalerAddress, ...routerTrigger } }),
    "UNAVAILABLE",
  );
  scene.workload({ name: "llm", metadata: routerTrigger, pods: [], replicas: 0 });
  expect(await stream.next()).toEqual({ result: true });
});

test.concurrent("Services that calls invent take no real one's place", async () => {
  using router = await fakeEngine("vllm-router-fresh.prom", "127.0.2.4");
  await using scene = await clusterScene({
    keda,
    nodes: [],
    scalerArgs: ["--allow-endpoint", router.address],
  });
  const { value } = scene.scaler();
  const llm = scene.workload({ name: "llm", metadata: queue, pods: [], replicas: 0 });
  await eventually(() => value(llm), 0);
  const { scalerAddress = "" } = llm.scalerMetadata;
  for (let index = 0; index < servicesMax; index += 1) {
    const endpoint = `http://invented-${index}/metrics`;
    const scalerMetadata = { scalerAddress, ...routerTrigger, endpoint };
    expect(await value({ ...llm, scalerMetadata })).toBe("UNAVAILABLE");
  }
  expect(slices(scene, "default")).toEqual([]);

  applyRouter(scene, "default", router);
  const woken = scene.workload({ name: "second", metadata: routerTrigger, pods: [], replicas: 0 });
  await eventually(() => value(woken), 0);
});
