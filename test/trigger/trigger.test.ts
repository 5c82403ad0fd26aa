import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { metadataKeysMax } from "#core/limits.ts";
import { profileNames, profiles } from "#trigger/profiles.ts";
import { parseTrigger, type Trigger } from "#trigger/trigger.ts";
import { refusedMetadata } from "../fixtures/refused-metadata.ts";

type Metadata = Readonly<Record<string, string>>;

function problemsOf(metadata: Metadata): readonly string[] {
  try {
    parseTrigger(metadata);
  } catch (error) {
    if (error instanceof Fault && error.code === "trigger-invalid") {
      const { problems } = error.facts as { readonly problems: readonly string[] };
      for (const problem of problems) expect(error.message).toContain(problem);
      return problems;
    }
    throw error;
  }
  return [];
}

const plain: Trigger = {
  metric: "gpu_utilization",
  target: 80,
  activationMetric: "gpu_utilization",
  activationThreshold: 0,
  alwaysActive: false,
  gpuIndex: -1,
  aggregation: "max",
  windowSeconds: 0,
  pollIntervalSeconds: 10,
  metricName: "gpu-gpu-utilization",
};

describe("parseTrigger() fills in", () => {
  test.each<[string, Metadata, Partial<Trigger>]>([
    ["every default", {}, {}],
    [
      "nothing from KEDA's own keys",
      {
        scalerAddress: "keda-gpu-scaler.keda:6000",
        enableTLS: "false",
        unsafeSsl: "true",
        caCert: "-",
        tlsCertFile: "-",
        tlsClientCert: "-",
        tlsClientKey: "-",
      },
      {},
    ],
    ["a target", { targetValue: "92.5" }, { target: 92.5 }],
    ["the least target", { targetValue: "0.001" }, { target: 0.001 }],
    ["a resolved environment value", { targetValueFromEnv: "70" }, { target: 70 }],
    [
      "the metric's name",
      { metricType: "power_draw", targetValue: "300" },
      {
        metric: "power_draw",
        activationMetric: "power_draw",
        target: 300,
        metricName: "gpu-power-draw",
      },
    ],
    ["a name of one's own", { metricName: "load" }, { metricName: "load" }],
    ["targetGpuUtilization", { targetGpuUtilization: "60" }, { target: 60 }],
    [
      "targetMemoryUtilization",
      { targetMemoryUtilization: "60" },
      {
        metric: "memory_used_percent",
        activationMetric: "memory_used_percent",
        metricName: "gpu-memory-used-percent",
        target: 60,
      },
    ],
    [
      "a shorthand beside the same thing at length",
      { targetGpuUtilization: "60", metricType: "gpu_utilization", targetValue: "60.0" },
      { target: 60 },
    ],
    ["one device", { gpuIndex: "3" }, { gpuIndex: 3 }],
    ["all devices", { gpuIndex: "-1" }, {}],
    ["a threshold of nothing", { activationThreshold: "-0" }, { activationThreshold: 0 }],
    ["a window", { windowSeconds: "600" }, { windowSeconds: 600 }],
    ["the local node", { scope: "node" }, { scope: "node" }],
    ["a named node", { scope: "node", node: "a.b" }, { scope: "node", node: "a.b" }],
    ["scope node for a node", { node: "a" }, { scope: "node", node: "a" }],
    [
      "scope workload for pods",
      { podSelector: "app=llm", container: "server" },
      { scope: "workload", podSelector: "app=llm", container: "server" },
    ],
    [
      "an engine",
      { engine: "vllm", enginePort: "8000", enginePath: "/metrics?x=1" },
      { engine: "vllm", enginePort: 8000, enginePath: "/metrics?x=1" },
    ],
    [
      "the engine of its endpoint",
      { vllmEndpoint: "http://gateway.llm:8000/metrics" },
      { engine: "vllm", endpoint: "http://gateway.llm:8000/metrics" },
    ],
    ["an endpoint of any engine", { endpoint: "https://[::1]/" }, { endpoint: "https://[::1]/" }],
  ])("%s", (_what, metadata, expected) => {
    expect(parseTrigger(metadata)).toEqual({ ...plain, ...expected });
  });
});

describe("parseTrigger() takes from a profile", () => {
  test.each(profileNames)("%s: metric, target and activation", (profile) => {
    const { metric, target, activationThreshold, scalesToZero } = profiles[profile];
    expect(parseTrigger({ profile })).toMatchObject({
      profile,
      metric,
      activationMetric: metric,
      target,
      activationThreshold,
      alwaysActive: !scalesToZero,
    });
  });

  test.each<[string, Metadata, Partial<Trigger>]>([
    ["all but the target", { targetValue: "60" }, { target: 60, activationThreshold: 5 }],
    [
      "target and threshold for another metric of its unit",
      { metricType: "gpu_utilization" },
      { metric: "gpu_utilization", target: 80, activationThreshold: 5 },
    ],
    [
      "no threshold for a metric of another unit",
      { metricType: "power_draw", targetValue: "300" },
      { metric: "power_draw", target: 300, activationThreshold: 0 },
    ],
    [
      "no threshold for an activation metric of another unit",
      { activationMetricType: "power_draw" },
      { metric: "memory_used_percent", target: 80, activationThreshold: 0 },
    ],
    [
      "the threshold while activation keeps its unit",
      { metricType: "power_draw", targetValue: "300", activationMetricType: "sm_utilization" },
      { metric: "power_draw", activationThreshold: 5 },
    ],
    ["all but the threshold", { activationThreshold: "9" }, { activationThreshold: 9 }],
    [
      "all but what a shorthand says",
      { targetGpuUtilization: "65" },
      { metric: "gpu_utilization", target: 65, activationThreshold: 5 },
    ],
  ])("vllm-inference: %s", (_what, metadata, expected) => {
    expect(parseTrigger({ profile: "vllm-inference", ...metadata })).toMatchObject(expected);
  });
});

describe("parseTrigger() refuses", () => {
  test.each(refusedMetadata)("%s", (_what, metadata, problem) => {
    const problems = problemsOf(metadata);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test("more keys than the limit, and says only that", () => {
    const keys = Array.from({ length: metadataKeysMax + 1 }, (_, n) => [`key${n}`, ""]);
    expect(problemsOf(Object.fromEntries(keys))).toEqual([
      "metadata: must have at most 64 keys, got 65",
    ]);
  });

  test("everything at once", () => {
    const problems = problemsOf({
      targetValue: "much",
      metricTyp: "gpu_utilization",
      gpuIndex: "first",
      targetGpuUtilization: "80",
      targetMemoryUtilization: "80",
      scope: "node",
      podSelector: "app=llm",
    });
    expect(problems.map((problem) => problem.split(":")[0])).toEqual([
      "targetValue",
      '"metricTyp"',
      "gpuIndex",
      "targetGpuUtilization",
      "podSelector",
    ]);
  });

  test("without repeating a long value", () => {
    const [problem] = problemsOf({ metricType: "x".repeat(4000) });
    expect(problem?.length).toBeLessThan(1000);
  });
});

describe("a pod selector", () => {
  test.each([
    "app=llm",
    "app==llm",
    "app!=llm",
    "app = llm , tier = web",
    "app",
    "!app",
    "! app",
    "app=",
    "app.kubernetes.io/name=vllm",
    "app in (a,b)",
    "app in (a , b),tier notin (x)",
    "app in(a)",
    "app in ()",
    "size>3",
    "size < 10",
    "a_b.C-d=1.2_3-4",
  ])("takes %s", (podSelector) => {
    expect(parseTrigger({ podSelector }).podSelector).toBe(podSelector);
  });

  test.each([
    "",
    " ",
    ",",
    "app=llm,",
    ",app",
    "app=a=b",
    "=llm",
    "-app=llm",
    "app=-llm",
    "app=a b",
    "a b",
    "app in a",
    "app in (a",
    "app in a)",
    "app within (a)",
    "/name=x",
    "UPPER.io/name=x",
    "app=llm;rm",
    "size>x",
    `app=${"x".repeat(64)}`,
    `${"x".repeat(64)}`,
    `${"x.".repeat(130)}io/name`,
    "(".repeat(4000),
    "a,".repeat(2000),
  ])("refuses %s", (podSelector) => {
    expect(problemsOf({ podSelector })).toHaveLength(1);
  });
});
