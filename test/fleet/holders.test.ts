import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#core/clock.ts";
import { agentSource } from "#fleet/agents.ts";
import { followFleet } from "#fleet/follow-agents.ts";
import { fleetStore } from "#fleet/store.ts";
import { podResources } from "#node/pod-resources.ts";
import { fakeKubelet, podWith } from "../fake-kubelet/fake-kubelet.ts";
import { testAgent } from "../support/test-agent.ts";
import { until } from "../support/until.ts";

const gpu = "GPU-10000000-0000-0000-0000-000000000000";

test("what the kubelet says on a node is in the fleet's view, through a restart of the kubelet", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "kubelet-"));
  stack.defer(() => rm(folder, { recursive: true }));
  const kubelet = await fakeKubelet(join(folder, "kubelet.sock"));
  stack.defer(kubelet.vanish);
  kubelet.set([podWith("first", "nvidia.com/gpu", [gpu])]);

  const clock = systemClock();
  const log = () => {};
  const resources = podResources({ socketPath: kubelet.socketPath, clock, log, pollMs: 20 });
  stack.defer(resources.close);
  const agent = await testAgent({ podResources: resources });
  stack.defer(agent.kill);
  agent.read({ [gpu]: 50 });

  const store = fleetStore({ clock });
  const listed = `${agent.address}:${agent.port}`;
  const agents = agentSource(listed, { clock, log, resolve: async () => [] });
  const follower = followFleet({ agents, store, clock, log });
  stack.defer(follower.close);
  const node = () => store.view().nodes.get("node-a");
  const holders = () =>
    node()
      ?.devices[0]?.holders.map(({ pod }) => pod)
      .join();

  await until(() => holders() === "first");
  expect(node()?.holdersAtMs).toBeLessThanOrEqual(clock.monotonicMs());
  await kubelet.vanish();
  kubelet.set([
    podWith("second", "nvidia.com/gpu", [gpu]),
    podWith("first", "nvidia.com/gpu", [gpu]),
  ]);
  await kubelet.comeBack();
  await until(() => holders() === "second");
});
