import { afterEach, describe, expect, test } from "bun:test";
import { requestsOf, startFake, stopAll, until } from "../fake-kubernetes/harness.ts";
import { podObject, scalableObject, scaledJob } from "../fake-kubernetes/objects.ts";
import { ours, ready, startCluster, untilLater } from "./harness.ts";

import { cluster, deployment, labels, llm, names, pod, secure } from "./llm.ts";

afterEach(stopAll);

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
    await untilLater(started, () => requestsOf(fake, "scale").length === 4);
    const logged = started.log.filter((line) => line.includes("scale target unusable"));
    expect(logged).toEqual([expect.stringContaining('"key":"default/llm"')]);
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
