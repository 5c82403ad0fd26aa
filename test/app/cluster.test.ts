import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  findKubernetes,
  fleetStats,
  followAgents,
  followWorkloads,
  type Kubernetes,
} from "#app/cluster.ts";
import type { Runtime } from "#app/options.ts";
import { systemClock } from "#core/clock.ts";
import { fleetStore } from "#fleet/store.ts";
import { startFake, stopAll, temporaryDirectory, whenOver } from "../fake-kubernetes/harness.ts";
import { endpointSlice, scalableObject, scaledObject } from "../fake-kubernetes/objects.ts";
import { manualClock } from "../support/manual-clock.ts";
import { testAgent } from "../support/test-agent.ts";
import { until } from "../support/until.ts";

afterEach(stopAll);

const runtime: Runtime = { clock: systemClock(), log: () => {}, random: () => 0 };

async function startedKubernetes() {
  const fake = await startFake({ tls: true, token: "first" });
  const kubeconfig = join(await temporaryDirectory(), "kubeconfig");
  await fake.writeKubeconfig(kubeconfig);
  const kubernetes = await findKubernetes({ kubeconfig, namespace: "keda" }, runtime.clock);
  if (kubernetes === undefined) throw new Error("Cannot go on: no API was found");
  return { fake, kubeconfig, kubernetes };
}

describe("the Kubernetes API", () => {
  test("is not there on a laptop", async () => {
    expect(await findKubernetes({}, runtime.clock)).toBeUndefined();
  });

  test("is that of the kubeconfig, also in a pod", async () => {
    const { fake, kubeconfig } = await startedKubernetes();
    const kubernetesAddress = { host: "10.0.0.1", port: "443" };
    const options = { kubeconfig, kubernetesAddress, namespace: "keda" };
    const kubernetes = await findKubernetes(options, runtime.clock);
    expect(kubernetes?.namespace).toBe("keda");
    await kubernetes?.client.get("/api/v1/pods");
    expect(fake.requests.map(({ path }) => path)).toContain("/api/v1/pods");
  });

  test("is that of the pod, whose namespace must be known", async () => {
    const kubernetesAddress = { host: "127.0.0.1", port: "1" };
    const named = await findKubernetes({ kubernetesAddress, namespace: "keda" }, runtime.clock);
    expect(named?.namespace).toBe("keda");
    const problem =
      "/var/run/secrets/kubernetes.io/serviceaccount/namespace cannot be read; give --namespace";
    await expect(findKubernetes({ kubernetesAddress }, runtime.clock)).rejects.toMatchObject({
      code: "usage-invalid",
      message: `Cannot tell this scaler's namespace: ${problem}`,
      facts: { problems: [problem] },
    });
  });
});

test("the workloads are those whose triggers name this scaler's Service", async () => {
  const { fake, kubernetes } = await startedKubernetes();
  for (const [name, scalerAddress] of [
    ["ours", "gpu.keda.svc.cluster.local:6000"],
    ["others", "gpu.other.svc.cluster.local:6000"],
  ] as const) {
    const triggers = [{ metadata: { scalerAddress } }];
    fake.apply(
      scalableObject({ name, matchLabels: { app: name } }),
      scaledObject({ name, triggers }),
    );
  }
  const workloads = followWorkloads(kubernetes, { service: "gpu" }, runtime);
  whenOver(workloads.stop);
  await until(() => workloads.servedTriggers().length > 0);
  expect(workloads.servedTriggers().map(({ name }) => name)).toEqual(["ours"]);
});

describe("the agents", () => {
  const agentService = "agents";
  const follow = (kubernetes: Kubernetes | undefined, agents?: string) => {
    const store = fleetStore(runtime);
    const follower = followAgents(store, kubernetes, { agents, agentService }, runtime);
    whenOver(follower.close);
    return { store, follower, names: () => [...store.view().nodes.keys()] };
  };
  const startedAgent = async (name: string, address: string) => {
    const agent = await testAgent({ name, address });
    whenOver(agent.kill);
    agent.read({ "GPU-a": 50 });
    return agent;
  };

  test("are those listed, also where there is a Kubernetes API", async () => {
    const { kubernetes } = await startedKubernetes();
    const { address, port } = await startedAgent("node-a", "127.0.0.1");
    const { names, follower } = follow(kubernetes, `${address}:${port}`);
    await until(follower.synced);
    expect(names()).toEqual(["node-a"]);
  });

  test("are those of the headless Service, as they come and go", async () => {
    const { fake, kubernetes } = await startedKubernetes();
    const { address, port } = await startedAgent("node-a", "127.0.0.1");
    const slice = { namespace: "keda", service: agentService, ports: [{ name: "grpc", port }] };
    const { names, follower } = follow(kubernetes);
    expect(follower.synced()).toBe(false);
    fake.apply(
      endpointSlice({ ...slice, name: "one", endpoints: [{ address, node: "node-a" }] }),
      endpointSlice({
        ...slice,
        namespace: "other",
        name: "two",
        endpoints: [{ address: "127.0.0.9" }],
      }),
    );
    await until(() => names().length > 0);
    expect(names()).toEqual(["node-a"]);
    await until(follower.synced);
    fake.apply(endpointSlice({ ...slice, name: "one", endpoints: [] }));
    await until(() => names().length === 0);
  });

  test("are not known before their list is", async () => {
    const { fake, kubernetes } = await startedKubernetes();
    fake.fail({ path: /endpointslices/, status: 503 });
    const { follower } = follow(kubernetes);
    await until(() => fake.requests.some(({ status }) => status === 503));
    expect(follower.synced()).toBe(false);
  });

  test("are not followed any more after a close", async () => {
    const { fake, kubernetes } = await startedKubernetes();
    const agent = await startedAgent("node-a", "127.0.0.1");
    const listed = follow(undefined, `${agent.address}:${agent.port}`);
    await until(listed.follower.synced);
    const slices = follow(kubernetes);
    await until(() => fake.openWatches() === 1);
    listed.follower.close();
    slices.follower.close();
    await until(() => fake.openWatches() === 0);
  });

  test("must be named somewhere", () => {
    const problem = "it needs the Kubernetes API (as a pod, or with --kubeconfig) or --agents";
    expect(() => follow(undefined)).toThrow(
      expect.objectContaining({
        code: "usage-invalid",
        message: `Cannot run --role scaler: ${problem}`,
        facts: { problems: [problem] },
      }),
    );
  });
});

test("what is shown of the fleet is counted from its view", () => {
  const clock = manualClock(10_000);
  const store = fleetStore({ clock });
  const stats = fleetStats(store, { refusedReports: () => 7 }, clock);
  const shown = () => [
    stats.nodes(),
    stats.devices(),
    stats.silentAgents(),
    stats.refusedReports(),
    Object.fromEntries(stats.sampleAgesMs()),
    Object.fromEntries(stats.unwellDevices()),
    Object.fromEntries(stats.deviceConditions()),
  ];
  expect(shown()).toEqual([0, 0, 0, 7, {}, {}, {}]);
  const device = {
    index: 0,
    vendor: "nvidia",
    model: "H100",
    health: { state: "ok" },
    conditions: [],
    readings: {},
    absences: {},
    holders: [],
  } as const;
  const ill = {
    health: { state: "failing", reason: "XID 79" },
    conditions: [
      { kind: "xid-hardware", detail: "XID 79" },
      { kind: "power-brake", detail: "low" },
    ],
  } as const;
  const report = (name: string, ageMs: number, ...uuids: string[]) =>
    store.put({
      name,
      sampleIntervalMs: 1_000,
      session: 1,
      ageMs,
      devices: uuids.map((uuid, at) => ({ ...device, ...(at === 0 && ill), uuid })),
    });
  report("node-a", 100, "GPU-a", "GPU-b");
  report("node-b", 700, "GPU-c");
  store.setUnavailable([{ address: "c:1", sinceMs: 0, reason: "refused" }]);
  clock.advance(50);
  expect(shown()).toEqual([
    2,
    3,
    1,
    7,
    { "node-a": 150, "node-b": 750 },
    { failing: 2 },
    { "xid-hardware": 2, "power-brake": 2 },
  ]);
});
