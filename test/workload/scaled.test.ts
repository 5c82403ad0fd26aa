import { describe, expect, test } from "bun:test";
import { fittingTriggers, namesService, type ScaledTrigger, scaledOf } from "#workload/scaled.ts";

const metadata = { namespace: "default", name: "llm" };
const external = { type: "external", metadata: { metricType: "queue_depth" } };
const objectOf = (spec: object, status: object = {}) =>
  scaledOf("ScaledObject", {
    metadata,
    spec: { triggers: [external], scaleTargetRef: { name: "llm" }, ...spec },
    status,
  });

describe("scaledOf()", () => {
  test("fills in what KEDA does", () => {
    expect(objectOf({})).toEqual({
      kind: "ScaledObject",
      ...metadata,
      triggers: [{ ...external, metricType: "AverageValue" }],
      otherTypes: [],
      minReplicas: 0,
      maxReplicas: 100,
      tolerances: { up: 0.1, down: 0.1 },
      target: { group: "apps", version: "v1", kind: "Deployment", name: "llm" },
    });
  });

  test("keeps external triggers apart from the others", () => {
    const triggers = [
      { type: "cpu", metricType: "Utilization", metadata: { value: "50" } },
      { type: "external-push", metricType: "Value" },
      { type: "cron" },
    ];
    expect(objectOf({ triggers })).toMatchObject({
      triggers: [{ type: "external-push", metricType: "Value", metadata: {} }],
      otherTypes: ["cpu", "cron"],
    });
  });

  test("takes what is said of replicas", () => {
    const spec = { minReplicaCount: 2, maxReplicaCount: 9, idleReplicaCount: 0 };
    expect(objectOf(spec)).toMatchObject({ minReplicas: 2, maxReplicas: 9, idleReplicas: 0 });
  });

  test("takes the tolerances of the HPA's behavior", () => {
    const behavior = { scaleUp: { tolerance: "50m" }, scaleDown: { tolerance: "0.2" } };
    const spec = { advanced: { horizontalPodAutoscalerConfig: { behavior } } };
    expect(objectOf(spec)).toMatchObject({ tolerances: { up: 0.05, down: 0.2 } });
  });

  test.each([
    ["no trigger", { triggers: [] }],
    ["no external trigger", { triggers: [{ type: "cpu" }] }],
    ["no triggers at all", { triggers: undefined }],
  ])("leaves out an object with %s", (_what, spec) => {
    expect(objectOf(spec)).toBeUndefined();
  });

  test("finds the pods of a ScaledJob by KEDA's label, and has no target", () => {
    const job = scaledOf("ScaledJob", { metadata, spec: { triggers: [external] } });
    expect(job?.selector).toEqual([
      { key: "scaledjob.keda.sh/name", operator: "In", values: ["llm"] },
    ]);
    expect(job?.target).toBeUndefined();
  });

  const rollout = { group: "argoproj.io", version: "v1alpha1", kind: "Rollout" };
  const scaleTargetRef = { name: "llm", kind: "Rollout", apiVersion: "argoproj.io/v1alpha1" };
  const targetOf = (scaleTargetGVKR: object) =>
    objectOf({ scaleTargetRef }, { scaleTargetGVKR })?.target;

  test("takes the plural that KEDA resolved, while it is of the same kind", () => {
    const resource = "rollouts";
    expect(targetOf({ ...rollout, resource })).toEqual({ ...rollout, name: "llm", resource });
    for (const other of [{ kind: "Canary" }, { group: "apps" }, { version: "v1" }])
      expect(targetOf({ ...rollout, resource, ...other })).toEqual({ ...rollout, name: "llm" });
    expect(targetOf({ ...rollout, resource: "" })?.resource).toBeUndefined();
  });

  test("knows the core group, which has no name", () => {
    const ref = { name: "llm", kind: "ReplicationController", apiVersion: "v1" };
    const resolved = { version: "v1", kind: ref.kind, resource: "replicationcontrollers" };
    const object = objectOf({ scaleTargetRef: ref }, { scaleTargetGVKR: resolved });
    expect(object?.target).toEqual({ group: "", name: "llm", ...resolved });
  });
});

const trigger = (keys: Readonly<Record<string, string>>, metricType = "AverageValue") =>
  ({ type: "external", metricType, metadata: keys }) as ScaledTrigger;

test("fittingTriggers() finds every trigger whose keys were sent, and no other", () => {
  const plain = trigger({ a: "1" });
  const resolved = trigger({ a: "1", bFromEnv: "B" });
  const like = trigger({ a: "1", bFromEnv: "C" }, "Value");
  const fits = (sent: Readonly<Record<string, string>>) =>
    fittingTriggers([plain, resolved, trigger({ a: "2" }), like], sent);
  // KEDA leaves out what resolves to nothing.
  expect(fits({ a: "1" })).toEqual([plain, resolved, like]);
  expect(fits({ a: "1", bFromEnv: "of a pod" })).toEqual([resolved, like]);
  expect(fits({ a: "2" })).toEqual([trigger({ a: "2" })]);
  expect(fits({ a: "3" })).toEqual([]);
  expect(fits({ a: "1", more: "1" })).toEqual([]);
  expect(fits({ a: "1", b: "of a pod" })).toEqual([]);
  expect(fits({ a: "1", constructor: "x" })).toEqual([]);
  expect(fits({ bFromEnv: "of a pod" })).toEqual([]);
  expect(fits({})).toEqual([]);
});

test.each([
  ["keda-gpu-scaler.keda:6000", true],
  ["keda-gpu-scaler.keda", true],
  ["keda-gpu-scaler.keda.", true],
  ["keda-gpu-scaler.keda.:6000", true],
  ["keda-gpu-scaler.keda.svc.cluster.local:6000", true],
  ["dns:///keda-gpu-scaler.keda.svc", true],
  ["keda-gpu-scaler:6000", true],
  ["second.keda:6000", true],
  ["keda-gpu-scaler.other:6000", false],
  ["keda-gpu-scaler.keda-2:6000", false],
  ["keda-gpu-scaler.keda.svcfoo:6000", false],
  ["keda-gpu-scaler.keda.svc", true],
  ["", false],
])("namesService() of %p is %p", (scalerAddress, expected) => {
  const services = ["keda-gpu-scaler.keda", "second.keda"];
  expect(namesService(trigger({ scalerAddress }), services)).toBe(expected);
});

test("namesService() is false without an address", () => {
  expect(namesService(trigger({}), ["keda-gpu-scaler.keda"])).toBe(false);
});
