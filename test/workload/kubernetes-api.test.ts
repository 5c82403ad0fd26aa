import { afterEach, describe, expect, test } from "bun:test";
import { apiPageItems, apiSilentMs, workloadStaleMs } from "#core/limits.ts";
import { podObject, scalableObject, scaledJob, scaledObject } from "../fake-kubernetes/objects.ts";
import type { FakeKubernetes } from "../fake-kubernetes/server.ts";
import {
  inClusterClient,
  ours,
  ready,
  requestsOf,
  shiftedClock,
  startCluster,
  startFake,
  stopAll,
  until,
  untilLater,
} from "./harness.ts";

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

describe("a watch", () => {
  test("goes on from where it broke off, without a list", async () => {
    const started = await cluster();
    const { fake, podNames, remove } = started;
    const lists = requestsOf(fake, "list").length;
    fake.disconnect();
    fake.apply(pod("b"));
    remove("a");
    await untilLater(started, () => podNames().join() === "b");
    expect(requestsOf(fake, "list")).toHaveLength(lists);
    expect(started.log.join()).toContain("kubernetes failed");
  });

  test.each(["event", "status"] as const)(
    "that gets 410 as %s begins anew with a list",
    async (how) => {
      const started = await cluster();
      const { fake, podNames, remove } = started;
      const pods = () => requestsOf(fake, "list", "/pods").length;
      expect(pods()).toBe(1);
      await fake.goAway();
      remove("a");
      fake.apply(pod("b"));
      fake.compact(how);
      await fake.comeBack();
      await untilLater(started, () => podNames().join() === "b");
      expect(pods()).toBe(2);
    },
  );

  test("survives compaction of what bookmarks have passed", async () => {
    const started = await cluster();
    const { fake, clock, podNames } = started;
    fake.apply(pod("b"));
    await until(() => podNames().join() === "a,b");
    // Only ScaledObjects change: without bookmarks the pods' version would be too old now.
    for (let more = 0; more < 5; more += 1) applyWorkload(fake, `other-${more}`);
    await until(() => started.faultOf("other-4") === undefined);
    fake.compact();
    clock.advance(60_000);
    fake.bookmark();
    await until(() => started.look("llm").ageMs < 30_000);

    fake.disconnect();
    fake.apply(pod("c"));
    await untilLater(started, () => podNames().join() === "a,b,c");
    expect(requestsOf(fake, "list", "/pods")).toHaveLength(1);
  });

  test("asks for an end, so that load spreads over API servers", async () => {
    const { fake } = await cluster();
    const [watch] = requestsOf(fake, "watch");
    expect(Number(watch?.query.get("timeoutSeconds"))).toBe(300);
    expect(watch?.query.get("allowWatchBookmarks")).toBe("true");
  });

  test("that stays silent is opened again, and nothing is called old meanwhile", async () => {
    const started = await cluster();
    const { fake, clock, podNames } = started;
    // An event through each of the three watches proves that they stand.
    applyWorkload(fake, "second");
    fake.apply(pod("b"), scaledJob({ name: "batch", triggers: [{ metadata: ours }] }));
    await until(() => started.faultOf("second") === undefined);
    await until(() => started.faultOf("batch") === undefined && podNames().join() === "a,b");

    const before = requestsOf(fake, "watch").length;
    clock.advance(apiSilentMs + 1);
    await untilLater(started, () => requestsOf(fake, "watch").length >= before + 3);
    expect(podNames()).toEqual(["a", "b"]);
    expect(started.log).toEqual([]);
    await until(() => started.look("llm").ageMs < 10_000);
  });

  test("that ends at once is not opened in a busy loop", async () => {
    const started = await cluster();
    const { fake } = started;
    fake.setWatchLimit(0);
    fake.disconnect();
    const before = requestsOf(fake, "watch").length;
    for (let step = 0; step < 100; step += 1) {
      started.clock.advance(200);
      await Bun.sleep(2);
    }
    // Three watches, 20 s: each waits at least 0.5, 1, 2, 4, 8 s.
    const opened = requestsOf(fake, "watch").length - before;
    expect(opened).toBeGreaterThanOrEqual(3);
    expect(opened).toBeLessThanOrEqual(3 * 6);
  });
});

describe("a list", () => {
  test("comes in pages", async () => {
    const fake = await startFake(secure);
    applyWorkload(fake, "llm");
    for (let index = 0; index < apiPageItems * 2 + 1; index += 1) fake.apply(pod(`pod-${index}`));
    const started = await startCluster(fake);
    await ready(started);
    expect(started.look("llm").pods).toHaveLength(apiPageItems * 2 + 1);
    expect(requestsOf(fake, "list", "/pods")).toHaveLength(3);
  });
});

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
        "test asked for this; grant get, list and watch on it to this ServiceAccount)",
    );
    await until(() => started.workloads.waitingFor().join() === "pods of default");
  });

  test("that fails on a scale leaves what the scale said last", async () => {
    const started = await cluster();
    const { fake, podNames } = started;
    fake.fail({ path: /\/scale$/, status: 500 });
    fake.apply(pod("b"));
    const failed = () => requestsOf(fake, "scale").filter(({ status }) => status === 500).length;
    await untilLater(started, () => failed() > 0 && podNames().join() === "a,b");
    expect(started.faultOf("llm")).toBeUndefined();
  });

  test("that is busy is asked again when it said", async () => {
    const fake = await startFake(secure);
    fake.fail({ path: /scaledobjects/, status: 429, retryAfterSeconds: 20 });
    const started = await startCluster(fake);
    const asked = () => requestsOf(fake, "list", "/scaledobjects").length;
    await until(() => asked() === 1 && started.log.length === 1);
    started.clock.advance(19_000);
    // A request sent too early would have come before this one.
    await started.client.get("/api");
    expect(asked()).toBe(1);
    started.clock.advance(1_500);
    await until(() => asked() === 2);
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
