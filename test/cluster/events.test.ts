import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { type ClusterScene, clusterScene } from "./scene.ts";

setDefaultTimeout(180_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

const written = ({ kubernetes }: ClusterScene) =>
  kubernetes
    .events()
    .map((event) => `${event["type"]} ${event["reason"]} x${event["count"]}`)
    .toSorted();
const writes = ({ kubernetes }: ClusterScene) =>
  kubernetes.requests.filter(({ path, method }) => method === "PATCH" && path.includes("/events/"));

test("a misspelt key is one event of the ScaledObject with two scalers, which ends when the key is corrected", async () => {
  await using scene = await clusterScene({ keda, nodes: ["node-a"], scalers: 2 });
  scene.node("node-a").gpus([{ percent: 50, pod: "llm-0" }]);
  const pods = [{ name: "llm-0", node: "node-a" }];
  scene.workload({ name: "llm", metadata: { targetGpuUtilisation: "80" }, pods });
  const within = { withinMs: 60_000 };
  await eventually(() => writes(scene).length, 2, within);
  expect(written(scene)).toEqual(["Warning TriggerRefused x1"]);
  const [event] = scene.kubernetes.events();
  expect(event?.["involvedObject"]).toMatchObject({ kind: "ScaledObject", name: "llm" });
  expect(event?.["message"]).toContain("did you mean targetGpuUtilization?");

  const llm = scene.workload({ name: "llm", metadata: { targetGpuUtilization: "80" }, pods });
  await eventually(() => scene.scaler(1).value(llm), 50);
  await eventually(() => writes(scene).length, 4, within);
  expect(written(scene)).toEqual(["Normal TriggerAnswers x1", "Warning TriggerRefused x1"]);
});
