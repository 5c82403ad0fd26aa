import { describe, expect, test } from "bun:test";
import type { ParsedTrigger } from "#answer/answer.ts";
import { byObject, deletionPlanner } from "#answer/deletion-planner.ts";
import {
  deletionCostCheckMs,
  deletionCostSpacingMs,
  deletionCostsPerCheck,
  deletionCostsPerWorkload,
} from "#core/limits.ts";
import { parseTrigger } from "#trigger/trigger.ts";
import type { Pod } from "#workload/pod.ts";
import type { Workload } from "#workload/workload.ts";
import { held, host, inCluster, llm, pod, workload } from "./cluster.ts";
import { type Page, serving, withEngines } from "./engines.ts";

const concurrency = { metricType: "concurrency", targetValue: "10" };

const asked = (metadata: Readonly<Record<string, string>>, name = "llm"): ParsedTrigger => ({
  ref: { ...llm, name },
  trigger: parseTrigger(metadata),
});

/** Requests in an engine: all that it shows. */
const busy = (requests: number): Page => ({
  concurrency: requests,
  activity: requests,
  queue_depth: 0,
});

/** Pods of a ReplicaSet, each with its load; costs are kept as a cluster would. */
function replicaSet(
  first: readonly number[],
  changes: Partial<Workload> = {},
  of: Partial<Pod> = { inReplicaSet: true },
) {
  let loads = first;
  const costs = new Map<string, Pod["deletionCost"]>();
  const names = first.map((_load, index) => `llm-${index}`);
  const state = () => ({
    pods: loads.map((_load, index) =>
      serving(index, { ...of, deletionCost: costs.get(`llm-${index}`) }),
    ),
    pages: Object.fromEntries(loads.map((load, index) => [`10.0.0.${index}`, busy(load)])),
    workload: { replicas: loads.length, ...changes },
  });
  const cluster = withEngines(state());
  const { answers, workloads, clock } = cluster;
  const update = () => cluster.become(state());
  const planner = () => {
    const { next } = deletionPlanner({ answers, workloads, clock });
    return (...triggers: readonly ParsedTrigger[]) => {
      const all = next(byObject(triggers.length === 0 ? [asked(concurrency)] : triggers));
      for (const { pod: changed, cost } of all)
        costs.set(changed.name, { value: cost, isOwn: true });
      update();
      return all.map(({ pod: { name }, cost }) => [name, cost]);
    };
  };
  return {
    ...cluster,
    planner,
    costs: () => names.map((name) => costs.get(name)?.value),
    become: (next: readonly number[]) => {
      loads = next;
      update();
    },
    set: (name: string, value: number) => {
      costs.set(name, { value, isOwn: false });
      update();
    },
  };
}

describe("before a scale-in", () => {
  test("pods get costs in the order of what runs and waits in their engines", () => {
    const { planner, costs } = replicaSet([9, 0, 3, 1]);
    expect(planner()()).toHaveLength(3);
    expect(costs()).toEqual([8, undefined, 5, 2]);
  });

  test("a value that soon would bring it is near enough", () => {
    const near = replicaSet([20, 1]);
    // Of 10 for each replica 21 is too many for one, and 10.5 is not, with 5 % less.
    expect(near.planner()()).toEqual([]);
    near.become([9.5, 1]);
    expect(near.planner()()).not.toEqual([]);
  });

  test.each<[string, readonly number[], Partial<Workload>]>([
    ["the replicas have enough to do", [20, 10, 0], {}],
    ["there are as few replicas as may be", [9, 0, 1], { minReplicas: 3 }],
    ["it is a ScaledJob", [9, 0, 1], { kind: "ScaledJob" }],
  ])("nothing changes where %s", (_what, loads, changes) => {
    expect(replicaSet(loads, changes).planner()()).toEqual([]);
  });

  test("nothing changes where the last replica would go, with a pod that is one too many beside it", () => {
    const idle = asked({ metricType: "queue_depth", targetValue: "5" });
    expect(replicaSet([9, 0], { minReplicas: 0, replicas: 1 }).planner()(idle)).toEqual([]);
    expect(replicaSet([9, 0], { minReplicas: 0, replicas: 2 }).planner()(idle)).toHaveLength(1);
  });

  test("nothing changes where no ReplicaSet chooses", () => {
    expect(replicaSet([9, 0, 1], {}, {}).planner()()).toEqual([]);
  });

  test("every trigger of the object has a say, and one without a value holds all", () => {
    const { planner } = replicaSet([9, 0, 1]);
    const idle = asked({ metricType: "queue_depth", targetValue: "5" });
    const full = asked({ metricType: "concurrency", targetValue: "1" });
    const silent = asked({ metricType: "kv_cache_usage", targetValue: "80" });
    const next = planner();
    expect(next(idle, full)).toEqual([]);
    expect(next(idle, silent)).toEqual([]);
    expect(next(idle)).not.toEqual([]);
  });

  test("a pod whose load is not known keeps what it has, and so does one that is starting", () => {
    const own = { inReplicaSet: true };
    const { answers, workloads, clock } = withEngines({
      pods: [
        serving(0, own),
        serving(1, own),
        serving(2, own),
        serving(3, { ...own, state: "warming" }),
      ],
      pages: { "10.0.0.0": busy(8), "10.0.0.1": busy(1), "10.0.0.2": { concurrency: 8 } },
    });
    const { next } = deletionPlanner({ answers, workloads, clock });
    const names = next([[asked(concurrency)]]).map((one) => one.pod.name);
    expect(names).toEqual(["llm-0", "llm-1"]);
  });

  test("devices tell what pods have to do where no engine is read", () => {
    const own = { inReplicaSet: true };
    const { answers, workloads, clock } = inCluster({
      nodes: [host("a", [held("x", 40), held("y", 0), held("z", 5)])],
      pods: [pod("x", own), pod("y", own), pod("z", own)],
      average: ({ uuid }) => ({ "GPU-x": 30, "GPU-y": 0, "GPU-z": 4 })[uuid],
    });
    const { next } = deletionPlanner({ answers: answers(), workloads, clock });
    const changes = next([[asked({ metricType: "gpu_utilization", targetValue: "80" })]]);
    expect(changes.map(({ pod: { name }, cost }) => [name, cost])).toEqual([
      ["x", 12],
      ["z", 6],
    ]);
  });
});

describe("changes of costs", () => {
  test("wait for their time, and for a wrong order", () => {
    const { planner, become, pass } = replicaSet([9, 0]);
    const next = planner();
    expect(next()).toEqual([["llm-0", 8]]);
    become([0, 9]);
    pass(deletionCostSpacingMs - 1);
    expect(next()).toEqual([]);
    pass(1);
    expect(next()).toEqual([
      ["llm-1", 8],
      ["llm-0", 0],
    ]);
    become([0, 4]);
    pass(10 * deletionCostSpacingMs);
    expect(next()).toEqual([]);
  });

  test("of one replica of the scaler are time for the other too", () => {
    const { planner, become, pass } = replicaSet([9, 0]);
    const [one, other] = [planner(), planner()];
    expect(other()).toHaveLength(1);
    pass(deletionCostSpacingMs);
    become([0, 9]);
    expect(one()).toHaveLength(2);
    expect(other()).toEqual([]);
    become([9, 0]);
    pass(deletionCostSpacingMs - 1);
    expect(other()).toEqual([]);
    pass(1);
    expect(other()).toHaveLength(2);
    expect(one()).toEqual([]);
  });

  test("leave what somebody else has set, then and later", () => {
    const { planner, set, pass, costs } = replicaSet([9, 0, 5]);
    set("llm-2", -100);
    const next = planner();
    expect(next()).toEqual([["llm-0", 8]]);
    set("llm-0", 1);
    pass(10 * deletionCostSpacingMs);
    next();
    pass(10 * deletionCostSpacingMs);
    expect(next()).toEqual([]);
    expect(costs()).toEqual([1, undefined, -100]);
  });

  test("of a large workload come in parts, the busiest pods first", () => {
    const size = 3 * deletionCostsPerWorkload;
    const loads = Array.from({ length: size }, (_none, index) => (index % 2 === 0 ? 4 : 0.5));
    const { planner, pass, costs } = replicaSet(loads);
    const next = planner();
    expect(next().every(([, cost]) => cost === 6)).toBe(true);
    pass(deletionCostCheckMs);
    expect(next()).toHaveLength(deletionCostsPerWorkload);
    expect(costs().filter((cost) => cost === 6)).toHaveLength(size / 2);
    // The rest have less to do and cost nothing yet: that is the right order.
    pass(deletionCostCheckMs);
    expect(next()).toEqual([]);
  });

  test("of all workloads have one limit, and take turns", () => {
    const size = 3 * deletionCostsPerWorkload;
    const pods = (name: string) =>
      Array.from({ length: size }, (_none, index) =>
        pod(`${name}-${index}`, { inReplicaSet: true }),
      );
    const engines = (name: string) =>
      pods(name).map((one, index) => ({
        target: "",
        pod: one.name,
        activity: index === 0 ? 0 : 5,
      }));
    let nowMs = 0;
    const { next } = deletionPlanner({
      answers: {
        value: ({ name }) => ({
          value: 1,
          explanation: {
            metric: "concurrency",
            scope: "workload",
            rule: "",
            devices: [],
            engines: engines(name),
          },
        }),
      },
      workloads: { of: (_namespace, name) => workload({ pods: pods(name) }) },
      clock: { monotonicMs: () => nowMs },
    });
    const changed = () => {
      const all = next(["a", "b", "c", "d"].map((name) => [asked(concurrency, name)]));
      return all.map(({ pod: { name } }) => name.slice(0, 1)).join("");
    };
    const full = (name: string) => name.repeat(deletionCostsPerWorkload);
    expect(changed()).toBe(full("a") + full("b"));
    expect(changed()).toBe("");
    // What all may have comes back little by little. None of the costs is ever written here, so who
    // has had a turn finds other costs than its own, and waits.
    nowMs = deletionCostCheckMs / 2;
    expect(changed()).toBe("c".repeat(deletionCostsPerCheck / 2));
    nowMs = 2 * deletionCostCheckMs;
    expect(changed()).toBe(full("d"));
  });
});
