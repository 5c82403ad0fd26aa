import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { endpointSlice } from "../fake-kubernetes/objects.ts";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { type FakeEngine, fakeEngine } from "./fake-engine.ts";
import { clusterScene, type WorkloadOptions } from "./scene.ts";

setDefaultTimeout(150_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

/** Addresses of the pods here: a pod is never asked at loopback unless the operator says so. */
const addresses = ["127.0.1.1", "127.0.1.2", "127.0.1.3"];
const allowed = ["--allow-endpoint", [...addresses, "127.0.1.9"].join(",")];

const podOf = ({ address, port }: FakeEngine, index: number): WorkloadOptions["pods"][number] => ({
  name: `llm-${index}`,
  uid: `uid-${index}`,
  ip: address,
  containers: [{ name: "server", ports: [{ name: "http", port }] }],
});

const queue = { metricType: "queue_depth", targetValue: "5", activationThreshold: "1" };

test.concurrent("three replicas' queues are added up, followed, and missed by the rule for missing replicas", async () => {
  using engines = new DisposableStack();
  const three = await Promise.all(addresses.map((address) => fakeEngine("vllm-v1.prom", address)));
  for (const engine of three) engines.use(engine);
  await using scene = await clusterScene({ keda, nodes: [], scalerArgs: allowed });
  const { value, active, push, refusal, gauge } = scene.scaler();
  for (const [index, engine] of three.entries()) engine.load({ waiting: index, running: 0 });

  // Nobody has asked yet: a replica of the scaler reads what it may be asked for.
  const llm = scene.workload({ name: "llm", metadata: queue, pods: three.map(podOf) });
  await eventually(() => gauge('keda_gpu_scaler_engine_targets{engine="vllm",state="ok"}'), 3);
  expect(await value(llm)).toBe(3);
  expect(await active(llm)).toBe(true);

  await using stream = await push(llm);
  expect(await stream.next()).toEqual({ result: true });
  for (const engine of three) engine.load({ waiting: 0, running: 0 });
  // The pages are read one after the other: not active may come before all of them are empty.
  expect(await stream.next()).toEqual({ result: false });
  await eventually(() => value(llm), 0);
  expect(await active(llm)).toBe(false);

  // A busy server with an empty queue is in use.
  three[1]?.load({ waiting: 0, running: 4 });
  expect(await stream.next()).toEqual({ result: true });
  expect(await value(llm)).toBe(0);
  for (const engine of three) engine.load({ waiting: 10, running: 1 });
  await eventually(() => value(llm), 30);

  // Two of three are known: they may ask for more than the floor of 15, and nothing is taken away.
  for (const engine of three) engine.load({ waiting: 1, running: 1 });
  await eventually(() => value(llm), 3);
  three[2]?.die();
  await eventually(() => value(llm), 15, { withinMs: 45_000 });
  expect(await active(llm)).toBe(true);

  three[0]?.die();
  three[1]?.die();
  await eventually(() => value(llm), "UNAVAILABLE", { withinMs: 45_000 });
  await eventually(() => refusal(llm), expect.stringContaining("0 of 3 replicas are known"));
  expect(await refusal(llm)).toContain("Cannot read metrics of http://127.0.1.");
  expect(await active(llm)).toBe("UNAVAILABLE");
});

test.concurrent("what a signal's engine does not export is told with what it does", async () => {
  using engine = await fakeEngine("vllm-v1.prom", "127.0.1.1");
  await using scene = await clusterScene({ keda, nodes: [], scalerArgs: allowed });
  const { value, refusal } = scene.scaler();
  const metadata = { metricType: "loaded_models", targetValue: "1" };
  const llm = scene.workload({ name: "llm", metadata, pods: [podOf(engine, 0)] });
  await eventually(() => value(llm), "FAILED_PRECONDITION");
  expect(await refusal(llm)).toContain("may be asked for");
  expect(await refusal(llm)).toContain("queue_depth");
});

test.concurrent("a pod's address on loopback is refused unless it is named, and so is another's Service", async () => {
  using engine = await fakeEngine("vllm-v1.prom", "127.0.1.4");
  await using scene = await clusterScene({ keda, nodes: [], scalerArgs: allowed });
  const { value, refusal } = scene.scaler();
  const llm = scene.workload({ name: "llm", metadata: queue, pods: [podOf(engine, 0)] });
  await eventually(() => refusal(llm), expect.stringContaining("--allow-endpoint must name"));
  expect(await value(llm)).toBe("UNAVAILABLE");

  const endpoint = "http://router.other:8001/metrics";
  const stolen = scene.workload({ name: "stolen", metadata: { ...queue, endpoint }, pods: [] });
  await eventually(() => value(stolen), "FAILED_PRECONDITION");
  expect(await refusal(stolen)).toContain("is a Service of namespace default");
  expect(engine.scrapesAtMs).toEqual([]);
});

test.concurrent("at zero replicas the first request to the router wakes the workload within about a second", async () => {
  using router = await fakeEngine("vllm-router-fresh.prom", "127.0.1.9");
  await using scene = await clusterScene({ keda, nodes: [], scalerArgs: allowed });
  const { value, active, push, gauge } = scene.scaler();
  scene.kubernetes.apply(
    endpointSlice({
      name: "router-1",
      service: "vllm-router",
      ports: [{ name: "http", port: router.port }],
      endpoints: [{ address: router.address }],
    }),
  );
  const metadata = {
    metricType: "request_rate",
    targetValue: "5",
    engine: "vllm-router",
    endpoint: "http://vllm-router/metrics",
  };
  const llm = scene.workload({ name: "llm", metadata, pods: [], replicas: 0 });
  await eventually(() => active(llm), false);
  expect(await value(llm)).toBe(0);

  await using stream = await push(llm);
  expect(await stream.next()).toEqual({ result: false });
  // Nobody listens to a router that nobody waits for; now its page is read every second.
  const before = router.scrapesAtMs.length;
  await eventually(() => router.scrapesAtMs.length >= before + 3, true, { withinMs: 4_500 });
  router.load({ running: 0, arrived: 1 });
  const shownAtMs = performance.now();
  expect(await stream.next()).toEqual({ result: true });
  expect(performance.now() - shownAtMs).toBeLessThan(1_500);
  expect(await value(llm)).toBeGreaterThan(0);
  expect(await active(llm)).toBe(true);

  // A second endpoint of the Service counts too.
  using second = await fakeEngine("vllm-router-fresh.prom", "127.0.1.3");
  second.load({ running: 0, arrived: 1_000 });
  scene.kubernetes.apply(
    endpointSlice({
      name: "router-2",
      service: "vllm-router",
      ports: [{ name: "http", port: second.port }],
      endpoints: [{ address: second.address }],
    }),
  );
  // What it counted before anybody read it is no rate of now.
  await eventually(
    () => gauge('keda_gpu_scaler_engine_targets{engine="vllm-router",state="ok"}'),
    2,
  );
  second.load({ running: 0, arrived: 2_000 });
  await eventually(() => value(llm).then((rate) => Number(rate) > 2), true);
});

test.concurrent("a pod that is gone is not asked any more", async () => {
  using engine = await fakeEngine("vllm-v1.prom", "127.0.1.2");
  await using scene = await clusterScene({ keda, nodes: [], scalerArgs: allowed });
  const { value, gauge } = scene.scaler();
  const llm = scene.workload({ name: "llm", metadata: queue, pods: [podOf(engine, 0)] });
  await eventually(() => value(llm), 0);
  scene.workload({ name: "llm", metadata: queue, pods: [] });
  const targets = 'keda_gpu_scaler_engine_targets{engine="vllm",state="ok"}';
  await eventually(() => gauge(targets), undefined, { withinMs: 40_000 });
  const scrapes = engine.scrapesAtMs.length;
  await eventually(() => value(llm), 0);
  expect(engine.scrapesAtMs).toHaveLength(scrapes);
});
