import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { foreignClient } from "../foreign/client.ts";
import { eventually } from "../support/eventually.ts";
import { clusterScene } from "./scene.ts";
import { threePods, threeReplicas } from "./three-replicas.ts";
import { answersWhile } from "./watching.ts";

setDefaultTimeout(60_000);
const keda = foreignClient();
afterAll(() => keda[Symbol.asyncDispose]());

test.concurrent("of three agents one dies: nothing below the target is sent; two: UNAVAILABLE, and still active", async () => {
  await using scene = await clusterScene({ keda });
  const llm = threeReplicas(scene);
  const { value, active, refusal, push } = scene.scaler();
  const [, second, third] = ["node-a", "node-b", "node-c"].map(scene.node);
  await eventually(() => value(llm), 276);
  await using stream = await push(llm);
  expect(await stream.next()).toEqual({ result: true });

  const withoutOne = await answersWhile(
    () => value(llm),
    async () => {
      third?.agent().kill("SIGKILL");
      await eventually(() => value(llm), 240);
    },
  );
  expect(withoutOne).toEqual([276, 240]);

  // What is known may ask for more than the floor, which is 165 for this target.
  const eager = scene.workload({ name: "llm", pods: threePods, metadata: { targetValue: "55" } });
  await eventually(() => value(eager), 184);
  scene.workload({ name: "llm", pods: threePods });
  await eventually(() => value(llm), 240);

  const withoutTwo = await answersWhile(
    () => value(llm),
    async () => {
      second?.agent().kill("SIGKILL");
      await eventually(() => value(llm), "UNAVAILABLE");
    },
  );
  expect(withoutTwo).toEqual([240, "UNAVAILABLE"]);
  expect(await refusal(llm)).toContain("1 of 3 replicas are known");
  expect(await refusal(llm)).toContain("node-b was last read");
  expect(await active(llm)).toBe(true);

  await Promise.all([second?.restart(), third?.restart()]);
  await eventually(() => value(llm), 276);
  expect(stream.waiting().every(({ result }) => result === true)).toBe(true);
});

test.concurrent("an idle workload with a part missing is neither active nor idle but UNAVAILABLE", async () => {
  await using scene = await clusterScene({ keda, nodes: ["node-a", "node-b"] });
  const { active } = scene.scaler();
  const pods = ["node-a", "node-b"].map((node, index) => ({ name: `llm-${index}`, node }));
  for (const { name, node } of pods) scene.node(node).gpus([{ percent: 0, pod: name }]);
  const llm = scene.workload({ name: "llm", pods });
  await eventually(() => active(llm), false);
  const answers = await answersWhile(
    () => active(llm),
    async () => {
      scene.node("node-b").agent().kill("SIGKILL");
      await eventually(() => active(llm), "UNAVAILABLE");
    },
  );
  expect(answers).toEqual([false, "UNAVAILABLE"]);
});
