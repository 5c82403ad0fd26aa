import { afterEach, describe, expect, test } from "bun:test";
import { startFake, stopAll, until } from "../fake-kubernetes/harness.ts";
import { ours, ready, startCluster } from "./harness.ts";

import { cluster, deployment, labels, llm, names, pod, secure } from "./llm.ts";

afterEach(stopAll);

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

  test.each([
    ["nothing", {}],
    ["a key more", { ...usage, more: "1" }],
    ["a key less", ours],
    ["another value", { ...usage, metricType: "power_draw" }],
    ["another scaler's address", { ...usage, scalerAddress: "elsewhere:1" }],
  ])("is unknown when %s came, though all triggers are alike", async (_what, metadata) => {
    const fake = await startFake(secure);
    fake.apply(llm({ triggers: [{ metadata: usage }] }), deployment());
    const started = await startCluster(fake);
    await ready(started);
    expect(started.faultOf("llm", { metadata })).toBe("trigger-unmatched");
    expect(() => started.workloads.admit("default", "llm", metadata)).toThrow(
      "Cannot answer for default/llm: none of its triggers has the metadata that came",
    );
    expect(() => started.workloads.admit("default", "llm", { ...usage })).not.toThrow();
  });

  test("is ambiguous where several differ only in resolved values and in metricType", async () => {
    const fake = await startFake(secure);
    const second = { ...power, targetValueFromEnv: "SECOND" };
    fake.apply(
      llm({ triggers: [{ metadata: power }, { metadata: second, metricType: "Value" }] }),
      deployment(),
    );
    const started = await startCluster(fake);
    await ready(started);
    const metadata = { ...power, targetValueFromEnv: "300" };
    expect(started.faultOf("llm", { metadata })).toBe("trigger-ambiguous");
    // It is a real trigger: what needs no metricType is answered.
    expect(() => started.workloads.admit("default", "llm", metadata)).not.toThrow();

    fake.apply(llm({ triggers: [{ metadata: power }, { metadata: second }] }));
    await until(() => started.faultOf("llm", { metadata }) === undefined);
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
    const { pods, statusReplicas } = look("llm", { container: "server" });
    expect(pods.map(({ containers: kept }) => names(kept))).toEqual([["server"]]);
    expect(statusReplicas).toBe(2);
  });

  test.each([
    ["a selector that fits no pod", { podSelector: "role=leadr" }, "selection-empty"],
    ["a container that no pod has", { container: "servr" }, "selection-empty"],
    ["text that is no selector", { podSelector: "role in leader" }, "trigger-invalid"],
  ] as const)("are an error, never no pods: %s", async (_why, narrowing, code) => {
    const { faultOf } = await cluster(...objects);
    expect(faultOf("llm", narrowing)).toBe(code);
  });

  test("name themselves and the pods that they leave out", async () => {
    const { look } = await cluster(...objects);
    expect(() => look("llm", { podSelector: "role=leader", container: "proxi" })).toThrow(
      "Cannot count the pods of ScaledObject default/llm: it has 2, and podSelector role=leader and " +
        "container proxi leaves none of them; correct it, or leave it out",
    );
    expect(() => look("llm", { container: "proxi" })).toThrow(
      "it has 2, and container proxi leaves none of them",
    );
    expect(() => look("llm", { podSelector: "role=x" })).toThrow(
      "it has 2, and podSelector role=x leaves none of them",
    );
  });

  test("leave no pods of a target that has none", async () => {
    const { look } = await cluster();
    expect(look("llm", { podSelector: "role=leader" }).pods).toEqual([]);
  });
});
