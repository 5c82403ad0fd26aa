import { describe, expect, test } from "bun:test";
import type { FaultCode } from "#core/fault.ts";
import { holdersStaleMs, missingGraceMs } from "#core/limits.ts";
import type { FleetDevice, FleetNode } from "#fleet/view.ts";
import type { Pod } from "#workload/pod.ts";
import { type ClusterState, held, holder, host, inCluster, llm, pod } from "./cluster.ts";
import { expectFault } from "./faults.ts";
import { gpu, nowMs } from "./fleet.ts";

type Metadata = Readonly<Record<string, string>>;
const ask = (state: ClusterState, metadata: Metadata = {}) => inCluster(state).value(metadata);
const pods = (...names: readonly string[]) => names.map((name) => pod(name));
const warm = (name: string) =>
  pod(name, { state: "warming", containers: [{ name: "server", ready: false, ports: [] }] });
const unready: Partial<Pod> = { containers: [{ name: "server", ready: false, ports: [] }] };
const three = (...loads: readonly [number, number, number]): FleetNode[] => [
  host("a", [held("x", loads[0]), held("y", loads[1]), held("z", loads[2])]),
];
const byValue = { metricType: "Value" as const };

describe("three replicas at 92 %", () => {
  const state = { nodes: three(92, 92, 92), pods: pods("x", "y", "z") };

  test("add up to 276, and the HPA asks for four", () => {
    const { value, explanation } = ask(state);
    expect(value).toBe(276);
    expect(explanation.workload?.desiredReplicas).toBe(4);
  });
  test("stay 276 while the fourth loads", () => {
    const { value, explanation } = ask({ ...state, pods: [...state.pods, warm("w")] });
    expect(value).toBe(276);
    expect(explanation.workload?.desiredReplicas).toBe(4);
  });
  test("are 92 under Value, and the HPA asks for four", () => {
    const { value, explanation } = ask({ ...state, workload: byValue });
    expect(value).toBe(92);
    expect(explanation.workload?.desiredReplicas).toBe(4);
  });
});

test("under Value the HPA multiplies by the pods of which every container is ready", () => {
  const sidecar = (ready: boolean) => ({ name: "sidecar", ready, ports: [] });
  const withSidecar = (name: string, ready: boolean) =>
    pod(name, { containers: [{ name: "server", ready: true, ports: [] }, sidecar(ready)] });
  const three = ["x", "y", "z"];
  const nodes = [
    host(
      "a",
      three.map((name) => held(name, 100)),
    ),
  ];
  const desired = (...ready: readonly boolean[]) => {
    const pods = three.map((name, at) => withSidecar(name, ready[at] === true));
    return ask({ nodes, pods, workload: byValue }).explanation.workload?.desiredReplicas;
  };
  expect(desired(true, true, true)).toBe(4);
  expect(desired(true, true, false)).toBe(3);
});

describe("value() is", () => {
  const several = [
    host("a", [
      held("x", 10, { index: 0, uuid: "GPU-0" }),
      held("x", 60, { index: 1, uuid: "GPU-1" }),
    ]),
    host("b", [held("y", 30)]),
  ];
  const spread = pods("x");
  const two = [...spread, pod("y", { node: "b" })];
  test.each<[string, ClusterState, Metadata, number]>([
    ["the maximum inside a replica, then the sum", { nodes: several, pods: two }, {}, 90],
    ["another reduction inside", { nodes: several, pods: two }, { aggregation: "min" }, 40],
    [
      "another reduction over replicas",
      { nodes: several, pods: two },
      { replicaAggregation: "max" },
      60,
    ],
    [
      "the mean over replicas where the metadata asks for it",
      { nodes: several, pods: two },
      { replicaAggregation: "avg" },
      45,
    ],
    [
      "the 95th percentile over replicas",
      { nodes: three(10, 30, 20), pods: pods("x", "y", "z") },
      { replicaAggregation: "p95" },
      30,
    ],
    [
      "the mean under Value",
      { nodes: several, pods: two, workload: byValue },
      { aggregation: "sum" },
      50,
    ],
    ["of one index", { nodes: several, pods: spread }, { gpuIndex: "0" }, 10],
    ["a true 0 of idle replicas", { nodes: three(0, 0, 0), pods: pods("x", "y") }, {}, 0],
    ["0 without pods", { nodes: several }, {}, 0],
    ["of its own pods alone", { nodes: three(10, 99, 99), pods: pods("x") }, {}, 10],
    [
      "not of a pod of that name in another namespace",
      {
        nodes: [
          host("a", [
            held("x", 10),
            gpu({
              index: 1,
              readings: { utilizationPercent: 99 },
              holders: [holder("x", { namespace: "other" })],
            }),
          ]),
        ],
        pods: pods("x"),
      },
      {},
      10,
    ],
    [
      "whole beside an ended pod or a monitor that the kubelet names too",
      {
        nodes: [
          host("a", [
            gpu({
              readings: { powerAverageMilliwatts: 300_000 },
              holders: [holder("ended"), holder("x"), holder("monitor")],
            }),
          ]),
        ],
        pods: pods("x"),
      },
      { metricType: "power_draw", targetValue: "300" },
      300,
    ],
    [
      "of its new node when a pod of the same name has moved",
      {
        nodes: [host("a", [held("x", 99)]), host("b", [held("x", 20)])],
        pods: [pod("x", { node: "b" })],
      },
      {},
      20,
    ],
    [
      "of the container that the metadata names",
      {
        nodes: [
          host("a", [
            held("x", 20),
            held("x", 90, { uuid: "GPU-2", holders: [holder("x", { container: "other" })] }),
          ]),
        ],
        pods: pods("x"),
      },
      { container: "server" },
      20,
    ],
    [
      "with a replica that lost readiness, for it is overloaded",
      { nodes: three(100, 100, 100), pods: [...pods("x", "y"), pod("z", unready)] },
      {},
      300,
    ],
    [
      "0 below freezing",
      {
        nodes: [host("a", [held("x", 0, { readings: { temperatureCelsius: -5 } })])],
        pods: pods("x"),
      },
      { metricType: "temperature", targetValue: "80" },
      0,
    ],
  ])("%s", (_what, state, metadata, expected) => {
    expect(ask(state, metadata).value).toBe(expected);
  });

  test("over a window the mean of each device", () => {
    const state = { nodes: three(90, 90, 90), pods: pods("x", "y"), average: () => 30 };
    const { value, explanation } = ask(state, { windowSeconds: "1" });
    expect(value).toBe(60);
    expect(explanation.rule).toEndWith("means over 1 s: 60");
  });

  test("known until the kubelet has said nothing for longer than its limit", () => {
    const holdersAtMs = nowMs - holdersStaleMs;
    const state = { nodes: [host("a", [held("x", 40)], { holdersAtMs })], pods: pods("x") };
    expect(ask(state).value).toBe(40);
  });

  test("of a shared device: in equal parts for each holder what is a part of it, and whole what is not", () => {
    const readings = {
      utilizationPercent: 90,
      powerAverageMilliwatts: 300_000,
      temperatureCelsius: 70,
    };
    const holders = ["x", "y", "stranger"].map((name) => holder(name, { sharedBy: 3 }));
    const state = {
      nodes: [host("a", [gpu({ readings, holders })])],
      pods: pods("x", "y"),
    };
    expect(ask(state).value).toBe(60);
    expect(ask(state).explanation.rule).toContain("its equal part");
    expect(ask(state).explanation.warnings?.map(({ code }) => code)).toEqual(["shared-device"]);
    const temperature = ask(state, { metricType: "temperature", targetValue: "80" });
    expect(temperature.value).toBe(140);
    expect(temperature.explanation.rule).toContain("a shared one counting whole for each holder");
    const power = ask(state, { metricType: "power_draw", targetValue: "80" });
    expect(power.value).toBe(200);
    expect(power.explanation.rule).toContain("its equal part");
    expect(power.explanation.devices).toMatchObject([
      { pod: "x", value: 100, sharedBy: 3 },
      { pod: "y", value: 100, sharedBy: 3 },
    ]);
  });

  describe("of a shared device whose node tells processes apart", () => {
    const readings = {
      utilizationPercent: 90,
      memoryUsedBytes: 40e9,
      memoryTotalBytes: 80e9,
      memoryUtilizationPercent: 30,
      encoderPercent: 10,
      powerAverageMilliwatts: 300_000,
      temperatureCelsius: 70,
    };
    const holders = ["x", "y"].map((name) => holder(name, { sharedBy: 2 }));
    const uses = {
      smPercent: new Map([["uid-x", 0.8]]),
      memoryUsedBytes: new Map([
        ["uid-x", 0.25],
        ["uid-y", 0.75],
      ]),
      encoderPercent: new Map([["uid-y", 1]]),
    };
    const nodes = [host("a", [gpu({ readings, holders, uses })])];
    const valuesOf = (metadata: Metadata, more: Partial<ClusterState> = {}) =>
      ask({ nodes, pods: pods("x", "y"), ...more }, metadata).explanation.workload?.pods.map(
        ({ value }) => value,
      );
    const metric = (metricType: string, more: Metadata = {}) => ({
      metricType,
      targetValue: "80",
      ...more,
    });

    test.each<[string, readonly [number, number]]>([
      ["gpu_utilization", [72, 0]],
      ["memory_used_percent", [12.5, 37.5]],
      ["encoder_utilization", [0, 10]],
      ["power_draw", [240, 0]],
      ["memory_utilization", [15, 15]],
      ["temperature", [70, 70]],
    ])("%s: each holder has its own part, and one that is idle nothing", (metricType, values) => {
      expect(valuesOf(metric(metricType))).toEqual([...values]);
    });

    test("says which parts are whose own, and warns of equal ones alone", () => {
      const own = ask({ nodes, pods: pods("x", "y") }).explanation;
      expect(own.rule).toContain(
        "each holder of a shared one counting the part that its processes use,",
      );
      expect(own.devices).toMatchObject([
        { pod: "x", part: 0.8 },
        { pod: "y", part: 0 },
      ]);
      expect(own.warnings).toBeUndefined();
      const equal = ask({ nodes, pods: pods("x", "y") }, metric("memory_utilization")).explanation;
      expect(equal.rule).toContain("its equal part");
      expect(equal.warnings?.map(({ code }) => code)).toEqual(["shared-device"]);
      const some = [
        ...nodes,
        host("b", [gpu({ readings, holders: [holder("z", { sharedBy: 2 })] })]),
      ];
      const mixed = { nodes: some, pods: [...pods("x"), pod("z", { node: "b" })] };
      expect(ask(mixed).explanation.rule).toContain("its processes use (1 of 2, else equal),");
      expect(ask(mixed).explanation.warnings?.map(({ code }) => code)).toEqual(["shared-device"]);
    });

    test("over a window: the part is the newest one of the mean", () => {
      const average = () => 50;
      const asked = { windowSeconds: "60" };
      expect(valuesOf(asked, { average })).toEqual([40, 0]);
      expect(ask({ nodes, pods: pods("x"), average }, asked).explanation.rule).toContain(
        "its processes use now, means over 60 s",
      );
    });

    test("is active for those alone that use it", () => {
      const active = (name: string) => inCluster({ nodes, pods: pods(name) }).activity().active;
      expect([active("x"), active("y")]).toEqual([true, false]);
    });

    test("a pod that has another's name has not its part", () => {
      const again = [pod("x", { uid: "uid-of-the-next-x" })];
      expect(ask({ nodes, pods: again }).value).toBe(0);
    });
  });

  test("of a shared device beside a whole one, each by its own rule", () => {
    const readings = { utilizationPercent: 80, powerAverageMilliwatts: 300_000 };
    const shared = ["x", "y"].map((name) => holder(name, { sharedBy: 2 }));
    const devices = [
      gpu({ readings, holders: shared }),
      gpu({ index: 1, readings, holders: [holder("x")] }),
    ];
    const power = ask(
      { nodes: [host("a", devices)], pods: pods("x", "y") },
      { metricType: "power_draw", targetValue: "300", aggregation: "sum" },
    );
    expect(power.value).toBe(150 + 300 + 150);
    expect(power.explanation.rule).toContain("its equal part");
  });

  describe("of a part of a GPU, of power that the GPU alone tells,", () => {
    const whole = gpu({ readings: { powerAverageMilliwatts: 400_000, memoryTotalBytes: 200 } });
    const part = (changes: Partial<FleetDevice>) =>
      gpu({ index: 1, parentUuid: whole.uuid, readings: {}, holders: [holder("x")], ...changes });
    const asked = (changes: Partial<FleetDevice>) => () =>
      ask(
        { nodes: [host("a", [whole, part(changes)])], pods: pods("x") },
        { metricType: "power_draw", targetValue: "300" },
      );

    test("as much as it has of the memory", () => {
      expect(asked({ readings: { memoryTotalBytes: 25 } })().value).toBe(50);
    });

    test("nothing where its memory never is known", () => {
      const absences = { memoryTotalBytes: "unsupported" } as const;
      expectFault(asked({ absences }), "metric-unsupported", "power_draw");
    });

    test("nothing now where its memory may not be read, and the message says which reading", () => {
      const absences = { memoryTotalBytes: "not-permitted" } as const;
      const what = `its part of GPU ${whole.uuid} is not known: memoryTotalBytes is not-permitted`;
      expectFault(asked({ absences }), "data-missing", what);
    });
  });

  test("asked of the workload's view with the metadata that came and the narrowing", () => {
    const cluster = inCluster({ nodes: three(1, 1, 1), pods: pods("x") });
    cluster.value({ podSelector: "app=llm", container: "server" });
    const narrowing = { podSelector: "app=llm", container: "server" };
    expect(cluster.lookUps).toEqual([["ml", "llm", llm.scalerMetadata, narrowing]]);
  });
});

describe("a pod that requests no device beside others that do", () => {
  const asking = (name: string) => pod(name, { requestsDevice: true });

  test("has no part in the value and the activity", () => {
    const cluster = inCluster({ nodes: three(10, 0, 0), pods: [asking("x"), pod("job")] });
    expect(cluster.value().value).toBe(10);
    const idle = inCluster({ nodes: three(0, 0, 0), pods: [asking("x"), pod("job")] });
    expect(idle.activity().active).toBe(false);
  });

  test("is missing where none of them requests one, for devices may come another way", () => {
    const { value } = ask({ nodes: three(10, 0, 0), pods: [pod("x"), pod("job")] });
    expect(value).toBe(160);
  });
});

test("a replica whose device cannot have the metric is missing beside others that have it", () => {
  const { readings: _none, ...rest } = held("x", 0);
  const mig = { ...rest, readings: {}, absences: { utilizationPercent: "unsupported" as const } };
  const cluster = inCluster({ nodes: [host("a", [mig, held("y", 30)])], pods: pods("x", "y") });
  expect(cluster.value().value).toBe(160);
  cluster.pass(missingGraceMs);
  expect(cluster.value().value).toBe(160);
  cluster.pass(1);
  expect(cluster.value().value).toBe(110);
});

test("of a group the devices of all its pods count as one replica's, each on its own node", () => {
  const nodes = [host("a", [held("lead", 20)]), host("b", [held("work", 70)])];
  const group = pod("lead", { members: [pod("work", { node: "b" })] });
  const { value, explanation } = ask({ nodes, pods: [group] });
  expect(value).toBe(70);
  expect(explanation.devices.map(({ pod: name }) => name)).toEqual(["lead", "work"]);
  const [leading] = nodes;
  expectFault(
    () => ask({ nodes: leading === undefined ? [] : [leading], pods: [group] }),
    "data-missing",
    "pod lead: no agent reports node b",
  );
});

describe("nothing is taken away for want of knowledge:", () => {
  test.each<[string, ClusterState, number, number]>([
    ["all of four replicas are starting", { pods: ["x", "y", "z", "w"].map(warm) }, 320, 4],
    ["the one replica from zero is starting", { pods: [warm("x")] }, 80, 1],
    [
      "the only ready one of four is above target",
      { nodes: three(100, 0, 0), pods: [...pods("x"), warm("w1"), warm("w2"), warm("w3")] },
      320,
      4,
    ],
    [
      "under Value, those above target have half lost readiness",
      {
        nodes: three(100, 100, 100),
        pods: [pod("x"), pod("y", unready), pod("z", unready)],
        workload: byValue,
      },
      80,
      3,
    ],
  ])("%s", (_what, state, value, desired) => {
    const answer = ask(state);
    expect(answer.value).toBe(value);
    expect(answer.explanation.workload?.desiredReplicas).toBe(desired);
    expect(answer.explanation.rule).toContain(`at which the HPA keeps ${desired}`);
  });

  test("but one that is exactly at the target is not above it, and may be all that is kept", () => {
    const { value, explanation } = ask({ nodes: three(80, 0, 0), pods: [pod("x"), warm("w")] });
    expect(value).toBe(80);
    expect(explanation.workload?.desiredReplicas).toBe(1);
  });

  test("but idle replicas beside starting ones are known, and may go", () => {
    const { value, explanation } = ask({ nodes: three(5, 0, 0), pods: [pod("x"), warm("w")] });
    expect(value).toBe(5);
    expect(explanation.workload?.desiredReplicas).toBe(1);
  });
});

describe("value() and activity() fail", () => {
  const { holdersAtMs: _never, ...mute } = host("a", [held("x", 0)]);
  const one = pods("x");
  const mig = held("x", 0, {
    readings: { memoryUsedBytes: 1, memoryTotalBytes: 2 },
    absences: { utilizationPercent: "unsupported" },
  });
  const silence = { address: "10.0.0.7:6001", node: "far", sinceMs: nowMs, reason: "refused" };
  test.each<[string, FaultCode, ClusterState, Metadata, string[]]>([
    [
      "when no pod holds a device, though all is seen",
      "devices-unheld",
      { nodes: [host("a", [held("stranger", 50)])], pods: one },
      {},
      ["ScaledObject ml/llm", "x: it holds no device on node a", "request a GPU"],
    ],
    [
      "when no pod holds a device with that index",
      "devices-unheld",
      { nodes: three(1, 1, 1), pods: one },
      { gpuIndex: "5" },
      ["no device with index 5", "gpuIndex"],
    ],
    [
      "when another container holds them",
      "devices-unheld",
      { nodes: three(1, 1, 1), pods: one },
      { container: "sidecar" },
      ["its container sidecar holds no device"],
    ],
    [
      "on a node without an agent, and name it",
      "data-missing",
      { pods: [pod("x", { node: "far" })] },
      {},
      ["0 of 1 replicas", "pod x: no agent reports node far"],
    ],
    [
      "on a silent node, and say what was tried",
      "data-missing",
      { pods: [pod("x", { node: "far" })], silent: [silence] },
      {},
      ["node far: agent 10.0.0.7:6001 refused"],
    ],
    [
      "on stale readings",
      "data-missing",
      { nodes: [host("a", [held("x", 0)], { sampledAtMs: nowMs - 5_001 })], pods: one },
      {},
      ["node a was last read 5 s ago"],
    ],
    [
      "before the kubelet has said who holds what",
      "data-missing",
      { nodes: [mute], pods: one },
      {},
      ["has not said which pods"],
    ],
    [
      "when the kubelet said so long ago",
      "data-missing",
      {
        nodes: [host("a", [held("x", 0)], { holdersAtMs: nowMs - holdersStaleMs - 1 })],
        pods: one,
      },
      {},
      ["last said 60 s ago which pods hold its devices"],
    ],
    [
      "of a pod with a lost device",
      "data-missing",
      {
        nodes: [
          host("a", [
            held("x", 0, { health: { state: "lost", reason: "gone" }, unwellSinceMs: nowMs - 1 }),
          ]),
        ],
        pods: one,
      },
      {},
      ["pod x: GPU 0 (H200, GPU-x): lost: gone"],
    ],
    [
      "when none of the pods can ever have the metric",
      "metric-unsupported",
      { nodes: [host("a", [mig])], pods: pods("x") },
      {},
      ["pod x", "memory_used_percent"],
    ],
    ["before the first full view", "fleet-syncing", { synced: false }, {}, ["waits for"]],
    ["of engine metrics", "scope-unavailable", {}, { profile: "vllm-queue-depth" }, ["engines"]],
  ])("%s", (_what, code, state, metadata, parts) => {
    const cluster = inCluster(state);
    expectFault(() => cluster.value(metadata), code, ...parts);
    expectFault(() => cluster.activity(metadata), code, ...parts);
  });
});

test("an answer explains itself: workload, pods, devices, rule, and what the HPA makes of it", () => {
  const cluster = inCluster({
    nodes: [host("a", [held("x", 50), held("y", 70)])],
    pods: [pod("x"), pod("y"), pod("gone", { node: "far" }), warm("w")],
  });
  cluster.value();
  cluster.pass(60_000);
  const identity = { node: "a", index: 0, ageMs: 400 };
  expect(cluster.value().explanation).toEqual({
    metric: "gpu_utilization",
    scope: "workload",
    rule:
      "sum over 2 of 3 replicas (1 warming) of the max of gpu_utilization in % over a pod's " +
      "devices, newest readings: 320; 120 while some are missing, sent as 320, at which the HPA " +
      "keeps 4",
    devices: [
      { ...identity, uuid: "GPU-x", pod: "x", value: 50 },
      { ...identity, uuid: "GPU-y", pod: "y", value: 70 },
    ],
    workload: {
      kind: "ScaledObject",
      metricType: "AverageValue",
      replicas: 4,
      minReplicas: 1,
      maxReplicas: 100,
      ageMs: 1_000,
      pods: [
        { name: "x", node: "a", state: "counted", value: 50 },
        { name: "y", node: "a", state: "counted", value: 70 },
        {
          name: "gone",
          node: "far",
          state: "missing",
          reason: "no agent reports node far",
          missingMs: 60_000,
        },
        { name: "w", node: "a", state: "warming" },
      ],
      desiredReplicas: 4,
    },
  });
});

test("an answer says where it is not what was measured", () => {
  const devices = [held("x", 0, { readings: { temperatureCelsius: -5 } })];
  const { explanation } = ask(
    { nodes: [host("a", devices)], pods: pods("x") },
    { metricType: "temperature", targetValue: "80" },
  );
  expect(explanation.rule).toEndWith(": 0; -5, sent as 0, for KEDA carries no negative number");
});

test("a ScaledJob has no HPA to foretell", () => {
  const state = {
    nodes: three(1, 1, 1),
    pods: pods("x"),
    workload: { kind: "ScaledJob" as const },
  };
  expect(ask(state).explanation.workload).not.toHaveProperty("desiredReplicas");
});

describe("power of MIG instances", () => {
  const powered = (watts: number) => ({
    powerFromEnergyMilliwatts: watts * 1_000,
    memoryTotalBytes: 80,
  });
  const whole = gpu({ uuid: "GPU-whole", readings: powered(400) });
  const instance = (name: string, memoryTotalBytes: number | undefined, parentUuid = "GPU-whole") =>
    gpu({
      uuid: `MIG-${name}`,
      parentUuid,
      readings: memoryTotalBytes === undefined ? {} : { memoryTotalBytes },
      holders: [holder(name)],
      absences: memoryTotalBytes === undefined ? { memoryTotalBytes: "not-permitted" } : {},
    });
  const watts = { metricType: "workload_power_watts", targetValue: "100" };

  test("is their part of what their GPU draws, by memory, and adds up to no more", () => {
    const nodes = [host("a", [whole, instance("x", 10), instance("y", 40)])];
    const { value, explanation } = ask({ nodes, pods: pods("x", "y") }, watts);
    expect(value).toBe(250);
    expect(explanation.devices.map((device) => device.value)).toEqual([50, 200]);
  });
  test("of one that several pods share is divided once more", () => {
    const shared = {
      ...instance("x", 40),
      holders: ["x", "y"].map((name) => holder(name, { sharedBy: 2 })),
    };
    expect(ask({ nodes: [host("a", [whole, shared])], pods: pods("x") }, watts).value).toBe(100);
  });
  test.each<[string, FleetNode["devices"]]>([
    ["whose GPU is not listed", [instance("x", 10)]],
    [
      "whose GPU is lost",
      [{ ...whole, health: { state: "lost", reason: "gone" } }, instance("x", 10)],
    ],
    ["whose memory is not told", [whole, instance("x", undefined)]],
  ])("of one %s is missing, and no 0", (_why, devices) => {
    expectFault(() => ask({ nodes: [host("a", devices)], pods: pods("x") }, watts), "data-missing");
  });
  test("of temperatures they have nothing", () => {
    const warm = { ...whole, readings: { ...whole.readings, temperatureCelsius: 60 } };
    const cold = { ...instance("x", 10), absences: { temperatureCelsius: "unsupported" } as const };
    const metadata = { metricType: "temperature", targetValue: "70" };
    expectFault(
      () => ask({ nodes: [host("a", [warm, cold])], pods: pods("x") }, metadata),
      "metric-unsupported",
    );
  });
});
