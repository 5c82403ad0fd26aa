import { describe, expect, test } from "bun:test";
import { adapterOf, adapters } from "#engine/adapters/all.ts";
import {
  locationsOf,
  podRefusal,
  targetKey,
  targetStaleMs,
  targetText,
} from "#engine/scrape/target.ts";
import { engineNames } from "#metric/engines.ts";

const pod = (ports: readonly number[]) => ({ podAddress: "10.0.0.7", namespace: "shop", ports });

describe("locationsOf() looks", () => {
  test("where the engine has its metrics", () => {
    expect(locationsOf({ at: pod([]), engine: "triton" })).toEqual([
      { port: 8002, path: "/metrics" },
    ]);
    expect(locationsOf({ at: pod([]), engine: "trtllm" })).toEqual([
      { port: 8000, path: "/prometheus/metrics" },
      { port: 8000, path: "/metrics" },
    ]);
  });
  test("only where it was told to", () => {
    const at = pod([8080]);
    expect(locationsOf({ at, port: 9000, engine: "trtllm", path: "/m" })).toEqual([
      { port: 9000, path: "/m" },
    ]);
    const url = { url: "http://vllm:8000/m?model=a", namespace: "shop" };
    expect(locationsOf({ at: url, path: "/other" })).toEqual([{ path: "/m?model=a" }]);
  });
  test("at a named engine's own port first where the pod declares it, and last where not", () => {
    const ports = (...declared: number[]) =>
      locationsOf({ at: pod(declared), engine: "triton", path: "/m" }).map(({ port }) => port);
    expect(ports(8000, 8001, 8002)).toEqual([8002, 8000, 8001]);
    expect(ports(9000)).toEqual([9000, 8002]);
  });
  test("at the pod's ports for every engine when it has no name", () => {
    const candidates = locationsOf({ at: pod([8000, 9000]) });
    expect(candidates.map(({ port }) => port)).toEqual([
      8000, 8000, 8000, 8000, 9000, 9000, 9000, 9000,
    ]);
    expect(candidates[0]).toEqual({ port: 8000, path: "/metrics" });
  });
  test("only at the one port that a pod declares", () => {
    const ports = new Set(locationsOf({ at: pod([9000]) }).map(({ port }) => port));
    expect([...ports]).toEqual([9000]);
  });
  test("at the engines' ports, never at gateways', when the pod declares none", () => {
    const ports = new Set(locationsOf({ at: pod([]) }).map(({ port }) => port));
    expect(ports).toContain(30_000);
    expect(ports).not.toContain(9090);
  });
});

/** Of a pod that declares no ports. */
test.each([
  ["triton", ["8002/metrics"]],
  ["dynamo-worker", ["8081/metrics"]],
  ["dynamo-frontend", ["8000/metrics"]],
  ["ray-serve", ["8080/metrics"]],
  ["vllm-router", ["8001/metrics"]],
  ["vllm", ["8000/metrics"]],
  ["sglang", ["30000/metrics"]],
  ["trtllm", ["8000/prometheus/metrics", "8000/metrics"]],
  ["tgi", ["80/metrics"]],
  ["tei", ["80/metrics"]],
  ["lmdeploy", ["23333/metrics"]],
  ["llama.cpp", ["8080/metrics"]],
  ["litellm", ["4000/metrics/"]],
  ["epp", ["9090/metrics"]],
  ["http-add-on", ["9090/queue", "9090/metrics"]],
  ["nim", ["8000/v1/metrics", "8000/metrics"]],
  ["ollama", ["11434/api/ps"]],
  ["prometheus", ["80/metrics"]],
] as readonly (readonly [string, readonly string[]])[])(
  "%s is scraped where it has its metrics",
  (engine, where) => {
    const locations = locationsOf({ at: pod([]), engine });
    expect(locations.map(({ port, path }) => `${port}${path}`)).toEqual([...where]);
  },
);

test("targets differ by all that is asked of them", () => {
  const specs = [
    { at: pod([8000]) },
    { at: pod([8000]), engine: "vllm" },
    { at: pod([8000]), path: "/m" },
    { at: pod([8000]), tokenFile: "/token" },
    { at: { url: "http://10.0.0.7:8000", namespace: "shop" } },
    { at: { url: "http://10.0.0.7:8000", namespace: "bank" } },
  ];
  expect(new Set(specs.map(targetKey)).size).toBe(specs.length);
  expect(targetText({ at: pod([8000, 9000]), path: "/m" })).toBe("http://10.0.0.7:8000|9000/m");
});

test("a target is stale after three intervals, and not before half a minute", () => {
  expect(targetStaleMs(1_000)).toBe(30_000);
  expect(targetStaleMs(20_000)).toBe(60_000);
});

test.each(engineNames)("engine %s has an adapter", (engine) => {
  expect(adapterOf(engine)?.engine).toBe(engine);
  expect(adapters.filter((adapter) => adapter.engine === engine)).toHaveLength(1);
});

describe("a pod is asked for metrics", () => {
  const asked = (pod: Partial<Parameters<typeof podRefusal>[0]>, engine?: string, port?: number) =>
    podRefusal(
      { name: "llm-0", ports: [8000, 9000], onHostNetwork: false, ...pod },
      { engine, port },
      false,
    )?.message;

  test.each([
    ["without a port of the trigger's", {}, undefined, undefined],
    ["at a port that it declares", {}, undefined, 9000],
    ["at its engine's own port", {}, "sglang", 30_000],
    ["at an engine's own port where it declares none", { ports: [] }, undefined, 11_434],
  ] as const)("%s", (_where, pod, engine, port) => {
    expect(asked(pod, engine, port)).toBeUndefined();
  });

  test.each([
    ["a port that it does not declare", {}, undefined, 10_250, "8000, 9000"],
    ["another engine's own port", {}, "vllm", 11_434, "8000, 9000"],
    ["a port of no engine where it declares none", { ports: [] }, "vllm", 10_250, "8000"],
  ] as const)("not at %s", (_where, pod, engine, port, allowed) => {
    expect(asked(pod, engine, port)).toBe(
      `Cannot ask pod llm-0 for metrics: enginePort ${port} is none that its containers declare or ` +
        `its engine has (${allowed}); declare it as a containerPort, or correct enginePort`,
    );
  });

  test("not on its node's network, unless the operator allows that", () => {
    expect(asked({ onHostNetwork: true })).toContain("it is on its node's network");
    const pod = { name: "llm-0", ports: [8000], onHostNetwork: true };
    expect(podRefusal(pod, {}, true)).toBeUndefined();
    expect(podRefusal(pod, { port: 10_250 }, true)?.message).toContain("enginePort 10250");
  });
});
