import { afterEach, expect, test } from "bun:test";
import { answerer } from "#answer/answerer.ts";
import { deletionCosts } from "#app/deletion-costs.ts";
import { deletionCostCheckMs, deletionCostSpacingMs } from "#core/limits.ts";
import { fleetStore } from "#fleet/store.ts";
import { builtInProfiles } from "#trigger/profiles.ts";
import { triggerParser } from "#trigger/trigger.ts";
import { holder } from "../answer/cluster.ts";
import { startFake, stopAll, until, whenOver } from "../fake-kubernetes/harness.ts";
import { podObject, scalableObject, scaledObject } from "../fake-kubernetes/objects.ts";
import { ours, ready, startCluster } from "../workload/harness.ts";

afterEach(stopAll);

const annotation = "controller.kubernetes.io/pod-deletion-cost";
const parse = triggerParser(() => builtInProfiles);
const metadata = { ...ours, metricType: "gpu_utilization", targetValue: "80" };

interface LlmPod {
  readonly name: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner?: "ReplicaSet" | "StatefulSet";
}

/** A workload on one node, whose pods' devices are as busy as the test says. */
async function started(...pods: readonly LlmPod[]) {
  const fake = await startFake({ tls: true, token: "first" });
  const labels = { app: "llm" };
  const put = ({ owner = "ReplicaSet", ...pod }: LlmPod) =>
    fake.apply(podObject({ ...pod, owner, labels, node: "a" }));
  for (const pod of pods) put(pod);
  fake.apply(
    scalableObject({ name: "llm", replicas: pods.length, matchLabels: labels }),
    scaledObject({ name: "llm", triggers: [{ metadata }], minReplicaCount: 1 }),
  );
  const cluster = await startCluster(fake);
  await ready(cluster);
  const { clock, client, workloads } = cluster;
  const store = fleetStore({ clock });
  const scaler = () => {
    const answers = answerer({ store, clock, workloads: workloads.view, parse });
    const log = () => {};
    const context = {
      clock,
      log,
      random: () => 0,
      kubernetes: { client },
      workloads,
      parse,
      answers,
    };
    const made = deletionCosts({ deletionCost: true }, context);
    if (made === undefined) throw new Error("Cannot go on: nothing was started");
    whenOver(made.stop);
    return made;
  };
  const busy = (...percents: readonly number[]) =>
    store.put({
      name: "a",
      sampleIntervalMs: 1_000,
      ageMs: 0,
      holdersAgeMs: 0,
      session: 1,
      devices: percents.map((utilizationPercent, index) => ({
        uuid: `GPU-${index}`,
        index,
        vendor: "nvidia",
        model: "H200",
        health: { state: "ok" },
        conditions: [],
        readings: { utilizationPercent },
        absences: {},
        holders: [holder(pods[index]?.name ?? "", { namespace: "default" })],
      })),
    });
  return {
    fake,
    clock,
    scaler,
    put,
    /** Lets time pass with these loads, second by second. */
    pass: (ms: number, ...percents: readonly number[]) => {
      for (let passedMs = 0; passedMs < ms; passedMs += 1_000) {
        busy(...percents);
        clock.advance(1_000);
      }
    },
    patches: () =>
      fake.requests
        .filter(({ method }) => method === "PATCH")
        .map(({ path, status }) => `${path.split("/").at(-1)} ${status}`),
    costs: async () => {
      const read = pods.map(({ name }) => client.get(`/api/v1/namespaces/default/pods/${name}`));
      return (await Promise.all(read)).map((pod) => {
        const { metadata: own } = pod as { metadata: { annotations: Record<string, string> } };
        return own.annotations[annotation];
      });
    },
    /** Waits until the scaler has heard of so many changes of pods. */
    heard: (costs: readonly (number | undefined)[]) =>
      until(() => {
        const { pods: known } = workloads.peek.of("default", "llm", metadata);
        return Bun.deepEquals(
          known.map(({ deletionCost }) => deletionCost?.value),
          costs,
        );
      }),
  };
}

const three = [{ name: "a" }, { name: "b" }, { name: "c" }] as const;

test("the idlest pods are first in line once a scale-in is near, and nothing is written before", async () => {
  const { scaler, pass, heard, patches, costs } = await started(...three);
  const { written } = scaler();
  pass(6 * deletionCostCheckMs, 90, 0, 160);
  pass(deletionCostCheckMs, 90, 0, 20);
  await heard([15, undefined, 11]);
  expect(await costs()).toEqual(["15", undefined, "11"]);
  expect(patches().toSorted()).toEqual(["a 200", "c 200"]);
  expect(written("ok")).toBe(2);

  // The order is right for as long as it is, and changes when a pod has clearly more to do.
  pass(6 * deletionCostSpacingMs, 80, 0, 10);
  pass(2 * deletionCostCheckMs, 0, 90, 10);
  await heard([13, 12, 9]);
  expect(patches()).toHaveLength(5);
  // By now it is another, and is written no sooner than that may be.
  pass(deletionCostSpacingMs - deletionCostCheckMs, 0, 90, 10);
  expect(await costs()).toEqual(["13", "12", "9"]);
  pass(deletionCostCheckMs, 0, 90, 10);
  await heard([0, 15, 9]);
  expect(patches()).toHaveLength(7);
});

test("a replica of the scaler leaves the order that another has written", async () => {
  const { scaler, pass, heard, patches } = await started(...three);
  const one = scaler();
  pass(deletionCostCheckMs, 90, 0, 20);
  await heard([15, undefined, 11]);
  const other = scaler();
  pass(6 * deletionCostSpacingMs, 90, 0, 20);
  expect([one.written("ok"), other.written("ok")]).toEqual([2, 0]);
  expect(patches()).toHaveLength(2);
});

test("two replicas of the scaler that write at once write the same", async () => {
  const { scaler, pass, heard, patches } = await started(...three);
  const all = [scaler(), scaler()];
  pass(deletionCostCheckMs, 90, 0, 20);
  await heard([15, undefined, 11]);
  await until(() => all.every(({ written }) => written("ok") === 2));
  pass(6 * deletionCostSpacingMs, 90, 0, 20);
  expect(patches()).toHaveLength(4);
});

test("what somebody else has set is left alone, and so are pods of no ReplicaSet", async () => {
  const { scaler, pass, heard, patches, costs } = await started(
    { name: "a" },
    { name: "b", annotations: { [annotation]: "-1" } },
    { name: "c", owner: "StatefulSet" },
    { name: "d" },
  );
  const { written } = scaler();
  pass(deletionCostCheckMs, 60, 60, 60, 0);
  await heard([14, -1, undefined, undefined]);
  expect(await costs()).toEqual(["14", "-1", undefined, undefined]);
  expect(patches()).toEqual(["a 200"]);
  expect(written("left")).toBe(0);
});

test("a process that stops writes nothing more, and one without a cluster refuses", async () => {
  const { scaler, pass, patches, heard } = await started(...three);
  scaler().stop();
  pass(6 * deletionCostCheckMs, 90, 0, 20);
  expect(patches()).toEqual([]);
  scaler();
  pass(deletionCostCheckMs, 90, 0, 20);
  await heard([15, undefined, 11]);
  expect(patches()).toHaveLength(2);

  const { clock } = await started(...three);
  const runtime = { clock, log: () => {}, random: () => 0 };
  const answers = { value: () => ({}) as never };
  const nowhere = { ...runtime, kubernetes: undefined, workloads: undefined, parse, answers };
  expect(() => deletionCosts({ deletionCost: true }, nowhere)).toThrow(
    "--deletion-cost needs the Kubernetes API",
  );
  expect(deletionCosts({ deletionCost: false }, nowhere)).toBeUndefined();
});
