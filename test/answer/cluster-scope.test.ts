import { describe, expect, test } from "bun:test";
import type { FaultCode } from "#core/fault.ts";
import { missingGraceMs } from "#core/limits.ts";
import { type ClusterState, held, host, inCluster } from "./cluster.ts";
import { expectFault, faultOf } from "./faults.ts";
import { nowMs } from "./fleet.ts";

type Metadata = Readonly<Record<string, string>>;
const cluster = { scope: "cluster" };
const silence = (agoMs: number, node?: string) => ({
  address: "10.0.0.7:6001",
  sinceMs: nowMs - agoMs,
  reason: "refused",
  ...(node === undefined ? {} : { node }),
});
const a = host("a", [held("x", 20, { index: 0 }), held("y", 40, { index: 1 })]);
const b = host("b", [held("z", 90)]);
const lastReadAgo = (ms: number) => host("b", [held("z", 90)], { sampledAtMs: nowMs - ms });
const longAgo = missingGraceMs + 1;

describe("scope cluster is", () => {
  test.each<[string, ClusterState, Metadata, number]>([
    ["all devices at once", { nodes: [a, b] }, { aggregation: "sum" }, 150],
    ["those with one index", { nodes: [a, b] }, { gpuIndex: "1" }, 40],
    ["without a node that is long silent", { nodes: [a, lastReadAgo(longAgo)] }, {}, 40],
    ["without an agent that is long silent", { nodes: [a], silent: [silence(longAgo)] }, {}, 40],
    [
      "as many devices as there are silent agents",
      { nodes: [b], silent: [silence(longAgo)] },
      {},
      90,
    ],
    [
      "whole when another agent speaks for the node of a silent one",
      { nodes: [a, b], silent: [silence(0, "b")] },
      {},
      90,
    ],
  ])("%s", (_what, state, metadata, expected) => {
    expect(inCluster(state).value({ ...cluster, ...metadata }).value).toBe(expected);
  });

  test.each<[Metadata, string]>([
    [{}, "of 3 devices of the cluster, newest readings"],
    [{ gpuIndex: "1" }, "of 1 devices of every GPU 1 of the cluster, newest readings"],
  ])("explained, of %p", (metadata, which) => {
    const { explanation } = inCluster({ nodes: [a, b] }).value({ ...cluster, ...metadata });
    expect(explanation.rule).toContain(which);
    expect(explanation.scope).toBe("cluster");
  });

  test.each<[string, FaultCode, ClusterState, Metadata, string[]]>([
    [
      "while a node is waited for",
      "data-missing",
      { nodes: [a, lastReadAgo(6_000)], silent: [silence(0, "b")] },
      {},
      ["2 of 3", "node b was last read 6 s ago: agent 10.0.0.7:6001 refused"],
    ],
    [
      "while an agent is waited for",
      "data-missing",
      { nodes: [a], silent: [silence(1_000, "far")] },
      {},
      ["agent 10.0.0.7:6001 of far: refused"],
    ],
    [
      "when more than half is gone",
      "data-missing",
      { nodes: [lastReadAgo(longAgo)] },
      {},
      ["0 of 1"],
    ],
    [
      "without any device",
      "device-unknown",
      {},
      {},
      ["none of its 0 nodes with an agent has a device;"],
    ],
    ["without that index", "device-unknown", { nodes: [b] }, { gpuIndex: "3" }, ["index 3"]],
    ["before the first full view", "fleet-syncing", { nodes: [a], synced: false }, {}, []],
  ])("an error %s", (_what, code, state, metadata, parts) => {
    const asked = inCluster(state);
    expectFault(() => asked.value({ ...cluster, ...metadata }), code, ...parts);
    const above = { activationThreshold: "100" };
    expectFault(() => asked.activity({ ...cluster, ...above, ...metadata }), code, ...parts);
  });

  test("an error that names every node in order where none has the device", () => {
    const asked = inCluster({ nodes: [b, a] });
    const { message, facts } = faultOf(() => asked.value({ ...cluster, gpuIndex: "3" }));
    expect(message).toContain("none of its 2 nodes with an agent has a device with index 3");
    expect(facts).toEqual({ asked: "any device with index 3", known: ["a", "b"] });
  });

  test("active by what is known, and explained without what is left out", () => {
    const asked = inCluster({ nodes: [a], silent: [silence(0)] });
    const { active, explanation } = asked.activity({ ...cluster, activationThreshold: "30" });
    expect(active).toBe(true);
    expect(explanation.scope).toBe("cluster");
    expect(explanation.rule).toContain("without agent 10.0.0.7:6001 of an unknown node");
  });
});

describe("scope node in a cluster", () => {
  test("is any node of the fleet", () => {
    expect(inCluster({ nodes: [a, b] }).value({ node: "b" }).value).toBe(90);
  });
  test("needs its name", () => {
    const asked = inCluster({ nodes: [a, b] });
    expectFault(
      () => asked.value({ scope: "node" }),
      "scope-unavailable",
      "set metadata node",
      "a, b",
    );
    expectFault(() => inCluster({}).value({ scope: "node" }), "scope-unavailable", "nodes: none");
  });
});
