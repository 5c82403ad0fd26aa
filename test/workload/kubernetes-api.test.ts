import { afterEach, describe, expect, test } from "bun:test";
import { workloadStaleMs } from "#core/limits.ts";
import {
  inClusterClient,
  requestsOf,
  shiftedClock,
  startFake,
  stopAll,
  until,
} from "../fake-kubernetes/harness.ts";
import { podObject, scalableObject, scaledObject } from "../fake-kubernetes/objects.ts";
import type { FakeKubernetes } from "../fake-kubernetes/server.ts";
import { ours, ready, startCluster, untilLater } from "./harness.ts";

afterEach(stopAll);

const secure = { tls: true, token: "first" };
const labels = { app: "llm" };
const pod = (name: string) => podObject({ name, labels });

function applyWorkload(fake: FakeKubernetes, name: string, namespace = "default") {
  fake.apply(
    scaledObject({ namespace, name, triggers: [{ metadata: ours }] }),
    scalableObject({ namespace, name, matchLabels: { app: name } }),
  );
}

async function cluster() {
  const fake = await startFake(secure);
  applyWorkload(fake, "llm");
  fake.apply(pod("a"));
  const started = await startCluster(fake);
  await ready(started);
  await until(() => fake.openWatches() === 3);
  const podNames = () => started.look("llm").pods.map(({ name }) => name);
  const remove = (name: string) => fake.remove({ kind: "Pod", namespace: "default", name });
  return { ...started, podNames, remove };
}

describe("the API server", () => {
  test("may be away for ten minutes, and come back", async () => {
    const started = await cluster();
    const { fake, clock, faultOf, podNames, remove } = started;
    await fake.goAway();
    await until(() => started.log.length === 3);
    clock.advance(workloadStaleMs - 60_000);
    expect(podNames()).toEqual(["a"]);
    expect(started.look("llm").ageMs).toBeGreaterThan(workloadStaleMs - 61_000);
    clock.advance(61_000);
    expect(faultOf("llm")).toBe("data-stale");
    expect(() => started.look("llm")).toThrow(/last answered 60\d s ago, and 600 s is the limit/);

    fake.apply(pod("b"));
    remove("a");
    await fake.comeBack();
    await untilLater(started, () => faultOf("llm") === undefined && podNames().join() === "b");
    const returned = () => started.log.filter((line) => line.includes("answers again")).length;
    await untilLater(started, () => returned() >= 3);
  });

  test("that is not there yet, and slow later, is waited for in the background", async () => {
    const fake = await startFake(secure);
    applyWorkload(fake, "llm");
    await fake.goAway();
    const started = await startCluster(fake);
    expect(started.faultOf("llm")).toBe("workload-syncing");
    expect(started.workloads.waitingFor()).toEqual(["ScaledObjects", "ScaledJobs"]);
    await until(() => started.log.length > 0);
    expect(() => started.look("llm")).toThrow(
      /ScaledObjects not read yet \(Cannot get .+reached\)/,
    );
    fake.setDelay(50);
    await fake.comeBack();
    await untilLater(started, () => started.workloads.waitingFor().length === 0);
    expect(started.look("llm").pods).toEqual([]);
  });

  test("may rotate the token", async () => {
    const fake = await startFake(secure);
    applyWorkload(fake, "llm");
    const clock = shiftedClock();
    const { client, directory } = await inClusterClient(fake, clock);
    const read = () => client.get("/api/v1/namespaces/default/pods");
    await read();
    fake.setToken("second");
    await expect(read()).rejects.toThrow("status 401, Unauthorized; check that the Service");
    await fake.writeServiceAccount(directory);
    expect(await read()).toMatchObject({ kind: "PodList" });
  });

  test("that refuses says why in every answer", async () => {
    const fake = await startFake(secure);
    applyWorkload(fake, "llm");
    fake.fail({ path: /\/pods$/, status: 403 });
    const started = await startCluster(fake);
    await until(() => started.log.some((line) => line.includes("403")));
    expect(() => started.look("llm")).toThrow(
      "pods of default not read yet (Cannot get /api/v1/namespaces/default/pods: status 403, the " +
        "test asked for this; grant list and watch on it to this ServiceAccount)",
    );
    await until(() => started.workloads.waitingFor().join() === "pods of default");
  });

  test("that fails on a scale leaves what the scale said last", async () => {
    const started = await cluster();
    const { fake, podNames } = started;
    fake.fail({ path: /\/scale$/, status: 500 });
    fake.apply(pod("b"));
    const failed = () => requestsOf(fake, "scale").filter(({ status }) => status === 500).length;
    // A second attempt says that the first one's failure has been stored.
    await untilLater(started, () => failed() > 1);
    expect(podNames()).toEqual(["a", "b"]);
    expect(started.look("llm").replicas).toBe(1);
  });

  test("without KEDA's ScaledJob is ready all the same", async () => {
    const fake = await startFake(secure);
    applyWorkload(fake, "llm");
    fake.fail({ path: /scaledjobs/, status: 404 });
    const started = await startCluster(fake);
    await ready(started);
    expect(started.faultOf("llm")).toBeUndefined();
    expect(started.faultOf("nobody")).toBe("workload-unknown");
  });
});
