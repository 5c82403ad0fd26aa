import { expect, test } from "bun:test";
import { engineFacts, engineNames } from "#metric/engines.ts";

test("what stands in front of engines is there at 0 replicas", () => {
  expect(engineNames.filter((name) => engineFacts(name).isFrontEnd)).toEqual([
    "dynamo-frontend",
    "epp",
    "http-add-on",
    "json",
    "litellm",
    "prometheus",
    "vllm-router",
  ]);
});

test("only a page about other workloads too wants its labels chosen", () => {
  const shared = engineNames.filter((name) => engineFacts(name).sharedBy.length > 0);
  expect(shared.map((name) => [name, engineFacts(name).sharedBy])).toEqual([
    ["http-add-on", ["route_name", "route_namespace"]],
  ]);
});
