import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { clusterScene } from "./scene.ts";
import { threePods, threeReplicas } from "./three-replicas.ts";
import { answersWhile } from "./watching.ts";

setDefaultTimeout(60_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

/** What three replicas send while one of them cannot be seen: their target, and no less. */
const floor = 240;
const numbers = (answers: readonly (number | string)[]) =>
  answers.filter((answer) => typeof answer === "number").toSorted();

test.concurrent("an agent that freezes with its connection open is missing, and comes back", async () => {
  await using scene = await clusterScene({ keda });
  const llm = threeReplicas(scene);
  const { value, gauge } = scene.scaler();
  await eventually(() => value(llm), 276);
  const answers = await answersWhile(
    () => value(llm),
    async () => {
      scene.node("node-c").agent().kill("SIGSTOP");
      await eventually(() => value(llm), floor);
      await eventually(() => gauge("keda_gpu_scaler_fleet_silent_agents"), 1);
      scene.node("node-c").agent().kill("SIGCONT");
      await eventually(() => value(llm), 276);
    },
  );
  expect(numbers(answers)).toEqual([240, 276]);
});

test.concurrent("an agent that restarts with its devices in another order mixes up no GPU", async () => {
  await using scene = await clusterScene({ keda, nodes: ["node-a"] });
  const { value } = scene.scaler();
  const node = scene.node("node-a");
  node.gpus([
    { id: 0, percent: 92, pod: "llm-0" },
    { id: 1, percent: 10, pod: "other-0" },
  ]);
  const llm = scene.workload({ name: "llm", pods: [{ name: "llm-0", node: "node-a" }] });
  await eventually(() => value(llm), 92);
  const answers = await answersWhile(
    () => value(llm),
    async () => {
      node.gpus([
        { id: 1, percent: 10, pod: "other-0" },
        { id: 0, percent: 93, pod: "llm-0" },
      ]);
      await node.restart();
      await eventually(() => value(llm), 93);
    },
  );
  for (const answer of numbers(answers)) expect([92, 93]).toContain(answer);
});

test.concurrent("while the kubelet is gone its last word serves; an agent that never had one says so", async () => {
  await using scene = await clusterScene({ keda, nodes: ["node-a"] });
  const { value, refusal } = scene.scaler();
  const node = scene.node("node-a");
  node.gpus([{ percent: 92, pod: "llm-0" }]);
  const llm = scene.workload({ name: "llm", pods: [{ name: "llm-0", node: "node-a" }] });
  await eventually(() => value(llm), 92);

  await node.kubelet.vanish();
  node.readings([{ percent: 61 }]);
  await eventually(() => value(llm), 61);
  const { problem } = await node.agent().logged("pod resources cannot be read");
  expect(problem).toContain(node.kubelet.socketPath);

  await node.restart();
  await eventually(
    () => refusal(llm),
    expect.stringContaining("the kubelet of node node-a has not said which pods hold its devices"),
  );
  expect(await value(llm)).toBe("UNAVAILABLE");

  await node.kubelet.comeBack();
  node.gpus([{ percent: 50 }, { percent: 62, pod: "llm-0" }]);
  await eventually(() => value(llm), 62);
});

test.concurrent("while the API server is gone the pods it last named serve", async () => {
  await using scene = await clusterScene({ keda });
  const llm = threeReplicas(scene);
  const { value, active, ready, serving } = scene.scaler();
  await eventually(() => value(llm), 276);
  const answers = await answersWhile(
    () => value(llm),
    async () => {
      await scene.kubernetes.goAway();
      await serving.logged("kubernetes failed");
      scene.node("node-c").readings([{ percent: 40 }, { percent: 94 }]);
      await eventually(() => value(llm), 278);
    },
  );
  expect(answers.toSorted()).toEqual([276, 278]);
  expect({ ready: await ready(), active: await active(llm) }).toEqual({
    ready: "ok",
    active: true,
  });

  scene.workload({ name: "llm", pods: threePods.slice(0, 2) });
  await scene.kubernetes.comeBack();
  await eventually(() => value(llm), 184);
});

test.concurrent("a pod that moves under its own name counts once, where it is now", async () => {
  await using scene = await clusterScene({ keda });
  const llm = threeReplicas(scene);
  const { value } = scene.scaler();
  await eventually(() => value(llm), 276);
  const answers = await answersWhile(
    () => value(llm),
    async () => {
      // The kubelet of node-c goes on to list the pod that ended there.
      const moved = { name: "llm-2", node: "node-b", uid: "born-again" };
      scene.workload({ name: "llm", pods: [...threePods.slice(0, 2), moved] });
      await eventually(() => value(llm), floor);
      const gpus = [
        { percent: 50, pod: "llm-2" },
        { percent: 92, pod: "llm-1" },
      ];
      scene.node("node-b").gpus(gpus);
      await eventually(() => value(llm), 234);
    },
  );
  expect(answers.toSorted()).toEqual([234, 240, 276]);
});

test.concurrent("a node that is scaled away takes its devices along, and its pod only when that is gone", async () => {
  await using scene = await clusterScene({ keda });
  const llm = threeReplicas(scene);
  const { value, gauge } = scene.scaler();
  await eventually(() => value(llm), 276);
  const answers = await answersWhile(
    () => value(llm),
    async () => {
      scene.unlistAgent("node-c");
      await eventually(() => gauge("keda_gpu_scaler_fleet_nodes"), 2);
      await eventually(() => value(llm), floor);
      scene.workload({ name: "llm", pods: threePods.slice(0, 2) });
      await eventually(() => value(llm), 184);
    },
  );
  expect(answers.toSorted()).toEqual([184, 240, 276]);
  // Nobody waits for an agent that is listed no more.
  expect(await gauge("keda_gpu_scaler_fleet_silent_agents")).toBe(0);
});

test.concurrent("when the replica with KEDA's push stream is killed, the other answers at once", async () => {
  await using scene = await clusterScene({ keda, scalers: 2 });
  const llm = threeReplicas(scene);
  const [first, second] = [scene.scaler(0), scene.scaler(1)];
  for (const { value } of [first, second]) await eventually(() => value(llm), 276);
  const stream = await first.push(llm);
  expect(await stream.next()).toEqual({ result: true });

  first.serving.kill("SIGKILL");
  expect((await stream.ended).code).toBe("UNAVAILABLE");
  expect(await second.value(llm)).toBe(276);
  expect(await second.active(llm)).toBe(true);
  await using next = await second.push(llm);
  expect(await next.next()).toEqual({ result: true });
});

test.concurrent("a pod that loses readiness under load still counts; one that never was ready does not", async () => {
  await using scene = await clusterScene({ keda });
  const llm = threeReplicas(scene);
  const { value } = scene.scaler();
  await eventually(() => value(llm), 276);
  const [first = { name: "" }, ...rest] = threePods;
  const witness = { name: "llm-3", node: "node-a" };
  scene.node("node-a").gpus([
    { percent: 10, pod: "llm-3" },
    { percent: 92, pod: "llm-0" },
  ]);

  // Events come in order, so whoever knows of the witness knows that llm-0 is not ready.
  const lost = { ...first, ready: false, readyChangedAfterSeconds: 600 };
  scene.workload({ name: "llm", pods: [lost, ...rest, witness] });
  await eventually(() => value(llm), 286);

  const loading = { ...first, ready: false, readyChangedAfterSeconds: 5 };
  scene.workload({ name: "llm", pods: [loading, ...rest] });
  await eventually(() => value(llm), 184);
});
