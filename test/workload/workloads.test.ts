import { describe, expect, test } from "bun:test";
import {
  type PodOptions,
  podObject,
  scalableObject,
  scaledJob,
  scaledObject,
} from "../fake-kubernetes/objects.ts";
import { ours, ready, requestsOf, startCluster, startFake, until, untilLater } from "./harness.ts";

const secure = { tls: true, token: "first" };
const labels = { app: "llm" };
const names = (pods: readonly { readonly name: string }[]) => pods.map(({ name }) => name);
const llm = (options: Partial<Parameters<typeof scaledObject>[0]> = {}) =>
  scaledObject({ name: "llm", triggers: [{ metadata: ours }], ...options });
const deployment = (replicas = 1) => scalableObject({ name: "llm", replicas, matchLabels: labels });
const pod = (options: Partial<PodOptions> = {}) => podObject({ name: "a", labels, ...options });

/** A cluster with the ScaledObject `llm` and these objects, all read. */
async function cluster(...objects: ReturnType<typeof podObject>[]) {
  const fake = await startFake(secure);
  fake.apply(llm(), deployment(), ...objects);
  const started = await startCluster(fake);
  await ready(started);
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
    expect(started.faultOf("llm")).toBe("workload-syncing");
    await ready(started);

    expect(started.look("llm")).toEqual({
      kind: "ScaledObject",
      metricType: "AverageValue",
      replicas: 3,
      minReplicas: 1,
      maxReplicas: 100,
      idleReplicas: 0,
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
    const { pods, replicas } = look("llm");
    expect(pods.map(({ name, state }) => [name, state])).toEqual([
      ["lost-readiness", "counted"],
      ["never-ready", "warming"],
      ["never-ready-late", "warming"],
      ["pending", "warming"],
      ["ready", "counted"],
    ]);
    expect(replicas).toBe(5);
  });

  test("follows a pod that loses readiness, is deleted and moves to another node", async () => {
    const { fake, look, workloads } = await cluster(pod({ uid: "one", node: "node-1" }));
    const told: string[] = [];
    workloads.subscribe((namespace) => told.push(namespace));
    const before = look("llm").generation;

    fake.apply(pod({ uid: "one", node: "node-1", ready: false, readyChangedAfterSeconds: 900 }));
    await until(() => look("llm").pods[0]?.containers[0]?.ready === false);
    expect(look("llm").pods[0]?.state).toBe("counted");
    expect(look("llm").generation).not.toBe(before);
    expect(told).toContain("default");

    fake.apply(pod({ uid: "one", node: "node-1", deleting: true }));
    await until(() => look("llm").pods.length === 0);
    fake.remove({ kind: "Pod", namespace: "default", name: "a" });
    fake.apply(pod({ uid: "two", node: "node-2" }));
    await until(() => look("llm").pods[0]?.node === "node-2");
    expect(look("llm").pods[0]?.uid).toBe("two");
  });

  test("has no pods at zero replicas, which is known and not an error", async () => {
    const fake = await startFake(secure);
    fake.apply(llm(), deployment(0));
    const started = await startCluster(fake);
    await ready(started);
    expect(started.look("llm")).toMatchObject({ pods: [], replicas: 0 });
  });

  test("reads the scale again soon after pods came", async () => {
    const started = await cluster(pod());
    const { fake, look } = started;
    expect(look("llm").replicas).toBe(1);
    fake.apply(deployment(4), pod({ name: "b" }));
    await untilLater(started, () => look("llm").replicas === 4);
    expect(requestsOf(fake, "scale")).toHaveLength(2);
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
});

describe("the scale target", () => {
  test.each([
    ["argoproj.io/v1alpha1", "Rollout", { selector: "app=llm" }],
    ["leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", { hpaPodSelector: "app=llm" }],
    ["apps/v1", "StatefulSet", {}],
  ])("may be %s %s, found by discovery", async (apiVersion, kind, status) => {
    const fake = await startFake(secure);
    fake.apply(
      llm({ target: { apiVersion, kind, name: "target" } }),
      scalableObject({ apiVersion, kind, name: "target", matchLabels: labels, status }),
      pod(),
    );
    const started = await startCluster(fake);
    await ready(started);
    expect(names(started.look("llm").pods)).toEqual(["a"]);
    expect(fake.requests.filter(({ path }) => path === `/apis/${apiVersion}`)).toHaveLength(1);
  });

  test("needs no discovery when KEDA has resolved it", async () => {
    const fake = await startFake(secure);
    const resolved = {
      group: "apps",
      version: "v1",
      kind: "Deployment",
      resource: "deployments",
    };
    fake.apply(llm({ resolved }), deployment(), pod());
    const started = await startCluster(fake);
    await ready(started);
    expect(names(started.look("llm").pods)).toEqual(["a"]);
    expect(fake.requests.filter(({ path }) => path === "/apis/apps/v1")).toEqual([]);
  });

  test("that does not exist is an error until it does", async () => {
    const fake = await startFake(secure);
    fake.apply(llm(), pod());
    const started = await startCluster(fake);
    await ready(started);
    expect(() => started.look("llm")).toThrow(
      "Cannot find the pods of Deployment default/llm: it does not exist or has no /scale; correct",
    );
    expect(started.faultOf("llm")).toBe("scale-target-unusable");
    fake.apply(deployment());
    await untilLater(started, () => started.faultOf("llm") === undefined);
    expect(names(started.look("llm").pods)).toEqual(["a"]);
  });

  test("of a kind that the cluster has not is an error that names it", async () => {
    const fake = await startFake(secure);
    fake.apply(llm({ target: { apiVersion: "apps/v1", kind: "Cluster", name: "x" } }));
    const started = await startCluster(fake);
    await ready(started);
    expect(() => started.look("llm")).toThrow("/apis/apps/v1 has no such kind");
  });

  test("without a selector needs podSelector, and never takes the whole namespace", async () => {
    const fake = await startFake(secure);
    const rollout = { apiVersion: "argoproj.io/v1alpha1", kind: "Rollout", name: "llm" };
    fake.apply(
      llm({ target: rollout }),
      scalableObject({ ...rollout, matchLabels: labels }),
      pod(),
      podObject({ name: "other" }),
    );
    const started = await startCluster(fake);
    await ready(started);
    expect(() => started.look("llm")).toThrow("does not say which pods are its own; set podSelec");
    expect(names(started.look("llm", { podSelector: "app=llm" }).pods)).toEqual(["a"]);
    expect(names(started.look("llm", { podSelector: "!app" }).pods)).toEqual(["other"]);
  });

  test("may change to another", async () => {
    const { fake, look } = await cluster(pod(), podObject({ name: "b", labels: { app: "b" } }));
    fake.apply(
      scalableObject({ name: "second", matchLabels: { app: "b" } }),
      llm({ target: { name: "second" } }),
    );
    await until(() => {
      try {
        return names(look("llm").pods).join() === "b";
      } catch {
        return false;
      }
    });
  });
});

describe("a ScaledJob", () => {
  test("leads to the pods that KEDA labelled", async () => {
    const fake = await startFake(secure);
    const jobLabels = { "scaledjob.keda.sh/name": "batch" };
    fake.apply(
      scaledJob({ name: "batch", triggers: [{ metadata: ours }], maxReplicaCount: 7 }),
      podObject({ name: "batch-1", labels: jobLabels }),
      podObject({ name: "batch-2", labels: jobLabels, phase: "Succeeded" }),
      pod(),
    );
    const started = await startCluster(fake);
    await ready(started);
    const found = started.look("batch");
    expect(found).toMatchObject({ kind: "ScaledJob", replicas: 1, minReplicas: 0, maxReplicas: 7 });
    expect(names(found.pods)).toEqual(["batch-1"]);
    expect(requestsOf(fake, "scale")).toEqual([]);
  });

  test("of a ScaledObject's name is told apart by its metadata", async () => {
    const fake = await startFake(secure);
    const metadata = { ...ours, metricType: "power_draw" };
    fake.apply(llm(), deployment(), scaledJob({ name: "llm", triggers: [{ metadata }] }));
    const started = await startCluster(fake);
    await ready(started);
    expect(started.look("llm").kind).toBe("ScaledObject");
    expect(started.look("llm", { metadata }).kind).toBe("ScaledJob");
  });
});

describe("the trigger that asks", () => {
  const power = { ...ours, metricType: "power_draw", targetValueFromEnv: "TARGET" };
  const usage = { ...ours, metricType: "gpu_utilization" };
  const triggers = [
    { type: "cpu", metricType: "Utilization", metadata: { value: "50" } },
    { metadata: usage },
    { type: "external-push", metricType: "Value", metadata: power },
  ];

  test.each([
    ["equal metadata", usage, "AverageValue"],
    ["a value resolved from the environment", { ...power, targetValueFromEnv: "300" }, "Value"],
    ["no value in the environment", { ...ours, metricType: "power_draw" }, "Value"],
  ])("is found by %s", async (_how, metadata, metricType) => {
    const fake = await startFake(secure);
    fake.apply(llm({ triggers }), deployment());
    const started = await startCluster(fake);
    await ready(started);
    expect(started.look("llm", { metadata }).metricType).toBe(metricType as "Value");
  });

  test("is an error when none fits and they differ", async () => {
    const fake = await startFake(secure);
    fake.apply(llm({ triggers }), deployment());
    const started = await startCluster(fake);
    await ready(started);
    expect(started.faultOf("llm", { metadata: {} })).toBe("trigger-unmatched");
    expect(started.faultOf("llm", { metadata: { ...usage, more: "1" } })).toBe("trigger-unmatched");
  });

  test("may be any when all agree", async () => {
    const fake = await startFake(secure);
    const all = [usage, power].map((metadata) => ({ metadata, metricType: "Value" }));
    fake.apply(llm({ triggers: all }), deployment());
    const started = await startCluster(fake);
    await ready(started);
    expect(started.look("llm", { metadata: {} }).metricType).toBe("Value");
  });
});

describe("podSelector and container", () => {
  const containers = [{ name: "server", ports: [{ port: 8000 }] }, { name: "proxy" }];
  const objects = [
    pod({ name: "leader", labels: { ...labels, role: "leader" }, containers }),
    pod({ name: "worker", labels: { ...labels, role: "worker" } }),
  ];

  test("narrow what belongs to the target", async () => {
    const { look } = await cluster(...objects);
    expect(names(look("llm", { podSelector: "role in (leader, x)" }).pods)).toEqual(["leader"]);
    const { pods, replicas } = look("llm", { container: "server" });
    expect(pods.map(({ containers: kept }) => names(kept))).toEqual([["server"]]);
    expect(replicas).toBe(2);
  });

  test.each([
    ["a selector that fits no pod", { podSelector: "role=leadr" }, "selection-empty"],
    ["a container that no pod has", { container: "servr" }, "selection-empty"],
    ["text that is no selector", { podSelector: "role in leader" }, "trigger-invalid"],
  ] as const)("are an error, never no pods: %s", async (_why, narrowing, code) => {
    const { faultOf } = await cluster(...objects);
    expect(faultOf("llm", narrowing)).toBe(code);
  });

  test("leave no pods of a target that has none", async () => {
    const { look } = await cluster();
    expect(look("llm", { podSelector: "role=leader" }).pods).toEqual([]);
  });
});
