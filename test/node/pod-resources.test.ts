import { afterEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#core/clock.ts";
import { type PodResources, podResources } from "#node/pod-resources.ts";
import { type FakeKubelet, fakeKubelet, podWith } from "../fake-kubelet/fake-kubelet.ts";
import { until } from "../support/until.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "kubelet-"));
  cleanups.push(() => rm(folder, { recursive: true }));
  return folder;
}
async function kubelet(): Promise<FakeKubelet> {
  const started = await fakeKubelet(join(await emptyFolder(), "kubelet.sock"));
  cleanups.push(started.vanish);
  return started;
}
function client(socketPath: string, { pollMs = 20, timeoutMs = 2_000 } = {}) {
  const events: string[] = [];
  const log = (_level: string, event: string, facts = {}) => {
    events.push(`${event} ${JSON.stringify(facts)}`);
  };
  const resources: PodResources = podResources({
    socketPath,
    clock: systemClock(),
    log,
    pollMs,
    timeoutMs,
  });
  cleanups.push(resources.close);
  return {
    ...resources,
    events,
    pods: () => resources.latest()?.allocations.map(({ pod }) => pod),
  };
}
const gpus = (pod: string, ...ids: string[]) => podWith(pod, "nvidia.com/gpu", ids);

test("allocations carry what the kubelet said, of plugins and of ResourceClaims", async () => {
  const { set, socketPath } = await kubelet();
  set([
    gpus("plugin", "GPU-1", "GPU-2::0"),
    {
      name: "dynamic",
      namespace: "team",
      containers: [
        {
          name: "server",
          dynamicResources: [
            {
              claimName: "one-gpu",
              claimNamespace: "team",
              claimResources: [
                { driverName: "gpu.nvidia.com", poolName: "node", deviceName: "gpu-0" },
                { driverName: "gpu.nvidia.com", deviceName: "gpu-1", shareId: "5ad1" },
              ],
            },
          ],
        },
      ],
    },
  ]);
  const { latest } = client(socketPath);
  await until(() => latest() !== undefined);

  const plugin = { namespace: "default", pod: "plugin", container: "main" };
  const dynamic = { namespace: "team", pod: "dynamic", container: "server" };
  const dra = { ...dynamic, resource: "gpu.nvidia.com", resourceClaim: "team/one-gpu" };
  expect(latest()?.allocations).toEqual([
    { ...plugin, resource: "nvidia.com/gpu", id: "GPU-1" },
    { ...plugin, resource: "nvidia.com/gpu", id: "GPU-2::0" },
    { ...dra, id: "gpu-0" },
    { ...dra, id: "gpu-1", shareId: "5ad1" },
  ]);
});

test("a kubelet that restarts on a new socket is asked again, the old answer kept meanwhile", async () => {
  const { set, socketPath, vanish, comeBack } = await kubelet();
  set([gpus("first", "GPU-1")]);
  const { pods, latest, events } = client(socketPath);
  await until(() => pods()?.[0] === "first");

  await vanish();
  await until(() => events.length === 1);
  // A call that was under way when the socket went says so itself.
  expect(events[0]).toMatch(/mount the folder|see whether the kubelet runs/);
  expect(pods()).toEqual(["first"]);
  const readAtMs = latest()?.readAtMs;
  expect(readAtMs).toBeLessThanOrEqual(systemClock().monotonicMs());

  set([gpus("second", "GPU-1")]);
  await comeBack();
  await until(() => pods()?.[0] === "second");
  expect(latest()?.readAtMs).toBeGreaterThan(readAtMs ?? 0);
  expect(events[1]).toContain("pod resources are back");
});

test("a kubelet that takes a question and does not answer costs one time limit", async () => {
  const { set, socketPath, hang } = await kubelet();
  set([gpus("first", "GPU-1")]);
  hang(true);
  const { pods, events } = client(socketPath, { timeoutMs: 50 });
  await until(() => events.length === 1);
  expect(events[0]).toContain("deadline");
  expect(pods()).toBeUndefined();

  hang(false);
  await until(() => pods()?.[0] === "first");
});

test("a node without a kubelet has no answer, and says so once", async () => {
  const { pods, refresh, events } = client(join(await emptyFolder(), "kubelet.sock"));
  await until(() => events.length === 1);
  for (let question = 0; question < 5; question += 1) refresh();
  const later = await kubelet();
  const other = client(later.socketPath);
  await until(() => other.pods() !== undefined);
  expect(pods()).toBeUndefined();
  expect(events).toHaveLength(1);
});

test("refresh() asks without waiting for the next poll, and tells the listeners", async () => {
  const { set, socketPath, asked } = await kubelet();
  const { pods, refresh, subscribe } = client(socketPath, { pollMs: 3_600_000 });
  await until(() => pods() !== undefined);
  expect(asked()).toBe(1);

  let told = 0;
  const stop = subscribe(() => {
    told += 1;
  });
  set([gpus("new", "GPU-1")]);
  refresh();
  refresh();
  await until(() => told === 2);
  expect(pods()).toEqual(["new"]);
  expect(asked()).toBe(3);
  stop();
});
