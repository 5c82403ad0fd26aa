import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { foreignClient } from "../foreign/client.ts";
import { followActivity, rollAgents, rolledCluster, rollScalers, toldWhile } from "./roll-out.ts";

setDefaultTimeout(120_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

test.concurrent("scalers that are replaced fail no call that is made again, and end streams with OK", async () => {
  await using cluster = await rolledCluster(keda);
  const { service, scalers, llm } = cluster;
  const activity = await followActivity(keda, service, llm);
  const told = await toldWhile(keda, service, llm, () => rollScalers(cluster, scalers));
  await activity.stop();
  expect(told).toMatchObject({
    failed: [],
    values: new Set([276]),
    targets: new Set([80]),
    active: new Set([true]),
  });
  expect(told.calls).toBeGreaterThan(100);
  expect(activity.ends.length).toBeGreaterThan(0);
  expect(new Set(activity.ends)).toEqual(new Set(["OK"]));
  expect(activity.heard).toEqual(new Set([true]));
});

test.concurrent("agents that are replaced fail no call, and their replicas count as missing meanwhile", async () => {
  await using cluster = await rolledCluster(keda);
  const { service, scalers, llm } = cluster;
  const told = await toldWhile(keda, service, llm, () => rollAgents(cluster, scalers));
  expect(told).toMatchObject({ failed: [], targets: new Set([80]), active: new Set([true]) });
  // What three replicas hold with, while one of them is not known; and no value in between.
  for (const value of told.values) expect([240, 276]).toContain(value);
  for (const { gauge } of scalers)
    expect(await gauge("keda_gpu_scaler_fleet_silent_agents")).toBe(0);
});
