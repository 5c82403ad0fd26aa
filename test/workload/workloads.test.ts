import { afterEach, describe, expect, test } from "bun:test";
import { unlessFault } from "#core/fault.ts";
import { scaleEveryMs, scaleSettleMs } from "#core/limits.ts";
import { requestsOf, startFake, stopAll, until } from "../fake-kubernetes/harness.ts";
import { podObject, scalableObject, scaledObject } from "../fake-kubernetes/objects.ts";
import { ours, ready, startCluster, untilLater } from "./harness.ts";

import { cluster, deployment, labels, llm, names, pod, secure } from "./llm.ts";

afterEach(stopAll);

/** As `cluster`, after the first pods have had their effect on the scale. */
async function settled(...objects: ReturnType<typeof pod>[]) {
  const started = await cluster(...objects);
  await until(() => started.look("llm").pods.length === objects.length);
  started.clock.advance(scaleSettleMs * 2);
  await started.client.get("/api");
  await Bun.sleep(20);
  return started;
}

describe("a Deployment's ScaledObject", () => {
  test("leads to its pods, trimmed, through its scale", async () => {
    const fake = await startFake(secure);
    fake.apply(
      llm({ minReplicaCount: 1, idleReplicaCount: 0 }),
      deployment(3),
      podObject({
        name: "llm-a",
        uid: "uid-a",
        labels: { ...labels, tier: "gpu" },
        node: "node-1",
        ip: "10.0.0.1",
        containers: [{ name: "server", ports: [{ name: "http", port: 8000 }] }],
      }),
      podObject({ name: "other", labels: { app: "other" } }),
    );
    const started = await startCluster(fake);
    expect(() => started.look("llm")).toThrow(
      /^Cannot look up default\/llm: ScaledObjects not read yet; ask again in a moment$/,
    );
    await ready(started);

    expect(started.look("llm")).toEqual({
      kind: "ScaledObject",
      metricType: "AverageValue",
      replicas: 3,
      statusReplicas: 1,
      readyPods: 1,
      drainingPods: 0,
      isAtZero: false,
      tolerances: { up: 0.1, down: 0.1 },
      minReplicas: 1,
      maxReplicas: 100,
      idleReplicas: 0,
      otherTriggers: [],
      pods: [
        {
          namespace: "default",
          name: "llm-a",
          uid: "uid-a",
          node: "node-1",
          ip: "10.0.0.1",
          state: "counted",
          containers: [{ name: "server", ready: true, ports: [{ name: "http", port: 8000 }] }],
          labels: { app: "llm", tier: "gpu" },
          readyAfterMs: expect.any(Number),
          requestsDevice: false,
          onHostNetwork: false,
          ready: true,
        },
      ],
      ageMs: expect.any(Number),
      generation: expect.any(Number),
    });
    expect(started.look("llm").ageMs).toBeLessThan(60_000);
  });

  test("counts pods as the HPA does", async () => {
    const { look } = await cluster(
      pod({ name: "deleting", deleting: true }),
      pod({ name: "failed", phase: "Failed" }),
      pod({ name: "finished", phase: "Succeeded" }),
      pod({ name: "lost-readiness", ready: false, readyChangedAfterSeconds: 31 }),
      pod({ name: "never-ready", ready: false, readyChangedAfterSeconds: 0 }),
      pod({ name: "never-ready-late", ready: false, readyChangedAfterSeconds: 29 }),
      pod({ name: "pending", phase: "Pending" }),
      pod({ name: "ready", readyChangedAfterSeconds: 2 }),
    );
    const { pods, statusReplicas } = look("llm");
    expect(pods.map(({ name, state }) => [name, state])).toEqual([
      ["lost-readiness", "counted"],
      ["never-ready", "warming"],
      ["never-ready-late", "warming"],
      ["pending", "warming"],
      ["ready", "counted"],
    ]);
    expect(statusReplicas).toBe(5);
  });

  test("sees the sidecars of a pod, and none of its other init containers", async () => {
    const initContainers = [
      { name: "download", ready: true },
      { name: "retried", restartPolicy: "OnFailure" as const },
      { name: "proxy", restartPolicy: "Always" as const, ports: [{ port: 15_020 }], ready: false },
    ];
    const { look } = await cluster(pod({ initContainers }));
    expect(look("llm").pods.map(({ containers }) => containers)).toEqual([
      [
        { name: "main", ready: true, ports: [] },
        { name: "proxy", ready: false, ports: [{ port: 15_020 }] },
      ],
    ]);
  });

  test("follows a pod that loses readiness, is deleted and moves to another node", async () => {
    const { fake, look, workloads } = await cluster(pod({ uid: "one", node: "node-1" }));
    let changes = 0;
    const unsubscribe = workloads.subscribe(() => {
      changes += 1;
    });
    const before = look("llm").generation;

    fake.apply(pod({ uid: "one", node: "node-1", ready: false, readyChangedAfterSeconds: 900 }));
    await until(() => look("llm").pods[0]?.containers[0]?.ready === false);
    expect(look("llm").pods[0]?.state).toBe("counted");
    expect(look("llm").generation).not.toBe(before);
    expect(changes).toBeGreaterThan(0);
    unsubscribe();
    const heard = changes;

    fake.apply(pod({ uid: "one", node: "node-1", deleting: true }));
    // Whether any pod is asked for is not known before its scale is read again.
    await until(() => unlessFault(() => look("llm")) === undefined);
    fake.remove({ kind: "Pod", namespace: "default", name: "a" });
    fake.apply(pod({ uid: "two", node: "node-2" }));
    await until(() => unlessFault(() => look("llm"))?.pods[0]?.node === "node-2");
    expect(look("llm").pods[0]?.uid).toBe("two");
    expect(changes).toBe(heard);
  });

  test("is of another generation after any change in its namespace, and no other", async () => {
    const { fake, clock, look } = await settled(pod());
    let before = look("llm").generation;
    const next = async (holds: () => boolean) => {
      await until(holds);
      expect(look("llm").generation).not.toBe(before);
      before = look("llm").generation;
    };
    fake.apply(llm({ minReplicaCount: 2 }));
    await next(() => look("llm").minReplicas === 2);
    fake.apply(pod({ node: "node-2" }));
    await next(() => look("llm").pods[0]?.node === "node-2");
    fake.apply(deployment(9));
    clock.advance(scaleEveryMs);
    await next(() => look("llm").replicas === 9);
    fake.apply(scaledObject({ namespace: "elsewhere", name: "x", triggers: [{ metadata: ours }] }));
    await until(() => fake.openWatches() === 4);
    expect(look("llm").generation).toBe(before);
  });

  test("has no pods at zero replicas, which is known and not an error", async () => {
    const fake = await startFake(secure);
    fake.apply(llm(), deployment(0));
    const started = await startCluster(fake);
    await ready(started);
    expect(started.look("llm")).toMatchObject({ pods: [], replicas: 0 });
  });

  test("reads the scale again soon after pods came, and after they went", async () => {
    const started = await settled(pod());
    const { fake, clock, look } = started;
    const before = requestsOf(fake, "scale").length;
    const becomes = async (replicas: number) => {
      const sinceMs = clock.monotonicMs();
      await untilLater(started, () => look("llm").replicas === replicas);
      const afterMs = clock.monotonicMs() - sinceMs;
      expect(afterMs).toBeGreaterThanOrEqual(scaleSettleMs);
      expect(afterMs).toBeLessThan(scaleEveryMs / 3);
    };
    expect(look("llm").replicas).toBe(1);
    fake.apply(deployment(4), pod({ name: "b" }));
    await becomes(4);
    fake.apply(deployment(2));
    fake.remove({ kind: "Pod", namespace: "default", name: "b" });
    await becomes(2);
    expect(requestsOf(fake, "scale")).toHaveLength(before + 2);
  });

  test("reads the scale again soon after a pod's readiness changed, and trusts it until then", async () => {
    const started = await settled(pod({ uid: "a" }));
    const { fake, clock, look } = started;
    const before = requestsOf(fake, "scale").length;
    const sinceMs = clock.monotonicMs();
    fake.apply(pod({ uid: "a", ready: false, readyChangedAfterSeconds: 900 }), deployment(0));
    await until(() => look("llm").pods[0]?.containers[0]?.ready === false);
    expect(look("llm").isAtZero).toBe(false);
    await untilLater(started, () => look("llm").isAtZero === true);
    const afterMs = clock.monotonicMs() - sinceMs;
    expect(afterMs).toBeGreaterThanOrEqual(scaleSettleMs);
    expect(afterMs).toBeLessThan(scaleEveryMs / 3);
    expect(requestsOf(fake, "scale").length).toBe(before + 1);
  });

  test("does not read the scale again for pods of another", async () => {
    const { fake, clock, client, look } = await settled(pod({ uid: "a" }));
    const before = requestsOf(fake, "scale").length;
    fake.apply(podObject({ name: "other", labels: { app: "other" } }));
    fake.apply(podObject({ name: "other", labels: { app: "other" }, ready: false }));
    fake.apply(podObject({ namespace: "elsewhere", name: "b", labels }));
    fake.apply(pod({ uid: "a", node: "node-2" }));
    await until(() => look("llm").pods[0]?.node === "node-2");
    clock.advance(scaleSettleMs * 2);
    // A read that began would have come before this request.
    await client.get("/api");
    expect(requestsOf(fake, "scale")).toHaveLength(before);
  });

  test("keeps namespaces apart", async () => {
    const fake = await startFake(secure);
    for (const namespace of ["red", "blue"])
      fake.apply(
        scaledObject({ namespace, name: "llm", triggers: [{ metadata: ours }] }),
        scalableObject({ namespace, name: "llm", matchLabels: labels }),
        podObject({ namespace, name: `${namespace}-a`, labels }),
      );
    const started = await startCluster(fake);
    await ready(started);
    expect(names(started.look("llm", { namespace: "red" }).pods)).toEqual(["red-a"]);
    expect(names(started.look("llm", { namespace: "blue" }).pods)).toEqual(["blue-a"]);
    expect(started.faultOf("llm", { namespace: "green" })).toBe("workload-unknown");
  });

  test("is unknown once it is deleted", async () => {
    const { fake, faultOf } = await cluster(pod());
    fake.remove({ kind: "ScaledObject", namespace: "default", name: "llm" });
    await until(() => faultOf("llm") === "workload-unknown");
  });

  test("is read anew when it is created again", async () => {
    const { fake, faultOf, look } = await cluster(pod());
    fake.remove({ kind: "ScaledObject", namespace: "default", name: "llm" });
    await until(() => faultOf("llm") === "workload-unknown");
    fake.apply(deployment(5), llm());
    await until(() => faultOf("llm") === undefined);
    expect(look("llm").replicas).toBe(5);
  });
});
