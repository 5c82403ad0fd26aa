import { describe, expect, test } from "bun:test";
import { adapterOf, adapters } from "#engine/adapters/all.ts";
import { candidatesOf, targetKey, targetStaleMs, targetText } from "#engine/scrape/target.ts";
import { engineNames } from "#metric/engines.ts";

const pod = (ports: readonly number[]) => ({ podAddress: "10.0.0.7", ports });

describe("candidatesOf() looks", () => {
  test("where the engine has its metrics", () => {
    expect(candidatesOf({ at: pod([]), engine: "triton" })).toEqual([
      { port: 8002, path: "/metrics" },
    ]);
    expect(candidatesOf({ at: pod([]), engine: "trtllm" })).toEqual([
      { port: 8000, path: "/prometheus/metrics" },
      { port: 8000, path: "/metrics" },
    ]);
  });
  test("only where it was told to", () => {
    const at = pod([8080]);
    expect(candidatesOf({ at, port: 9000, engine: "trtllm", path: "/m" })).toEqual([
      { port: 9000, path: "/m" },
    ]);
    const url = { url: "http://vllm:8000/m?model=a", namespace: "shop" };
    expect(candidatesOf({ at: url, path: "/other" })).toEqual([{ path: "/m?model=a" }]);
  });
  test("at a named engine's own port first where the pod declares it, and last where not", () => {
    const ports = (...declared: number[]) =>
      candidatesOf({ at: pod(declared), engine: "triton", path: "/m" }).map(({ port }) => port);
    expect(ports(8000, 8001, 8002)).toEqual([8002, 8000, 8001]);
    expect(ports(9000)).toEqual([9000, 8002]);
  });
  test("at the pod's ports for every engine when it has no name", () => {
    const candidates = candidatesOf({ at: pod([8000, 9000]) });
    expect(candidates.map(({ port }) => port)).toEqual([
      8000, 8000, 8000, 8000, 9000, 9000, 9000, 9000,
    ]);
    expect(candidates[0]).toEqual({ port: 8000, path: "/metrics" });
  });
  test("at the engines' ports, never at gateways', when the pod declares none", () => {
    const ports = new Set(candidatesOf({ at: pod([]) }).map(({ port }) => port));
    expect(ports).toContain(30_000);
    expect(ports).not.toContain(9090);
  });
});

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
