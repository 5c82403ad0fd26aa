import { describe, expect, test } from "bun:test";
import { missingGraceMs } from "#core/limits.ts";
import { type ClusterState, held, host, inCluster, pod } from "./cluster.ts";
import { expectFault } from "./faults.ts";

type Metadata = Readonly<Record<string, string>>;
const ask = (state: ClusterState, metadata: Metadata) => inCluster(state).activity(metadata);

const loaded = (...percents: readonly number[]): ClusterState => ({
  nodes: [
    host(
      "a",
      percents.map((percent, index) => held(`p${index}`, percent)),
    ),
  ],
  pods: percents.map((_, index) => pod(`p${index}`)),
});
const drawing = (...watts: readonly number[]): ClusterState => {
  const { pods = [] } = loaded(...watts);
  const devices = watts.map((each, index) =>
    held(`p${index}`, 0, {
      readings: { utilizationPercent: 0, powerAverageMilliwatts: each * 1000 },
    }),
  );
  return { nodes: [host("a", devices)], pods };
};
const withLost = ({ pods = [], ...rest }: ClusterState): ClusterState => ({
  ...rest,
  pods: [...pods, pod("lost", { node: "far" })],
});
const watts = { metricType: "power_draw", targetValue: "300" };

describe("a workload is", () => {
  test.each<[string, ClusterState, Metadata, boolean]>([
    [
      "active while a pod that is being deleted still serves",
      { ...loaded(0), workload: { drainingPods: 1 } },
      {},
      true,
    ],
    [
      "inactive while such pods go because the count was set to 0",
      { ...loaded(0), workload: { drainingPods: 1, isAtZero: true } },
      {},
      false,
    ],
    [
      "active above 0, whatever the count may be by now",
      { ...loaded(1), workload: { drainingPods: 1, isAtZero: undefined } },
      {},
      true,
    ],
    ["active above 0", loaded(0, 1), {}, true],
    ["inactive at 0", loaded(0, 0), {}, false],
    [
      "inactive at the threshold, by its busiest replica",
      loaded(5, 5, 5),
      { activationThreshold: "5" },
      false,
    ],
    [
      "active above it, by its busiest replica",
      loaded(0, 0, 6),
      { activationThreshold: "5" },
      true,
    ],
    [
      "active by the total of a quantity",
      drawing(40, 70),
      { ...watts, activationThreshold: "100" },
      true,
    ],
    ["inactive at that total", drawing(40, 60), { ...watts, activationThreshold: "100" }, false],
    [
      "active by another metric",
      drawing(40, 70),
      { activationMetricType: "power_draw", activationThreshold: "100" },
      true,
    ],
    ["active by what is known, though a replica is missing", withLost(loaded(1)), {}, true],
    ["active though most replicas are missing", withLost(withLost(loaded(1))), {}, true],
    ["inactive without pods", {}, {}, false],
    ["active while all of it is starting", { pods: [pod("x", { state: "warming" })] }, {}, true],
    [
      "inactive when one replica is idle and others are starting",
      { ...loaded(0), pods: [pod("p0"), pod("x", { state: "warming" })] },
      {},
      false,
    ],
    [
      "active whatever its load, with a profile that says so",
      loaded(0),
      { profile: "training" },
      true,
    ],
    [
      "active whatever is missing, with such a profile",
      withLost({}),
      { profile: "training" },
      true,
    ],
  ])("%s", (_what, state, metadata, expected) => {
    expect(ask(state, metadata).active).toBe(expected);
  });

  test("never inactive while a replica is missing: first unknown, after the grace in use", () => {
    const cluster = inCluster(withLost(loaded(0, 0)));
    for (let passedMs = 0; passedMs < missingGraceMs; passedMs += 30_000) {
      const parts = ["could be in use", "pod lost: no agent reports node far"];
      expectFault(cluster.activity, "data-missing", ...parts);
      cluster.pass(30_000);
    }
    cluster.pass(1);
    const { active, explanation } = cluster.activity();
    expect(active).toBe(true);
    expect(explanation.rule).toBe("active: missing for long and so counted as in use: 1");
  });

  test("unknown while pods that still serve may go because the count was set to 0", () => {
    const cluster = inCluster({ ...loaded(0), workload: { drainingPods: 2, isAtZero: undefined } });
    const parts = ["2 pods that are being deleted still serve", "may be 0 by now"];
    expectFault(cluster.activity, "workload-syncing", ...parts);
  });

  test("active by the newest reading, however long the window of its value is", () => {
    const state = { ...loaded(0, 40), average: () => 0 };
    const window = { windowSeconds: "600" };
    expect(ask(state, window).active).toBe(true);
    expect(ask(state, window).explanation.rule).toContain("newest readings");
    expect(inCluster(state).value(window).value).toBe(0);
  });

  test("active while replicas are asked for and none is there", () => {
    const { active, explanation } = ask({ workload: { replicas: 4, statusReplicas: 0 } }, {});
    expect(active).toBe(true);
    expect(explanation.rule).toBe("active: 4 replicas are asked for, and no pod is there yet");
  });

  test("explained", () => {
    const { explanation } = ask(loaded(5, 6), { activationThreshold: "5.5" });
    expect(explanation.rule).toBe(
      "max over 2 of 2 replicas of the max of gpu_utilization in % over a pod's devices, newest " +
        "readings: 6, above the activation threshold 5.5",
    );
    expect(explanation.workload?.pods.map(({ value }) => value)).toEqual([5, 6]);
  });

  test.each<[number, string]>([
    [5, ": 5, not above the activation threshold 5"],
    [6, ": 6, above the activation threshold 5"],
  ])("explained by its one replica at %d", (percent, outcome) => {
    const { explanation } = ask(loaded(percent), { activationThreshold: "5" });
    expect(explanation.rule).toEndWith(outcome);
  });
});
