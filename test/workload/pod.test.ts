import { describe, expect, test } from "bun:test";
import { podOf } from "#workload/pod.ts";
import { podObject } from "../fake-kubernetes/objects.ts";

const metadata = { namespace: "default", name: "a", uid: "1" };
const startTime = "2030-01-01T00:00:00Z";
const at = (seconds: number) => new Date(Date.parse(startTime) + seconds * 1_000).toISOString();
const ready = (status: string, seconds: number) => ({
  type: "Ready",
  status,
  lastTransitionTime: at(seconds),
});

describe("podOf()", () => {
  test("takes what there is of a pod that was created a moment ago", () => {
    expect(podOf({ metadata })).toEqual({
      ...metadata,
      state: "warming",
      containers: [],
      labels: {},
      requestsDevice: false,
      onHostNetwork: false,
      ready: false,
    });
    const onHost = [
      { metadata, spec: { hostNetwork: true } },
      { metadata, status: { podIP: "10.0.0.9", hostIP: "10.0.0.9" } },
    ];
    for (const pod of onHost) expect(podOf(pod)?.onHostNetwork).toBe(true);
    const spec = { nodeName: "", containers: [{ name: "main" }] };
    expect(podOf({ metadata, spec, status: { podIP: "" } })).toEqual({
      ...metadata,
      state: "warming",
      containers: [{ name: "main", ready: false, ports: [] }],
      labels: {},
      requestsDevice: false,
      onHostNetwork: false,
      ready: false,
    });
  });

  test.each([
    ["from its creation to its becoming ready", ready("True", 90), at(-10), 100_000],
    ["nothing while it is not ready", ready("False", 90), at(-10), undefined],
    ["nothing where its creation is not known", ready("True", 90), undefined, undefined],
    ["nothing of clocks that disagree", ready("True", 90), at(91), undefined],
  ])("takes %s", (_what, condition, creationTimestamp, expected) => {
    const status = { phase: "Running", startTime, conditions: [condition] };
    expect(podOf({ metadata: { ...metadata, creationTimestamp }, status })?.readyAfterMs).toBe(
      expected as number,
    );
  });

  const annotation = "controller.kubernetes.io/pod-deletion-cost";
  const managed = (manager: string, key = annotation) => ({
    manager,
    fieldsV1: { "f:metadata": { "f:annotations": { [`f:${key}`]: {} } } },
  });
  test.each([
    ["ours", "7", [managed("keda-gpu-scaler"), managed("kubelet", "other")], true],
    ["its template's", "7", [managed("kube-controller-manager")], false],
    ["ours and another's", "7", [managed("keda-gpu-scaler"), managed("kubectl")], false],
    ["nobody's", "-2147483648", undefined, false],
    ["another's, of fields that are no annotations", "0", [{ manager: "keda-gpu-scaler" }], false],
  ])("takes a deletion cost for %s", (_whose, text, managedFields, isOwn) => {
    const annotations = { [annotation]: text };
    expect(podOf({ metadata: { ...metadata, annotations, managedFields } })?.deletionCost).toEqual({
      value: Number(text),
      isOwn,
    });
  });

  test.each([
    [true, { apiVersion: "apps/v1", kind: "ReplicaSet", controller: true }],
    [undefined, { apiVersion: "apps/v1", kind: "ReplicaSet", controller: false }],
    [undefined, { apiVersion: "apps/v1", kind: "StatefulSet", controller: true }],
    [undefined, { apiVersion: "example.com/v1", kind: "ReplicaSet", controller: true }],
  ])("says %p of whether a ReplicaSet made it: %p", (expected, owner) => {
    const pod = podOf({ metadata: { ...metadata, ownerReferences: [owner] } });
    expect(pod?.inReplicaSet).toBe(expected);
  });

  const asking = (name: string) => ({
    containers: [{ name: "main", resources: { limits: { cpu: "1", [name]: "1" } } }],
  });
  test.each([
    [true, asking("nvidia.com/gpu")],
    [true, asking("nvidia.com/mig-1g.10gb")],
    [true, asking("amd.com/gpu")],
    [true, { resourceClaims: [{ name: "gpu" }] }],
    [false, asking("memory")],
    [false, asking("nvidia.com/hostdev")],
    [false, { containers: [{ name: "main" }] }],
  ])("says %p of whether a spec asks for a device: %p", (expected, spec) => {
    expect(podOf({ metadata, spec })?.requestsDevice).toBe(expected);
  });

  test("says that a pod is being deleted, for it still takes part in some counts", () => {
    expect(podOf(podObject({ name: "a", deleting: true }))?.state).toBe("ending");
  });

  test.each([
    ["failed", podObject({ name: "a", phase: "Failed" })],
    ["finished", podObject({ name: "a", phase: "Succeeded" })],
  ])("leaves out a pod that is %s", (_why, object) => {
    expect(podOf(object)).toBeUndefined();
  });

  test.each([
    ["is pending, whatever else", { phase: "Pending", startTime, conditions: [ready("True", 60)] }],
    ["has no conditions", { phase: "Running", startTime }],
    [
      "has no condition Ready",
      { phase: "Running", startTime, conditions: [{ type: "Initialized" }] },
    ],
    ["has not started", { phase: "Running", conditions: [ready("True", 0)] }],
    ["was never ready", { phase: "Running", startTime, conditions: [ready("False", 29.999)] }],
    ["does not say since when", { startTime, conditions: [{ type: "Ready", status: "False" }] }],
  ])("calls a pod warming that %s", (_why, status) => {
    expect(podOf({ metadata, status })?.state).toBe("warming");
  });

  test.each([
    ["is ready", { phase: "Running", startTime, conditions: [ready("True", 1)] }],
    ["lost readiness", { phase: "Running", startTime, conditions: [ready("False", 30)] }],
    ["is out of reach", { phase: "Unknown", startTime, conditions: [ready("Unknown", 900)] }],
  ])("counts a pod that %s", (_why, status) => {
    expect(podOf({ metadata, status })?.state).toBe("counted");
  });
});
