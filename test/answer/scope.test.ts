import { describe, expect, test } from "bun:test";
import { scopeFault } from "#answer/scope.ts";
import type { Fault } from "#core/fault.ts";
import { parseTrigger, type Scope } from "#trigger/trigger.ts";

const queue = { metricType: "queue_depth", targetValue: "5" };
const url = { ...queue, endpoint: "http://router/metrics" };
const [inCluster, alone] = [true, false];

describe("the scope that a trigger asks in", () => {
  test.each<[string, Readonly<Record<string, string>>, boolean, readonly Scope[]]>([
    ["is the one that it names", { scope: "cluster" }, inCluster, ["cluster"]],
    ["is workload in a cluster", {}, inCluster, ["workload"]],
    ["is node elsewhere", {}, alone, ["node"]],
    ["is node where it names one", { node: "a" }, inCluster, ["node"]],
    ["of engines is workload", queue, inCluster, ["workload"]],
    ["of a URL is workload", url, inCluster, ["workload"]],
    ["of a URL is workload elsewhere too", url, alone, ["workload"]],
    [
      "of a URL is workload, whatever it says of devices",
      { ...url, scope: "cluster" },
      alone,
      ["workload"],
    ],
    [
      "are two, of a URL and of devices",
      { ...url, scope: "cluster", activationMetricType: "gpu_utilization" },
      inCluster,
      ["workload", "cluster"],
    ],
    [
      "are two, of devices and of a URL",
      { ...url, scope: "node", metricType: "gpu_utilization", activationMetricType: "queue_depth" },
      inCluster,
      ["workload", "node"],
    ],
    [
      "counts for what is always active",
      { profile: "training", scope: "node" },
      inCluster,
      ["node"],
    ],
  ])("%s", (_what, metadata, hasWorkloads, needed) => {
    const trigger = parseTrigger(metadata);
    const forbidden = (allowed: readonly Scope[]) => scopeFault(trigger, hasWorkloads, allowed);
    const all = ["workload", "node", "cluster"] as const;
    expect(forbidden(needed)).toBeUndefined();
    expect(forbidden(all)).toBeUndefined();
    for (const scope of needed) {
      const fault = forbidden(all.filter((one) => one !== scope));
      expect(fault?.code).toBe("scope-forbidden");
      expect(fault?.message).toContain(`in scope ${scope}: --allow-scope`);
    }
  });
});

test("a forbidden scope is told with what is allowed", () => {
  const fault: Fault | undefined = scopeFault(parseTrigger({ scope: "cluster" }), inCluster, [
    "workload",
    "node",
  ]);
  expect(fault?.message).toBe(
    "Cannot answer gpu_utilization in scope cluster: --allow-scope of this scaler allows " +
      "workload and node; set metadata scope to what it allows, or have it allow cluster",
  );
  expect(fault?.facts).toEqual({ scope: "cluster", allowed: ["workload", "node"] });
});
