import { afterEach, expect, test } from "bun:test";
import { apiWritePauseMostMs, apiWritesAtOnce } from "#core/limits.ts";
import { costWriter } from "#workload/cost-writer.ts";
import { podOf } from "#workload/pod.ts";
import {
  inClusterClient,
  shiftedClock,
  startFake,
  stopAll,
  whenOver,
} from "../fake-kubernetes/harness.ts";
import { podObject } from "../fake-kubernetes/objects.ts";
import { manualClock } from "../support/manual-clock.ts";

afterEach(stopAll);

const annotation = "controller.kubernetes.io/pod-deletion-cost";
const path = (name: string) => `/api/v1/namespaces/default/pods/${name}`;

async function started(...pods: readonly Parameters<typeof podObject>[0][]) {
  const fake = await startFake({ tls: true, token: "first" });
  fake.apply(...pods.map((pod) => podObject({ uid: `uid-${pod.name}`, ...pod })));
  const { client } = await inClusterClient(fake, shiftedClock());
  const clock = manualClock();
  const log: string[] = [];
  const start = () => {
    const made = costWriter({
      client,
      clock,
      random: () => 1,
      log: (level, event, facts) => log.push(`${level} ${event}: ${facts?.["why"]}`),
    });
    whenOver(made.stop);
    return made;
  };
  const writer = start();
  const read = async (name: string) => podOf(await client.get(path(name)));
  return {
    fake,
    clock,
    log,
    read,
    start,
    ...writer,
    write: (name: string, cost: number, uid = `uid-${name}`) =>
      writer.write({ namespace: "default", name, uid }, cost),
    counts: () => [writer.count("ok"), writer.count("left"), writer.count("failed")],
    patches: () => fake.requests.filter(({ method }) => method === "PATCH"),
  };
}

test("a cost is the pod's annotation, and ours, also for a process that starts anew", async () => {
  const { write, read, start, counts, patches } = await started({ name: "a" });
  expect((await read("a"))?.deletionCost).toBeUndefined();
  await write("a", 5);
  expect((await read("a"))?.deletionCost).toEqual({ value: 5, isOwn: true });
  await start().write({ namespace: "default", name: "a", uid: "uid-a" }, 2);
  expect((await read("a"))?.deletionCost).toEqual({ value: 2, isOwn: true });
  expect(counts()).toEqual([1, 0, 0]);
  expect(patches().map(({ query }) => query.toString())).toEqual([
    "fieldManager=keda-gpu-scaler&force=false",
    "fieldManager=keda-gpu-scaler&force=false",
  ]);
});

test("one that somebody else has set stays, whether it was set before or after ours", async () => {
  const { fake, write, read, counts, log } = await started(
    { name: "template", annotations: { [annotation]: "-7" } },
    { name: "taken" },
  );
  await write("template", 5);
  expect((await read("template"))?.deletionCost).toEqual({ value: -7, isOwn: false });
  await write("taken", 5);
  // Whoever replaces the object owns what stands in it.
  fake.apply(podObject({ name: "taken", annotations: { [annotation]: "9" } }));
  await write("taken", 6);
  expect((await read("taken"))?.deletionCost).toEqual({ value: 9, isOwn: false });
  expect(counts()).toEqual([1, 2, 0]);
  expect(log).toEqual([]);
});

test("a pod that is gone, and another of its name, get nothing", async () => {
  const { write, read, counts, log } = await started({ name: "again", uid: "new" });
  await write("again", 5);
  await write("gone", 5);
  expect((await read("again"))?.deletionCost).toBeUndefined();
  expect(counts()).toEqual([0, 2, 0]);
  expect(log).toEqual([]);
});

test("a refusal is told once for each cause, and pauses everything for a growing time", async () => {
  const { fake, clock, write, isOpen, counts, log, patches } = await started({ name: "a" });
  fake.fail({ path: /pods/, status: 403, text: '{"message":"no"}' });
  await write("a", 5);
  expect(log).toEqual([
    `warn deletion costs cannot be written: Cannot patch ${path("a")}: status 403, no; ` +
      "grant patch on it to this ServiceAccount",
  ]);
  expect(isOpen()).toBe(false);
  await write("a", 5);
  expect(patches()).toHaveLength(1);
  clock.advance(10_000);
  await write("a", 5);
  clock.advance(19_999);
  expect(isOpen()).toBe(false);
  clock.advance(1);
  expect(log).toHaveLength(1);
  fake.fail({ path: /pods/, status: 503, retryAfterSeconds: 3_600 });
  await write("a", 5);
  expect(log).toHaveLength(2);
  clock.advance(apiWritePauseMostMs);
  expect(isOpen()).toBe(false);
  clock.advance(3_600_000);
  fake.fail();
  await write("a", 5);
  expect(counts()).toEqual([1, 0, 3]);
  fake.fail({ path: /pods/, status: 403 });
  await write("a", 6);
  expect(log).toHaveLength(3);
});

test("few are written at once", async () => {
  const names = Array.from({ length: 3 * apiWritesAtOnce }, (_none, index) => `pod-${index}`);
  const { fake, write, counts } = await started(...names.map((name) => ({ name })));
  fake.setDelay(5);
  await Promise.all(names.map((name) => write(name, 5)));
  expect(counts()).toEqual([names.length, 0, 0]);
  expect(fake.mostAtOnce("")).toBe(apiWritesAtOnce);
});
