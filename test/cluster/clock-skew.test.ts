import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Clock, systemClock } from "#core/clock.ts";
import type { PodResources } from "#node/pod-resources.ts";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { testAgent } from "../support/test-agent.ts";
import { clusterScene } from "./scene.ts";
import { answersWhile } from "./watching.ts";

setDefaultTimeout(60_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

/** A node's clock: its wall clock is off, and it has been up for another time than this machine. */
function skewedClock(byMs: number): Clock {
  const system = systemClock();
  return {
    ...system,
    wallMs: () => system.wallMs() + byMs,
    monotonicMs: () => system.monotonicMs() + byMs,
  };
}

/** A kubelet that always says the same of one pod's GPU. */
function kubeletOf(pod: string, id: string, clock: Clock): PodResources {
  const claim = { namespace: "default", pod, container: "main", resource: "nvidia.com/gpu", id };
  return {
    latest: () => ({ allocations: [claim], readAtMs: clock.monotonicMs() }),
    refresh: () => {},
    subscribe: (listener) => {
      listener();
      return () => {};
    },
    close: () => {},
  };
}

test.concurrent("nodes whose clocks differ by an hour count alike, and grow old alike", async () => {
  await using scene = await clusterScene({ keda, nodes: ["node-a"] });
  await using open = new AsyncDisposableStack();
  scene.node("node-a").gpus([{ percent: 92, pod: "llm-0" }]);
  const pods = [{ name: "llm-0", node: "node-a" }];
  const readings = new Map<string, NodeJS.Timeout>();
  for (const [index, hours] of [1, -1].entries()) {
    const [node, pod] = [`skewed-${index}`, `llm-${index + 1}`];
    const [address, id] = [`127.0.0.${20 + index}`, `GPU-${index}`];
    const clock = skewedClock(hours * 3_600_000);
    const podResources = kubeletOf(pod, id, clock);
    const startedAtMs = clock.wallMs();
    const agent = await testAgent({ name: node, address, clock, startedAtMs, podResources });
    open.defer(agent.kill);
    const reading = setInterval(() => agent.read({ [id]: 92 }), 200);
    open.defer(() => clearInterval(reading));
    readings.set(node, reading);
    scene.listAgent({ node, address, port: agent.port });
    pods.push({ name: pod, node });
  }
  const { value } = scene.scaler();
  const llm = scene.workload({ name: "llm", pods });
  await eventually(() => value(llm), 276);

  for (const [node, floor] of [
    ["skewed-0", 240],
    ["skewed-1", "UNAVAILABLE"],
  ] as const) {
    const before = await value(llm);
    const answers = await answersWhile(
      () => value(llm),
      async () => {
        clearInterval(readings.get(node));
        await eventually(() => value(llm), floor);
      },
    );
    expect(answers).toEqual([before, floor]);
  }
});
