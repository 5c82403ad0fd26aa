import { describe, expect, test } from "bun:test";
import { Fault } from "#core/fault.ts";
import { metadataKeysMax } from "#core/limits.ts";
import { engineFacts } from "#metric/engines.ts";
import {
  builtInProfiles,
  type ProfileTable,
  profileNames,
  profileOf,
  profiles,
} from "#trigger/profiles.ts";
import { parseTrigger, type Trigger, triggerParser } from "#trigger/trigger.ts";
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
  metricName: "gpu-utilization",
};

const ofSeries: Partial<Trigger> = {
  metric: "engine_metric",
  activationMetric: "engine_metric",
  target: 3,
  metricName: "gpu-engine-metric",
};

test.each(["kv_transfer_requests", "kv_transfer_p95_ms", "lora_adapters_waiting"])(
  "%s has no target unless it is given, for it is no percentage",
  (metricType) => {
    expect(problemsOf({ metricType })).toEqual([
      expect.stringContaining(`targetValue: must be given for ${metricType}`),
    ]);
    expect(problemsOf({ metricType, targetValue: "4" })).toEqual([]);
  },
);

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
    ["an endpoint of any engine", { endpoint: "http://[::1]/" }, { endpoint: "http://[::1]/" }],
    [
      "a path beside an endpoint without one",
      { endpoint: "http://a:1", enginePath: "/stats" },
      { endpoint: "http://a:1", enginePath: "/stats" },
    ],
    [
      "a series of the engine",
      { engineMetric: "app:jobs_total", engine: "vllm", targetValue: "3" },
      { ...ofSeries, engine: "vllm", engineMetric: { metric: "app:jobs_total", reduce: "sum" } },
    ],
    [
      "a series of whatever page a URL leads to",
      { engineMetric: "jobs", endpoint: "http://a:1", targetValue: "3" },
      {
        ...ofSeries,
        engine: "prometheus",
        endpoint: "http://a:1",
        engineMetric: { metric: "jobs", reduce: "sum" },
      },
    ],
    [
      "a series that its page has no type for",
      { engineMetric: "jobs", engineMetricKind: "counter", engine: "vllm", targetValue: "3" },
      {
        ...ofSeries,
        engine: "vllm",
        engineMetric: { metric: "jobs", kind: "counter", reduce: "sum" },
      },
    ],
    [
      "a quantile of a histogram",
      { engineMetric: "wait", engineReduce: "p95", engine: "vllm", targetValue: "3" },
      { ...ofSeries, engine: "vllm", engineMetric: { metric: "wait", reduce: "p95" } },
    ],
    [
      "a series of any page, by the highest that has the labels",
      {
        metricType: "engine_metric",
        engineMetric: "jobs",
        engineReduce: "max",
        engineLabels: ' queue="a\\"b\\\\c\\nd" , state!="" ',
        engine: "prometheus",
        enginePort: "9000",
        engineTokenFile: "metrics-token",
        targetValue: "3",
      },
      {
        ...ofSeries,
        engine: "prometheus",
        enginePort: 9000,
        engineMetric: { metric: "jobs", reduce: "max" },
        engineLabels: [
          { label: "queue", op: "=", value: 'a"b\\c\nd' },
          { label: "state", op: "!=", value: "" },
        ],
        engineTokenFile: "metrics-token",
      },
    ],
    [
      "one series for each of another",
      { engineMetric: "a:x / b", engine: "vllm", targetValue: "3" },
      {
        ...ofSeries,
        engine: "vllm",
        engineMetric: { metric: "a:x", denominator: "b", reduce: "sum" },
      },
    ],
    [
      "a ratio without spaces",
      { engineMetric: "a/b", engineMetricKind: "gauge", engine: "vllm", targetValue: "3" },
      {
        ...ofSeries,
        engine: "vllm",
        engineMetric: { metric: "a", denominator: "b", kind: "gauge", reduce: "sum" },
      },
    ],
    [
      "series that patterns choose",
      {
        engineMetric: "jobs",
        engineLabels: `model=~"gpt-3\\\\.5.*",tier!~\`a\\.b|"c"\`,user=\`x\\y\``,
        engine: "vllm",
        targetValue: "3",
      },
      {
        ...ofSeries,
        engine: "vllm",
        engineMetric: { metric: "jobs", reduce: "sum" },
        engineLabels: [
          { label: "model", op: "=~", value: "gpt-3\\.5.*" },
          { label: "tier", op: "!~", value: 'a\\.b|"c"' },
          { label: "user", op: "=", value: "x\\y" },
        ],
      },
    ],
    [
      "pods that are asked over TLS with a password",
      {
        engineMetric: "jobs",
        engine: "vllm",
        targetValue: "3",
        engineScheme: "https",
        engineBasicAuthFile: "reader",
        engineCaFile: "ca.crt",
        engineServerName: "vllm.shop.svc",
      },
      {
        ...ofSeries,
        engine: "vllm",
        engineMetric: { metric: "jobs", reduce: "sum" },
        engineScheme: "https",
        engineBasicAuthFile: "reader",
        engineCaFile: "ca.crt",
        engineServerName: "vllm.shop.svc",
      },
    ],
    [
      "a URL with TLS, whatever the case of its scheme",
      { engineMetric: "jobs", endpoint: "HTTPS://a:1/m", targetValue: "3", engineCaFile: "ca.crt" },
      {
        ...ofSeries,
        engine: "prometheus",
        engineMetric: { metric: "jobs", reduce: "sum" },
        endpoint: "HTTPS://a:1/m",
        engineCaFile: "ca.crt",
      },
    ],
    [
      "a number of a page in JSON",
      { engineJsonPath: "$.models[*].size_vram", endpoint: "http://a:1/api/ps", targetValue: "3" },
      {
        ...ofSeries,
        engine: "json",
        engineJson: { path: "$.models[*].size_vram", reduce: "sum" },
        endpoint: "http://a:1/api/ps",
      },
    ],
    [
      "a count on pages of the pods, in place of a profile's series and engine",
      {
        profile: "gateway-flow-control",
        engineJsonPath: "$[?@.is_processing==true]",
        engineReduce: "count",
        enginePath: "/slots",
        targetValue: "3",
      },
      {
        ...ofSeries,
        profile: "gateway-flow-control",
        engine: "json",
        engineJson: { path: "$[?@.is_processing==true]", reduce: "count" },
        enginePath: "/slots",
      },
    ],
    [
      "a number that only decides on activity",
      {
        activationMetricType: "engine_metric",
        engineJsonPath: "$.queue",
        endpoint: "http://a:1/m",
      },
      {
        activationMetric: "engine_metric",
        engineJson: { path: "$.queue", reduce: "sum" },
        endpoint: "http://a:1/m",
        engine: "json",
      },
    ],
    [
      "a series that only decides on activity",
      { activationMetricType: "engine_metric", engineMetric: "jobs", endpoint: "http://a:1/m" },
      {
        activationMetric: "engine_metric",
        engineMetric: { metric: "jobs", reduce: "sum" },
        endpoint: "http://a:1/m",
        engine: "prometheus",
      },
    ],
    [
      "one route of the interceptor",
      {
        metricType: "concurrency",
        targetValue: "80",
        engine: "http-add-on",
        endpoint: "http://interceptor.keda:9090",
        engineLabels: 'route_namespace="shop",route_name="chat"',
      },
      {
        metric: "concurrency",
        activationMetric: "concurrency",
        metricName: "gpu-concurrency",
        engine: "http-add-on",
        endpoint: "http://interceptor.keda:9090",
        engineLabels: [
          { label: "route_namespace", op: "=", value: "shop" },
          { label: "route_name", op: "=", value: "chat" },
        ],
      },
    ],
    [
      "the pods of a gateway",
      { metricType: "queue_depth", targetValue: "80", engine: "epp", podSelector: "app=epp" },
      {
        metric: "queue_depth",
        activationMetric: "queue_depth",
        metricName: "gpu-queue-depth",
        engine: "epp",
        scope: "workload",
        podSelector: "app=epp",
      },
    ],
  ])("%s", (_what, metadata, expected) => {
    expect(parseTrigger(metadata)).toEqual({ ...plain, ...expected });
  });
});

/** What stands in front of the engines must be told where it is. */
function whereFor(name: (typeof profileNames)[number]): Metadata {
  const { engine } = profileOf(name);
  return engine !== undefined && engineFacts(engine).isFrontEnd
    ? { endpoint: "http://gateway:9090" }
    : {};
}

describe("parseTrigger() takes from a profile", () => {
  test.each(profileNames)("%s: metric, target and activation", (profile) => {
    const { metric, target, activationThreshold, scalesToZero, metricType } = profiles[profile];
    expect(parseTrigger({ profile, ...whereFor(profile) })).toMatchObject({
      profile,
      metric,
      activationMetric: metric,
      target,
      activationThreshold,
      alwaysActive: !scalesToZero,
      advisedMetricType: metricType,
    });
  });

  test("the numbers that are a contract", () => {
    const numbers = profileNames.map((name) => {
      const { metric, target, activationThreshold, scalesToZero, metricType } = profiles[name];
      return [name, metric, target, activationThreshold, scalesToZero, metricType];
    });
    expect(numbers).toEqual([
      ["vllm-inference", "memory_used_percent", 80, 5, true, "AverageValue"],
      ["triton-inference", "gpu_utilization", 75, 10, true, "AverageValue"],
      ["training", "gpu_utilization", 90, 0, false, "AverageValue"],
      ["batch", "memory_used_percent", 70, 1, true, "AverageValue"],
      ["vllm-queue-depth", "vllm_queue_depth", 5, 1, true, "AverageValue"],
      ["triton-queue-wait", "triton_queue_wait_ms", 50, 5, true, "Value"],
      ["triton-request-rate", "triton_request_rate", 50, 1, true, "AverageValue"],
      ["ollama", "memory_used_percent", 70, 3, true, "AverageValue"],
      ["tgi-inference", "memory_used_percent", 75, 5, true, "AverageValue"],
      ["distributed-training", "nvlink_tx_mbps", 50_000, 5_000, true, "AverageValue"],
      ["vllm-kv-cache", "kv_cache_usage", 80, 1, true, "AverageValue"],
      ["llm-concurrency", "concurrency", 16, 0, true, "AverageValue"],
      ["llm-ttft-p95", "ttft_p95_ms", 1_000, 50, false, "Value"],
      ["tgi-queue-depth", "queue_depth", 4, 0, true, "AverageValue"],
      ["sglang-queue-depth", "queue_depth", 5, 1, true, "AverageValue"],
      ["gateway-flow-control", "queue_depth", 1, 0, true, "AverageValue"],
    ]);
  });

  test("the engine that has the metric, where it is one engine's", () => {
    const engines = profileNames.flatMap((name) => {
      const { engine } = profileOf(name);
      return engine === undefined ? [] : [[name, engine]];
    });
    expect(engines).toEqual([
      ["vllm-queue-depth", "vllm"],
      ["triton-queue-wait", "triton"],
      ["triton-request-rate", "triton"],
      ["vllm-kv-cache", "vllm"],
      ["tgi-queue-depth", "tgi"],
      ["sglang-queue-depth", "sglang"],
      ["gateway-flow-control", "epp"],
    ]);
  });

  test.each<[string, Metadata, Partial<Trigger>]>([
    ["llm-ttft-p95: its window", { profile: "llm-ttft-p95" }, { windowSeconds: 60 }],
    [
      "llm-ttft-p95: not a window that is given",
      { profile: "llm-ttft-p95", windowSeconds: "0" },
      { windowSeconds: 0 },
    ],
    ["sglang-queue-depth: its engine", { profile: "sglang-queue-depth" }, { engine: "sglang" }],
    [
      "vllm-queue-depth: not the engine where one is given",
      { profile: "vllm-queue-depth", engine: "nim" },
      { engine: "nim" },
    ],
    [
      "vllm-queue-depth: not the engine of another's endpoint",
      { profile: "vllm-queue-depth", tritonEndpoint: "http://a" },
      { engine: "triton" },
    ],
    [
      "gateway-flow-control: another gateway's concurrency",
      {
        profile: "gateway-flow-control",
        engine: "litellm",
        metricType: "concurrency",
        endpoint: "http://litellm:4000",
      },
      { engine: "litellm", metric: "concurrency", target: 1, activationThreshold: 0 },
    ],
  ])("%s", (_what, metadata, expected) => {
    expect(parseTrigger(metadata)).toMatchObject(expected);
  });

  test("no advice on metricType for another metric", () => {
    const { advisedMetricType } = parseTrigger({
      profile: "llm-ttft-p95",
      metricType: "queue_wait_ms",
    });
    expect(advisedMetricType).toBeUndefined();
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
    const long = "x".repeat(4000);
    const [problem] = problemsOf({ metricType: long });
    expect(problem).toEndWith(`, got "${"x".repeat(60)}…"`);
    expect(problemsOf({ [long]: "" })).toEqual([`"${"x".repeat(60)}…": unknown key`]);
  });
});

test("triggerParser() parses metadata once, and again when the profiles are others", () => {
  const others = new Map([["mine", { ...profileOf("batch"), target: 7 }]]);
  let table: ProfileTable = builtInProfiles;
  const parse = triggerParser(() => table);
  const metadata = { profile: "batch" };
  const first = parse(metadata);
  expect(parse(metadata)).toBe(first);
  expect(parse({ ...metadata })).toEqual(first);
  table = others;
  expect(() => parse(metadata)).toThrow("profile: must be one of mine");
  const mine = { profile: "mine" };
  const second = parse(mine);
  expect(second.target).toBe(7);
  expect(parse(mine)).toBe(second);
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

test.each([
  "/../admin",
  "/a/..",
  "/a/./b",
  "/a/%2e%2E/b",
  "/..?x=1",
  "//host/metrics",
  "/a#b",
  "/a\r\nb",
])("enginePath %p leads elsewhere than it says", (enginePath) => {
  expect(() => parseTrigger({ engine: "vllm", metricType: "queue_depth", enginePath })).toThrow(
    "enginePath: must be a URL path that starts with / and has no spaces, no fragment and no . or ..",
  );
});
