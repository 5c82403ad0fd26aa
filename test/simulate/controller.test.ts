import { describe, expect, test } from "bun:test";
import type { Controller } from "#simulate/controller.ts";
import { deployment } from "#simulate/deployment.ts";
import { isDeleting, isServing } from "#simulate/replica.ts";
import type { TargetModel } from "#simulate/scenario.ts";
import { statefulSet } from "#simulate/stateful-set.ts";
import { type ServingOptions, serving } from "./serving.ts";

/** A target whose spec the test changes; each second one pass of its controller. */
function controlled(target: Partial<TargetModel>, options: ServingOptions = {}) {
  const own = serving({ ...options, target });
  const { target: model } = own.scenario;
  const controller: Controller = (model.kind === "Deployment" ? deployment : statefulSet)(
    model,
    own.pods,
  );
  let second = 0;
  const all = own.pods.all;
  return {
    ...own,
    controller,
    /** Plays with that spec, and returns what there was each second, without repetition. */
    run: (spec: number, seconds: number, of: () => number = () => controller.statusReplicas()) => {
      const counts: number[] = [];
      own.play(second + 1, second + seconds, (nowMs) => {
        controller.sync(spec, nowMs);
        if (counts.at(-1) !== of()) counts.push(of());
      });
      second += seconds;
      return counts;
    },
    serving: () => all().filter(isServing).length,
    newest: () => {
      const newest = Math.max(...all().map(({ revision }) => revision));
      return all().filter((pod) => pod.revision === newest && !isDeleting(pod)).length;
    },
  };
}

describe("a Deployment", () => {
  test("creates and deletes at once what the spec asks for", () => {
    const { run } = controlled({ replicas: 2 });
    expect(run(5, 20)).toEqual([5]);
    expect(run(1, 20)).toEqual([1]);
  });
  test("deletes what is least far, then what is youngest", () => {
    const { run, pods } = controlled({ replicas: 2 });
    const before = pods.all().map(({ name }) => name);
    run(4, 12);
    run(5, 2);
    run(3, 3);
    expect(pods.all().map(({ phase }) => phase)).toEqual(["ready", "ready", "ready"]);
    expect(
      pods
        .all()
        .slice(0, 2)
        .map(({ name }) => name),
    ).toEqual(before);
    run(1, 3);
    expect(before).toContain(pods.all()[0]?.name ?? "");
  });
  test("deletes one that has just become ready again before an older one", () => {
    const { run, pods } = controlled({ replicas: 2 });
    const [first, second] = pods.all();
    run(2, 5);
    if (first !== undefined) pods.crash(first, 5_000);
    run(2, 15);
    run(1, 3);
    expect(pods.all()).toEqual(second === undefined ? [] : [second]);
  });
  test("shares a new count out by the largest first", () => {
    const { run, controller, pods } = controlled({
      replicas: 8,
      maxSurge: "50%",
      maxUnavailable: "50%",
    });
    controller.rollOut();
    // Of the old ones four are left, and eight are new.
    run(8, 3);
    const of = (revision: number) =>
      pods.all().filter((pod) => pod.revision === revision && !isDeleting(pod)).length;
    expect([of(0), of(1)]).toEqual([4, 8]);
    run(5, 1);
    // 5 and its surge of 3: of 12, two thirds are new, rounded.
    expect([of(0), of(1)]).toEqual([3, 5]);
  });
  test("gives a new count to the old template where the new one has no pod yet", () => {
    const { run, controller, pods } = controlled({ replicas: 4 });
    controller.rollOut();
    run(10, 1);
    expect(pods.all().map(({ revision }) => revision)).toEqual(Array.from({ length: 10 }, () => 0));
  });
  test("takes back what the new template has above a new count", () => {
    const { run, controller, pods } = controlled({ replicas: 8, maxSurge: 3, maxUnavailable: 0 });
    const of = (revision: number) =>
      pods.all().filter((pod) => pod.revision === revision && !isDeleting(pod)).length;
    controller.rollOut();
    while (of(1) < 8) run(8, 1);
    expect(of(0)).toBe(2);
    run(6, 1);
    expect([of(0), of(1)]).toEqual([2, 7]);
    run(6, 1);
    expect([of(0), of(1)]).toEqual([2, 6]);
  });
  test("takes from the older templates together no more than may go", () => {
    const {
      run,
      controller,
      serving: served,
    } = controlled({
      replicas: 9,
      maxSurge: 3,
      maxUnavailable: 0,
    });
    controller.rollOut();
    run(9, 14);
    controller.rollOut();
    let least = 9;
    run(9, 100, () => {
      least = Math.min(least, served());
      return 0;
    });
    expect([least, served()]).toEqual([9, 9]);
  });
  test("has pods of one, whatever the size of groups", () => {
    const { run, pods } = controlled({ replicas: 1, groupSize: 3 });
    run(1, 1);
    expect(pods.all().map(({ devices }) => devices.length)).toEqual([1]);
  });
  test("rolls out within its surge and what may be unavailable", () => {
    const {
      run,
      controller,
      serving: served,
    } = controlled({
      replicas: 8,
      maxSurge: "25%",
      maxUnavailable: "25%",
    });
    controller.rollOut();
    expect(Math.max(...run(8, 1))).toBeLessThanOrEqual(10);
    let least = 8;
    const counts = run(8, 60, () => {
      least = Math.min(least, served());
      return controller.statusReplicas();
    });
    expect(Math.max(...counts)).toBe(10);
    expect(counts.at(-1)).toBe(8);
    expect(least).toBe(6);
  });
  test("rolls out with surge alone where nothing may be unavailable", () => {
    const {
      run,
      controller,
      serving: served,
      newest,
    } = controlled({
      replicas: 4,
      maxSurge: 1,
      maxUnavailable: 0,
    });
    controller.rollOut();
    run(4, 1);
    let least = 4;
    const counts = run(4, 90, () => {
      least = Math.min(least, served());
      return controller.statusReplicas();
    });
    expect([Math.max(...counts), counts.at(-1), least, newest()]).toEqual([5, 4, 4, 4]);
  });
  test("rolls out one at a time where percentages round to nothing", () => {
    const {
      run,
      controller,
      serving: served,
      newest,
    } = controlled({
      replicas: 3,
      maxSurge: 0,
      maxUnavailable: "10%",
    });
    controller.rollOut();
    run(3, 1);
    let least = 3;
    const counts = run(3, 90, () => {
      least = Math.min(least, served());
      return controller.statusReplicas();
    });
    expect([Math.max(...counts), least, newest()]).toEqual([3, 2, 3]);
  });
  test("shares a new count out over both templates, surge and all", () => {
    const { run, controller, pods } = controlled({
      replicas: 8,
      maxSurge: "25%",
      maxUnavailable: 0,
    });
    controller.rollOut();
    run(8, 3);
    expect(controller.statusReplicas()).toBe(10);
    run(12, 1);
    const of = (revision: number) =>
      pods.all().filter((pod) => pod.revision === revision && !isDeleting(pod)).length;
    // 8 and 2 of 10, of 15: the largest takes what rounding leaves.
    expect([of(0), of(1)]).toEqual([12, 3]);
    run(6, 1);
    expect(controller.statusReplicas()).toBe(8);
    run(0, 1);
    expect(controller.statusReplicas()).toBe(0);
  });
  test("of Recreate waits until the old ones are gone", () => {
    const {
      run,
      controller,
      serving: served,
    } = controlled({ replicas: 2, strategy: "Recreate" }, { arriveMs: [0] });
    run(2, 1);
    controller.rollOut();
    expect(run(2, 30)).toEqual([0, 2]);
    expect(served()).toBe(2);
  });
  test("creates no more than the quota allows, and goes on when it may", () => {
    const { run } = controlled({ replicas: 2 }, { cluster: { podQuota: 3 } });
    expect(run(6, 5)).toEqual([3]);
  });
});

describe("a StatefulSet", () => {
  const ordered = { kind: "StatefulSet", podManagement: "OrderedReady" } as const;
  test("creates one after the other, each when the one before serves", () => {
    const { run, serving: served } = controlled({ ...ordered, replicas: 1 });
    expect(run(3, 40)).toEqual([2, 3]);
    expect(served()).toBe(3);
  });
  test("ends one after the other, the highest first, and counts those that end", () => {
    const { run, pods } = controlled({ ...ordered, replicas: 4 }, { arriveMs: [0, 0, 0, 0] });
    run(4, 1);
    expect(run(2, 8)).toEqual([4]);
    expect(
      pods
        .all()
        .filter(isDeleting)
        .map(({ ordinal }) => ordinal),
    ).toEqual([3]);
    expect(run(2, 20)).toEqual([4, 3, 2]);
    expect(pods.all().map(({ ordinal }) => ordinal)).toEqual([0, 1]);
  });
  test("does both at once in parallel", () => {
    const { run } = controlled({ ...ordered, podManagement: "Parallel", replicas: 1 });
    expect(run(5, 20)).toEqual([5]);
    expect(run(2, 20)).toEqual([5, 2]);
  });
  test("replaces its pods from the highest down, each when the one before serves", () => {
    const { run, controller, pods, serving: served } = controlled({ ...ordered, replicas: 3 });
    controller.rollOut();
    let least = 3;
    run(3, 80, () => {
      least = Math.min(least, served());
      return 0;
    });
    expect(least).toBe(2);
    expect(pods.all().map(({ revision }) => revision)).toEqual([1, 1, 1]);
    expect(pods.all().map(({ ordinal }) => ordinal)).toEqual([2, 1, 0]);
  });
});

test("a LeaderWorkerSet counts groups, whose pods all need devices", () => {
  const { run, pods } = controlled(
    { kind: "LeaderWorkerSet", groupSize: 3, replicas: 1 },
    { cluster: { nodes: 4, gpusPerNode: 2 } },
  );
  expect(run(3, 20)).toEqual([3]);
  expect(pods.all().map(({ phase }) => phase)).toEqual(["ready", "ready", "pending"]);
  expect(pods.all().map(({ devices }) => devices.length)).toEqual([3, 3, 0]);
});
