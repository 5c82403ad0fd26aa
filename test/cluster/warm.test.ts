import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { clusterScene } from "./scene.ts";

setDefaultTimeout(60_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

test("a metric that costs comes through agents, also to a scaler that was never asked", async () => {
  await using scene = await clusterScene({ keda, nodes: ["node-a"], scalers: 2 });
  scene.node("node-a").gpus([{ percent: 10, pcieTxKbps: 4_000, pod: "llm-0" }]);
  const llm = scene.workload({
    name: "llm",
    metadata: { metricType: "pcie_tx_kbps", targetValue: "1000" },
    pods: [{ name: "llm-0", node: "node-a" }],
  });
  await eventually(() => scene.scaler(0).value(llm), 4_000);
  expect(await scene.scaler(1).value(llm)).toBe(4_000);
  // The streams were opened again to say so, and no node was missing meanwhile.
  expect(await scene.scaler(0).gauge("keda_gpu_scaler_fleet_silent_agents")).toBe(0);
});
