/**
 * The chart's NetworkPolicies under every value; imported by `helm-checks.ts`.
 *
 * @module
 */
import { describe, expect, test } from "bun:test";
import { type Objects, render, renderBlock, sets } from "./helm-render.ts";
import { apiServer, expectWalls, prometheus } from "./invariants.ts";
import { ofKind, only } from "./kinds.ts";
import { allows } from "./network.ts";

describe("network policies", () => {
  const labels = {
    "app.kubernetes.io/name": "keda-gpu-scaler",
    "app.kubernetes.io/component": "scaler",
  };
  const scaler = { namespace: "gpu-scaling", labels };
  const policies = (objects: Objects) => ofKind(objects, "NetworkPolicy").length;

  test("let KEDA in from its usual namespace and from beside the scaler", () => {
    for (const kedaNamespace of ["keda", "gpu-scaling"]) expectWalls(render(), { kedaNamespace });
  });

  test("let KEDA in from one namespace once it is named, by the labels it has there", () => {
    const objects = render(
      ...sets("networkPolicy.kedaNamespace=scaling", "networkPolicy.kedaPodLabels.team=core"),
    );
    const labels = { app: "keda-operator", team: "core" };
    expect(allows(objects, { namespace: "scaling", labels }, scaler, 6000)).toBe(true);
    expect(allows(objects, { namespace: "keda", labels }, scaler, 6000)).toBe(false);
    const unlabelled = { namespace: "scaling", labels: { app: "keda-operator" } };
    expect(allows(objects, unlabelled, scaler, 6000)).toBe(false);
  });

  test("let in who reads metrics, and helm test", async () => {
    const objects = await renderBlock("options");
    expectWalls(objects, { kedaNamespace: "keda", metrics: [prometheus] });
    const { metadata } = only(ofKind(objects, "Pod"));
    const pod = { namespace: metadata.namespace ?? "", labels: metadata.labels ?? {} };
    expect(allows(objects, pod, scaler, 6000)).toBe(true);
  });

  test("know the API server's port by default, and its address once it is said", () => {
    for (const port of [443, 6443, 8443, 16_443])
      expect(allows(render(), scaler, apiServer, port)).toBe(true);
    const objects = render(
      ...sets(
        "networkPolicy.apiServerCidrs={192.0.2.10/32}",
        "networkPolicy.apiServerPorts={6443}",
      ),
    );
    const allowed = (address: string, port: number) => allows(objects, scaler, { address }, port);
    expect(allowed("192.0.2.10", 6443)).toBe(true);
    expect(allowed("192.0.2.10", 443)).toBe(false);
    expect(allowed("192.0.2.11", 6443)).toBe(false);
  });

  test("keep engines to the namespaces that are named", () => {
    const team = "networkPolicy.enginesTo[0].namespaceSelector.matchLabels";
    const objects = render(...sets(`${team}.kubernetes\\.io/metadata\\.name=team-a`));
    const engine = (namespace: string) => ({ namespace, labels: { app: "vllm" } });
    expect(allows(objects, scaler, engine("team-a"), 8000)).toBe(true);
    expect(allows(objects, scaler, engine("team-b"), 8000)).toBe(false);
  });

  test("let the scaler out to hosts outside, and to DNS, once there are such hosts", async () => {
    const resolver = { address: "169.254.20.10" };
    expect(allows(render(), scaler, resolver, 53, "UDP")).toBe(false);
    const objects = await renderBlock("outside");
    for (const protocol of ["UDP", "TCP"] as const)
      expect(allows(objects, scaler, resolver, 53, protocol)).toBe(true);
    expect(allows(objects, scaler, { address: "203.0.113.7" }, 8000)).toBe(true);
    expect(allows(objects, scaler, { address: "203.0.113.8" }, 8000)).toBe(false);
  });

  test("can be left to somebody else", () => {
    expect(policies(render())).toBe(2);
    expect(policies(render(...sets("networkPolicy.enabled=false")))).toBe(0);
  });
});
