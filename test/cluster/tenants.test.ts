import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import type { Gpu } from "./node.ts";
import { clusterScene, type WorkloadOptions } from "./scene.ts";
import { threePods, threeReplicas } from "./three-replicas.ts";
import { answersWhile } from "./watching.ts";

setDefaultTimeout(60_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

/** The HPA's arithmetic for `AverageValue`, as the controller does it; tolerance 10 %. */
function desired(value: number, target: number, replicas: number): number {
  const ratio = value / (target * replicas);
  return Math.abs(ratio - 1) <= 0.1 ? replicas : Math.ceil(value / target);
}

test("three replicas at 92 % are 276, for which the HPA asks for 4; 92 for metricType Value", async () => {
  await using scene = await clusterScene({ keda });
  const llm = threeReplicas(scene);
  await eventually(() => scene.scaler().value(llm), 276);
  expect(desired(276, Number(await scene.scaler().target(llm)), 3)).toBe(4);
  expect(await scene.scaler().active(llm)).toBe(true);

  const average = scene.workload({ name: "llm", metricType: "Value", pods: threePods });
  await eventually(() => scene.scaler().value(average), 92);
});

interface Step {
  readonly gpus: readonly Gpu[];
  readonly pods: readonly string[];
  readonly metadata?: WorkloadOptions["metadata"];
  /** What the neighbour is answered then. */
  readonly value: number | string;
}

/** Everything that a neighbour on the same node may do. */
const neighbour: Readonly<Record<string, Step>> = {
  "is idle": { gpus: [{ id: 1, percent: 0, pod: "blue/app-1" }], pods: ["app-1"], value: 0 },
  "is busy": { gpus: [{ id: 1, percent: 100, pod: "blue/app-1" }], pods: ["app-1"], value: 100 },
  "has a pod of the same name": {
    gpus: [{ id: 1, percent: 77, pod: "blue/app-0" }],
    pods: ["app-0"],
    value: 77,
  },
  "takes a second GPU for a second replica": {
    gpus: [
      { id: 1, percent: 100, pod: "blue/app-0" },
      { id: 2, percent: 50, pod: "blue/app-1" },
    ],
    pods: ["app-0", "app-1"],
    value: 150,
  },
  "loses its GPU": {
    gpus: [{ id: 1, percent: 100, pod: "blue/app-0", lost: true }],
    pods: ["app-0"],
    value: "UNAVAILABLE",
  },
  "asks with metadata that breaks a rule": {
    gpus: [{ id: 1, percent: 100, pod: "blue/app-0" }],
    pods: ["app-0"],
    metadata: { targetValue: "much" },
    value: "INVALID_ARGUMENT",
  },
  "is scaled to zero while its GPU is still busy": {
    gpus: [{ id: 1, percent: 100 }],
    pods: [],
    value: 0,
  },
};

describe("two tenants on one node, with workloads of one name in two namespaces", () => {
  test("never change each other's number, whatever the other does", async () => {
    await using scene = await clusterScene({ keda, nodes: ["node-a"] });
    const { value, active } = scene.scaler();
    const own = { id: 0, percent: 42, pod: "red/app-0" };
    const red = { name: "app", namespace: "red", pods: [{ name: "app-0", node: "node-a" }] };
    const blue = { name: "app", namespace: "blue" };
    scene.node("node-a").gpus([own]);
    const ref = scene.workload(red);
    await eventually(() => value(ref), 42);

    for (const [what, step] of Object.entries(neighbour)) {
      const answers = await answersWhile(
        async () => `${await value(ref)} ${await active(ref)}`,
        async () => {
          const pods = step.pods.map((name) => ({ name, node: "node-a" }));
          scene.node("node-a").gpus([...step.gpus, own]);
          const { metadata = {} } = step;
          const other = scene.workload({ ...blue, pods, metadata });
          await eventually(() => value(other), step.value);
        },
      );
      expect({ what, answers }).toEqual({ what, answers: ["42 true"] });
    }
  });
});
