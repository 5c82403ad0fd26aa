import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { clusterScene } from "./scene.ts";
import { threeReplicas } from "./three-replicas.ts";
import { answersWhile } from "./watching.ts";

setDefaultTimeout(60_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

describe("a replica that has just started", () => {
  test.concurrent("says UNAVAILABLE and is not ready until it has seen the API server", async () => {
    await using scene = await clusterScene({ keda });
    const llm = threeReplicas(scene);
    await eventually(() => scene.scaler().value(llm), 276);
    await scene.kubernetes.goAway();
    const { value, active, target, ready, serving } = await scene.startScaler();
    await serving.logged("kubernetes failed");
    expect(await ready()).toStartWith("not ready: ");
    expect([await value(llm), await active(llm)]).toEqual(["UNAVAILABLE", "UNAVAILABLE"]);
    // KEDA asks for the spec of every trigger before it asks for any value.
    expect(await target(llm)).toBe(80);

    const answers = await answersWhile(
      () => value(llm),
      async () => {
        await scene.kubernetes.comeBack();
        await eventually(ready, "ok");
        await eventually(() => value(llm), 276);
      },
    );
    expect(answers).toEqual(["UNAVAILABLE", 276]);
  });

  test.concurrent("says UNAVAILABLE and is not ready until it has heard every agent", async () => {
    await using scene = await clusterScene({ keda });
    const llm = threeReplicas(scene);
    await eventually(() => scene.scaler().value(llm), 276);
    scene.node("node-c").agent().kill("SIGSTOP");
    const { value, active, refusal, ready } = await scene.startScaler();
    await eventually(ready, "not ready: the agents have not been heard yet");
    expect([await value(llm), await active(llm)]).toEqual(["UNAVAILABLE", "UNAVAILABLE"]);
    expect(await refusal(llm)).toContain("waits for the first report of every agent");

    const answers = await answersWhile(
      () => value(llm),
      async () => {
        scene.node("node-c").agent().kill("SIGCONT");
        await eventually(ready, "ok");
        await eventually(() => value(llm), 276);
      },
    );
    // The first that the agent says may be as old as its sleep was long: then the floor holds.
    const [first, ...rest] = answers;
    expect(first).toBe("UNAVAILABLE");
    for (const answer of rest) expect<unknown[]>([240, 276]).toContain(answer);
  });
});

test.concurrent("from zero: none is a true 0, a pending pod is active and adds nothing, then it counts", async () => {
  await using scene = await clusterScene({ keda, nodes: ["node-a"] });
  const { value, active, push } = scene.scaler();
  const zero = scene.workload({ name: "llm", pods: [] });
  await eventually(() => value(zero), 0);
  expect(await active(zero)).toBe(false);
  await using stream = await push(zero);
  expect(await stream.next()).toEqual({ result: false });

  scene.workload({ name: "llm", pods: [{ name: "llm-0", phase: "Pending" }] });
  await eventually(() => active(zero), true);
  // The target for one replica: the HPA keeps the one that is starting, and asks for no other.
  expect(await value(zero)).toBe(80);
  await eventually(async () => (await stream.next())["result"], true);

  scene.node("node-a").gpus([{ percent: 70, pod: "llm-0" }]);
  scene.workload({ name: "llm", pods: [{ name: "llm-0", node: "node-a" }] });
  await eventually(() => value(zero), 70);
  expect(await active(zero)).toBe(true);

  const next = { name: "llm-1", phase: "Pending" } as const;
  scene.workload({ name: "llm", pods: [{ name: "llm-0", node: "node-a" }, next] });
  scene.node("node-a").readings([{ percent: 71 }]);
  await eventually(() => value(zero), 71);

  scene.workload({ name: "llm", pods: [] });
  await eventually(() => value(zero), 0);
  expect(await active(zero)).toBe(false);
});

describe("what cannot be answered says why", () => {
  test.concurrent("a ScaledObject that the API server does not have, until it is made", async () => {
    await using scene = await clusterScene({ keda, nodes: ["node-a"] });
    const { value, active, refusal, target } = scene.scaler();
    const ref = { name: "new", namespace: "default", scalerMetadata: { targetValue: "70" } };
    expect([await value(ref), await active(ref)]).toEqual(["NOT_FOUND", "NOT_FOUND"]);
    expect(await refusal(ref)).toContain("Cannot look up default/new: no ScaledObject");
    expect(await target(ref)).toBe(70);
    const made = scene.workload({ name: "new", pods: [], metadata: ref.scalerMetadata });
    await eventually(() => value(made), 0);
  });

  test.concurrent("pods that hold no GPU are no 0", async () => {
    await using scene = await clusterScene({ keda, nodes: ["node-a"] });
    const { value, active, refusal } = scene.scaler();
    scene.node("node-a").gpus([{ percent: 88, pod: "other-0" }]);
    const web = scene.workload({ name: "web", pods: [{ name: "web-0", node: "node-a" }] });
    await eventually(() => value(web), "FAILED_PRECONDITION");
    expect(await active(web)).toBe("FAILED_PRECONDITION");
    expect(await refusal(web)).toContain("web-0: it holds no device on node node-a");
  });
});
