import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { clusterScene } from "./scene.ts";

setDefaultTimeout(120_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

test("with --deletion-cost the idlest pods of a Deployment are first in line, and KEDA is answered as ever", async () => {
  const scalerArgs = ["--deletion-cost"];
  await using scene = await clusterScene({ keda, nodes: ["node-a"], scalerArgs });
  const names = ["llm-a", "llm-b", "llm-c"];
  scene.node("node-a").gpus([
    { percent: 90, pod: "llm-a" },
    { percent: 0, pod: "llm-b" },
    { percent: 20, pod: "llm-c" },
  ]);
  const pods = names.map((name) => ({ name, node: "node-a", owner: "ReplicaSet" as const }));
  const llm = scene.workload({ name: "llm", metadata: { targetGpuUtilization: "80" }, pods });
  const { value, gauge } = scene.scaler();
  await eventually(() => value(llm), 110);
  const writes = 'keda_gpu_scaler_deletion_cost_writes_total{outcome="ok"}';
  await eventually(() => gauge(writes), 2);
  const patched = scene.kubernetes.requests.filter(
    ({ method, path }) => method === "PATCH" && path.includes("/pods/"),
  );
  expect(patched.map(({ path }) => path.split("/").at(-1)).toSorted()).toEqual(["llm-a", "llm-c"]);
  expect(await value(llm)).toBe(110);
});
