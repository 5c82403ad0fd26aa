/**
 * KEDA's contract, spoken to the compiled binary by a client that is not ours: `@grpc/grpc-js` on
 * Node.js, which brings its own HTTP/2 stack.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { refusedMetadata } from "../fixtures/refused-metadata.ts";
import { type ForeignChannel, foreignClient, type Json } from "../foreign/client.ts";
import { type Serving, serveBinary } from "../support/binary.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

const scaler = "externalscaler.ExternalScaler";
const client = foreignClient();
const folder = mkdtempSync(join(tmpdir(), "contract-"));
const mockFile = join(folder, "mock.yaml");
const gib = 1024 ** 3;
let serving: Serving;
let channel: ForeignChannel;

function devices(utilization: number): void {
  const readings = {
    utilizationPercent: utilization,
    memoryTotalBytes: 80 * gib,
    memoryUsedBytes: 20 * gib,
    powerAverageMilliwatts: 250,
    nvlinkTxMegabytesPerSecond: 6000,
  };
  writeFileSync(mockFile, JSON.stringify({ count: 2, device: { model: "Mock", readings } }));
}

const args = ["--collector", "mock", "--mock", mockFile, "--sample-interval", "100ms"];
const start = (extra: readonly string[] = []) => serveBinary({ args: [...args, ...extra] });
const ref = (scalerMetadata: Json = {}) => ({ name: "so", namespace: "ns", scalerMetadata });
const getMetrics = (metadata: Json, metricName = "") =>
  channel.unary(scaler, "GetMetrics", { scaledObjectRef: ref(metadata), metricName });

beforeAll(async () => {
  devices(50);
  serving = await start();
  channel = await client.connect(`127.0.0.1:${serving.grpcPort}`);
  await eventually(async () => (await getMetrics({})).code, "OK");
});
afterAll(async () => {
  await serving[Symbol.asyncDispose]();
  await client[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe("GetMetricSpec", () => {
  test("names the metric and its target, in both fields", async () => {
    const { answer } = await channel.unary(scaler, "GetMetricSpec", ref({ targetValue: "62.5" }));
    const spec = { metricName: "gpu-utilization", targetSize: "63", targetSizeFloat: 62.5 };
    expect(answer).toEqual({ metricSpecs: [spec] });
  });
});

/** The numbers of the contract, written out: the code's own table must not change them. */
const contract = [
  ["vllm-inference", "gpu-memory-used-percent", 80, true],
  ["triton-inference", "gpu-utilization", 75, true],
  ["training", "gpu-utilization", 90, true],
  ["batch", "gpu-memory-used-percent", 70, true],
  ["vllm-queue-depth", "gpu-vllm-queue-depth", 5, "FAILED_PRECONDITION"],
  ["triton-queue-wait", "gpu-triton-queue-wait-ms", 50, "FAILED_PRECONDITION"],
  ["triton-request-rate", "gpu-triton-request-rate", 50, "FAILED_PRECONDITION"],
  ["ollama", "gpu-memory-used-percent", 70, true],
  ["tgi-inference", "gpu-memory-used-percent", 75, true],
  ["distributed-training", "gpu-nvlink-tx-mbps", 50_000, true],
] as const;

describe("each profile", () => {
  test.each(contract)("%s is %s with target %p", async (profile, metricName, target, active) => {
    const spec = await channel.unary(scaler, "GetMetricSpec", ref({ profile }));
    expect(spec.answer).toEqual({
      metricSpecs: [{ metricName, targetSize: String(target), targetSizeFloat: target }],
    });
    const activity = await channel.unary(scaler, "IsActive", ref({ profile }));
    expect(activity.answer?.["result"] ?? activity.code).toBe(active);
  });

  /** 25 % of memory, 50 % utilization and 6,000 MB/s lie on either side of these thresholds. */
  test.each([
    ["vllm-inference", "5", true],
    ["triton-inference", "10", true],
    ["batch", "1", true],
    ["distributed-training", "5000", true],
    ["vllm-inference", "25", false],
    ["triton-inference", "50", false],
    ["distributed-training", "6000", false],
    ["training", "100", true],
  ])("%s with activation threshold %s is active: %p", async (profile, threshold, active) => {
    const metadata = { profile, activationThreshold: threshold };
    const { answer } = await channel.unary(scaler, "IsActive", ref(metadata));
    expect(answer).toEqual({ result: active });
  });
});

describe("GetMetrics", () => {
  test.each([
    [{ targetGpuUtilization: "80" }, 50, "50"],
    [{ metricType: "memory_used_percent" }, 25, "25"],
    [{ metricType: "memory_used_mib", targetValue: "80", aggregation: "sum" }, 40_960, "40960"],
    [{ metricType: "power_draw", targetValue: "80" }, 0.25, "1"],
    [{ metricType: "gpu_utilization", windowSeconds: "60" }, 50, "50"],
  ])("%j is %p, and its integer field %p", async (metadata, float, integer) => {
    const { answer } = await getMetrics(metadata, "");
    expect(answer?.["metricValues"]).toEqual([
      { metricName: expect.any(String), metricValue: integer, metricValueFloat: float },
    ]);
  });

  test("a measured 0 is 0 in both fields", async () => {
    devices(0);
    const zero = { metricName: "gpu-utilization", metricValue: "0", metricValueFloat: 0 };
    await eventually(async () => (await getMetrics({})).answer, { metricValues: [zero] });
    const { answer } = await channel.unary(scaler, "IsActive", ref());
    expect(answer).toEqual({ result: false });
    devices(50);
    await eventually(async () => (await channel.unary(scaler, "IsActive", ref())).answer, {
      result: true,
    });
  });

  test("without a scaledObjectRef is INVALID_ARGUMENT", async () => {
    const { code, details } = await channel.unary(scaler, "GetMetrics", { metricName: "x" });
    expect({ code, details }).toEqual({
      code: "INVALID_ARGUMENT",
      details: expect.stringContaining("scaledObjectRef"),
    });
  });
});

describe("metadata that breaks a rule is INVALID_ARGUMENT and says which", () => {
  test.each(refusedMetadata)("%s", async (_why, metadata, problem) => {
    for (const method of ["GetMetricSpec", "IsActive"]) {
      const { code, details } = await channel.unary(scaler, method, ref(metadata));
      expect(code).toBe("INVALID_ARGUMENT");
      expect(details).toContain(problem);
    }
    const { code } = await getMetrics(metadata);
    expect(code).toBe("INVALID_ARGUMENT");
  });

  test("in a stream too", async () => {
    const stream = await channel.stream(scaler, "StreamIsActive", ref({ metricType: "gpu" }));
    expect((await stream.ended).code).toBe("INVALID_ARGUMENT");
  });
});

describe("what this process cannot see is FAILED_PRECONDITION", () => {
  test.each(["workload", "cluster"])("scope %s", async (scope) => {
    const { code, details } = await getMetrics({ scope });
    expect(code).toBe("FAILED_PRECONDITION");
    expect(details).toContain(`in scope ${scope}`);
  });

  test("a metric that the devices do not have, with what to use instead", async () => {
    const { code, details } = await getMetrics({ metricType: "tensor_utilization" });
    expect(code).toBe("FAILED_PRECONDITION");
    expect(details).toContain("use metricType gpu_utilization instead");
  });
});

test("a scope that --allow-scope does not list is PERMISSION_DENIED, but for its spec", async () => {
  await using strict = await start(["--allow-scope", "workload,cluster"]);
  await using other = foreignClient();
  const strictChannel = await other.connect(`127.0.0.1:${strict.grpcPort}`);
  const refused = {
    code: "PERMISSION_DENIED",
    details: expect.stringMatching(/in scope node: --allow-scope .* workload and cluster;/),
  };
  const scaledObjectRef = ref();
  expect(await strictChannel.unary(scaler, "GetMetrics", { scaledObjectRef })).toEqual(refused);
  expect(await strictChannel.unary(scaler, "IsActive", ref())).toEqual(refused);
  const stream = await strictChannel.stream(scaler, "StreamIsActive", ref());
  expect(await stream.ended).toEqual(refused);
  expect((await strictChannel.unary(scaler, "GetMetricSpec", ref())).code).toBe("OK");
});

describe("StreamIsActive", () => {
  test("sends at once, on change, and again at the poll interval", async () => {
    const metadata = { activationThreshold: "60", pollIntervalSeconds: "1" };
    await using stream = await channel.stream(scaler, "StreamIsActive", ref(metadata));
    expect(await stream.next()).toEqual({ result: false });
    expect(await stream.next()).toEqual({ result: false });
    devices(95);
    await eventually(async () => (await stream.next())["result"], true);
    devices(50);
    await eventually(async () => (await stream.next())["result"], false);
  });

  test("a cancelled stream is let go of", async () => {
    const stream = await channel.stream(scaler, "StreamIsActive", ref());
    await stream.next();
    await eventually(() => gauge("keda_gpu_scaler_streams"), 1);
    await stream.cancel();
    expect((await stream.ended).code).toBe("CANCELLED");
    await eventually(() => gauge("keda_gpu_scaler_streams"), 0);
  });
});

test("StreamMetricSpec sends the spec at once and stays open", async () => {
  await using stream = await channel.stream(scaler, "StreamMetricSpec", ref({ profile: "batch" }));
  const spec = { metricName: "gpu-memory-used-percent", targetSize: "70", targetSizeFloat: 70 };
  expect(await stream.next()).toEqual({ metricSpecs: [spec] });
});

describe("a connection that is old", () => {
  test("is asked to come back: streams end with OK, no unary call fails", async () => {
    await using young = await start(["--connection-age", "1s"]);
    await using other = foreignClient();
    const aged = await other.connect(`127.0.0.1:${young.grpcPort}`);
    const ask = () => aged.unary(scaler, "GetMetrics", { scaledObjectRef: ref() });
    await eventually(async () => (await ask()).code, "OK");
    for (let connection = 0; connection < 3; connection += 1) {
      const stream = await aged.stream(scaler, "StreamIsActive", ref());
      expect(await stream.next()).toEqual({ result: true });
      let over = false;
      void stream.ended.then(() => {
        over = true;
      });
      while (!over) expect((await ask()).code).toBe("OK");
      expect((await stream.ended).code).toBe("OK");
    }
  });
});

describe("SIGTERM", () => {
  test("ends open streams with OK and the process with 0, in under 5 s", async () => {
    await using stopped = await start();
    await using other = foreignClient();
    const draining = await other.connect(`127.0.0.1:${stopped.grpcPort}`);
    const ask = () => draining.unary(scaler, "GetMetrics", { scaledObjectRef: ref() });
    await eventually(async () => (await ask()).code, "OK");
    const stream = await draining.stream(scaler, "StreamIsActive", ref());
    await stream.next();
    const sentMs = performance.now();
    stopped.kill("SIGTERM");
    expect((await stream.ended).code).toBe("OK");
    expect(await stopped.exited).toBe(0);
    expect(performance.now() - sentMs).toBeLessThan(5_000);
    expect(stopped.log.at(-1)?.event).toBe("stopped");
  });
});

describe("the HTTP port", () => {
  const get = (path: string) => fetch(`http://127.0.0.1:${serving.httpPort}${path}`);

  test("says that it is alive and ready", async () => {
    expect((await get("/healthz")).status).toBe(200);
    expect((await get("/readyz")).status).toBe(200);
    expect((await get("/nowhere")).status).toBe(404);
  });

  test("is not ready while there is nothing to read, and says why", async () => {
    await using broken = await serveBinary({
      args: ["--collector", "nvml", "--nvml-library", "/nowhere/libnvidia-ml.so.1"],
    });
    const ready = () => fetch(`http://127.0.0.1:${broken.httpPort}/readyz`);
    await eventually(async () => (await ready()).status, 503);
    await eventually(
      async () => (await ready()).text(),
      expect.stringContaining("/nowhere/libnvidia-ml.so.1"),
    );
    const dark = await client.connect(`127.0.0.1:${broken.grpcPort}`);
    const { code, details } = await dark.unary(scaler, "GetMetrics", { scaledObjectRef: ref() });
    expect(code).toBe("UNAVAILABLE");
    expect(details).toContain("/nowhere/libnvidia-ml.so.1");
  });

  test("counts calls by method and code", async () => {
    const before = await gauge(
      'scaler_requests_total{method="externalscaler.ExternalScaler/IsActive",code="OK"}',
    );
    await channel.unary(scaler, "IsActive", ref());
    await eventually(
      () =>
        gauge('scaler_requests_total{method="externalscaler.ExternalScaler/IsActive",code="OK"}'),
      (before ?? 0) + 1,
    );
  });

  test("has every metric that dashboards and alerts are built on", async () => {
    await channel.unary(scaler, "IsActive", { scalerMetadata: { nonsense: "1" } });
    const text = await (await get("/metrics")).text();
    const labels =
      'gpu_index="1",gpu_uuid="GPU-00000000-0000-4000-8000-000000000001",gpu_name="Mock"';
    for (const line of [
      `keda_gpu_scaler_gpu_utilization_percent{${labels}} 50`,
      `keda_gpu_scaler_gpu_memory_used_bytes{${labels}} ${20 * gib}`,
      `keda_gpu_scaler_gpu_memory_total_bytes{${labels}} ${80 * gib}`,
      `keda_gpu_scaler_gpu_power_draw_watts{${labels}} 0.25`,
      `keda_gpu_scaler_gpu_up{${labels}} 1`,
      "keda_gpu_scaler_gpu_device_count 2",
    ])
      expect(text).toContain(`${line}\n`);
    for (const name of [
      "keda_gpu_scaler_collections_total",
      "keda_gpu_scaler_collection_errors_total",
      "keda_gpu_scaler_collection_duration_seconds_bucket",
      "keda_gpu_scaler_scaler_requests_total",
      "keda_gpu_scaler_scaler_request_errors_total",
      "keda_gpu_scaler_event_loop_lag_seconds",
      "process_resident_memory_bytes",
    ])
      expect(text).toContain(`\n${name}`);
    // The mock has no temperature, and a reading that is not there is no series.
    expect(text).not.toContain("gpu_temperature_celsius{");
  });
});

test("a port in use is exit 1 and says what to do", async () => {
  const command = ["--port", String(serving.grpcPort)];
  const second = serveBinary({ args: command.concat(["--collector", "mock"]) });
  await expect(second).rejects.toThrow();
});

/** One sample of /metrics by its name, without the prefix if that is ours. */
async function gauge(series: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${serving.httpPort}/metrics`)).text();
  const full = series.startsWith("keda_") ? series : `keda_gpu_scaler_${series}`;
  const line = text.split("\n").find((each) => each.startsWith(`${full} `));
  return line === undefined ? undefined : Number(line.slice(full.length + 1));
}
