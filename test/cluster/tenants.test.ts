import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { clusterScene } from "./scene.ts";

setDefaultTimeout(60_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

/** The HPA's arithmetic for `AverageValue`, as the controller does it; tolerance 10 %. */
function desired(value: number, target: number, replicas: number): number {
  const ratio = value / (target * replicas);
  return Math.abs(ratio - 1) <= 0.1 ? replicas : Math.ceil(value / target);
}

describe("three replicas at 92 % with a target of 80", () => {
  test("are 276 in all, for which the HPA asks for 4; 92 where the trigger says Value", async () => {
    await using scene = await clusterScene({ keda });
    const names = ["node-a", "node-b", "node-c"];
    const pods = names.map((node, index) => ({ name: `llm-${index}`, node }));
    for (const { name, node } of pods)
      scene.node(node).gpus([{ percent: 40 }, { percent: 92, pod: name }]);
    const llm = scene.workload({ name: "llm", pods });
    const [scaler] = scene.scalers;
    await eventually(() => scaler?.value(llm), 276);
    expect(desired(276, Number(await scaler?.target(llm)), 3)).toBe(4);
    expect(await scaler?.active(llm)).toBe(true);

    const average = scene.workload({ name: "llm", metricType: "Value", pods });
    await eventually(() => scaler?.value(average), 92);
  });
});
