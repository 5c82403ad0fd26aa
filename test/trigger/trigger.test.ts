import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { metadataKeysMax, metadataValueBytesMax } from "#core/limits.ts";
import { profileNames, profiles } from "#trigger/profiles.ts";
import { parseTrigger, type Trigger } from "#trigger/trigger.ts";

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
  const decimal = "must be a decimal number from 0.001 to 1000000000000";
  test.each<[string, Metadata, string]>([
    ["no text", { targetValue: "" }, `targetValue: ${decimal}, got ""`],
    ["NaN", { targetValue: "NaN" }, `targetValue: ${decimal}, got "NaN"`],
    ["an exponent", { targetValue: "1e3" }, `targetValue: ${decimal}, got "1e3"`],
    ["spaces", { targetValue: " 5 " }, `targetValue: ${decimal}, got " 5 "`],
    ["a plus sign", { targetValue: "+5" }, `targetValue: ${decimal}, got "+5"`],
    ["hexadecimal", { targetValue: "0x10" }, `targetValue: ${decimal}, got "0x10"`],
    ["Infinity", { targetValue: "Infinity" }, `targetValue: ${decimal}, got "Infinity"`],
    ["a line break", { targetValue: "5\n" }, `targetValue: ${decimal}, got "5\\n"`],
    ["a target of 0", { targetValue: "0" }, `targetValue: ${decimal}, got "0"`],
    ["a target KEDA rounds to 0", { targetValue: "0.0004" }, "targetValue: must be"],
    ["more digits than a double", { targetValue: "9".repeat(400) }, "targetValue: must be"],
    [
      "an environment value by its own name",
      { targetValueFromEnv: "x" },
      `targetValueFromEnv: ${decimal}, got "x"`,
    ],
    [
      "a key and its environment twin",
      { targetValue: "5", targetValueFromEnv: "5" },
      "targetValueFromEnv: must not be given beside targetValue",
    ],
    ["a negative threshold", { activationThreshold: "-1" }, "activationThreshold: must be a"],
    ["an index below -1", { gpuIndex: "-2" }, "gpuIndex: must be an integer from -1 to 65535"],
    ["half an index", { gpuIndex: "0.5" }, "gpuIndex: must be an integer"],
    ["a poll of 0 s", { pollIntervalSeconds: "0" }, "must be an integer from 1 to 3600"],
    ["a window beyond what is kept", { windowSeconds: "601" }, "an integer from 0 to 600"],
    ["a misspelt key", { aggregration: "max" }, "unknown key; did you mean aggregation?"],
    ["a key in other case", { targetvalue: "5" }, "did you mean targetValue?"],
    ["a key like no other", { zzzzzzzzzz: "5" }, '"zzzzzzzzzz": unknown key'],
    ["what every object has", { constructor: "x" }, '"constructor": unknown key'],
    ["an empty key", { "": "x" }, '"": unknown key'],
    ["only the suffix", { FromEnv: "x" }, '"FromEnv": unknown key'],
    ["a metric nobody has", { metricType: "gpu-utilisation" }, "did you mean gpu_utilization?"],
    ["a misspelt profile", { profile: "vlm-inference" }, "did you mean vllm-inference?"],
    ["a misspelt choice", { aggregation: "average" }, "aggregation: must be one of max, min, avg"],
    ["a replica percentile", { replicaAggregation: "p99" }, "did you mean p95?"],
    ["a scope", { scope: "pod" }, "scope: must be one of workload, node, cluster"],
    ["a name with a slash", { metricName: "a/b" }, "metricName: must be 1 to 63 of"],
    ["a name of 64", { metricName: "a".repeat(64) }, "metricName: must be 1 to 63 of"],
    ["a node with a space", { node: "a b" }, "node: must be a DNS name"],
    ["a path without a slash", { enginePath: "metrics" }, "enginePath: must be a URL path"],
    ["another host as a path", { enginePath: "//evil" }, "enginePath: must be a URL path"],
    ["port 0", { enginePort: "0" }, "enginePort: must be an integer from 1 to 65535"],
    ["a file URL", { endpoint: "file:///etc/passwd" }, "endpoint: must be an http or https URL"],
    ["a URL with a password", { endpoint: "http://a:b@c/" }, "endpoint: must be an http"],
    ["a URL without a host", { endpoint: "http://" }, "endpoint: must be an http"],
    [
      "two endpoints",
      { endpoint: "http://a", vllmEndpoint: "http://b" },
      "vllmEndpoint: must not be given beside endpoint",
    ],
    [
      "an endpoint of another engine",
      { engine: "triton", vllmEndpoint: "http://b" },
      "vllmEndpoint: means engine vllm, got engine triton",
    ],
    [
      "a port beside an endpoint",
      { enginePort: "1", endpoint: "http://b" },
      "enginePort: must not be given beside endpoint",
    ],
    [
      "a shorthand of another metric",
      { targetGpuUtilization: "80", metricType: "temperature" },
      "targetGpuUtilization: means metricType gpu_utilization, got metricType temperature",
    ],
    [
      "a shorthand with another target",
      { targetMemoryUtilization: "80", targetValue: "70" },
      "targetMemoryUtilization: means targetValue 80, got targetValue 70",
    ],
    [
      "two shorthands",
      { targetGpuUtilization: "80", targetMemoryUtilization: "80" },
      "targetGpuUtilization: must not be given beside targetMemoryUtilization",
    ],
    [
      "a profile's target in another unit",
      { profile: "vllm-queue-depth", metricType: "gpu_utilization" },
      "targetValue: must be given where metricType gpu_utilization (%) replaces",
    ],
    ["a node of a workload", { scope: "workload", node: "a" }, "node: only has a meaning in scope"],
    ["pods of a node", { scope: "node", podSelector: "a" }, "podSelector: only has a meaning in"],
    ["a node and pods", { node: "a", container: "b" }, "container: must not be given beside node"],
    [
      "a value above the limit",
      { tlsClientKey: "x".repeat(metadataValueBytesMax + 1) },
      `tlsClientKey: must have at most ${metadataValueBytesMax} bytes, got 4097`,
    ],
  ])("%s", (_what, metadata, problem) => {
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
