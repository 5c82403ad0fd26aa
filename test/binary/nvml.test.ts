/**
 * The compiled binary over a real library through FFI, asked by a foreign client: what the product
 * is for, from one end to the other.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type ForeignChannel, foreignClient, type Json } from "../foreign/client.ts";
import { nvmlStandin, type Standin, type StandinState } from "../nvml-standin/control.ts";
import { type Serving, serveBinary } from "../support/binary.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

const scaler = "externalscaler.ExternalScaler";
const client = foreignClient();
afterAll(() => client[Symbol.asyncDispose]());

interface Values {
  readonly metricValues: readonly { readonly metricValueFloat: number }[];
}

interface Scene extends AsyncDisposable {
  readonly nvml: Standin;
  readonly serving: Serving;
  readonly channel: ForeignChannel;
  readonly value: (metadata?: Json) => Promise<number | string>;
  readonly active: (metadata?: Json) => Promise<unknown>;
  readonly health: () => Promise<unknown>;
}

async function scene(
  state: StandinState,
  args: readonly string[] = [],
  variant: "full" | "r535" | "r470" = "full",
): Promise<Scene> {
  const nvml = await nvmlStandin({ variant });
  nvml.set(state);
  const collector = ["--collector", "nvml", "--nvml-library", nvml.libraryPath];
  const serving = await serveBinary({ args: [...collector, ...args], env: nvml.env });
  const channel = await client.connect(`127.0.0.1:${serving.grpcPort}`);
  const ref = (scalerMetadata: Json) => ({ name: "so", namespace: "ns", scalerMetadata });
  return {
    nvml,
    serving,
    channel,
    value: async (metadata = {}) => {
      const message = { scaledObjectRef: ref(metadata), metricName: "" };
      const { code, answer } = await channel.unary(scaler, "GetMetrics", message);
      if (code !== "OK") return code;
      return (answer as unknown as Values).metricValues[0]?.metricValueFloat ?? "none";
    },
    active: async (metadata = {}) => {
      const { code, answer } = await channel.unary(scaler, "IsActive", ref(metadata));
      return code === "OK" ? answer?.["result"] : code;
    },
    health: async () =>
      (await channel.unary("grpc.health.v1.Health", "Check", { service: "" })).answer?.["status"],
    [Symbol.asyncDispose]: async () => {
      await channel.close();
      await serving[Symbol.asyncDispose]();
      nvml.remove();
    },
  };
}

const utilizations = [3, 14, 15, 92, 65, 35, 89, 79];
const eightGpus = utilizations.map((utilizationPercent) => ({ utilizationPercent }));
const quick = ["--sample-interval", "100ms"];

describe("eight GPUs through FFI", () => {
  test.each(["full", "r535", "r470"] as const)("driver like %s", async (variant) => {
    await using it = await scene({ gpus: eightGpus }, quick, variant);
    await eventually(() => it.value(), 92);
    for (const [index, percent] of utilizations.entries())
      expect(await it.value({ gpuIndex: String(index) })).toBe(percent);
    expect(await it.value({ aggregation: "sum" })).toBe(392);
    expect(await it.value({ aggregation: "avg" })).toBe(49);
    expect(await it.value({ aggregation: "p50" })).toBe(35);
    expect(await it.active({ activationThreshold: "91.5" })).toBe(true);
    expect(await it.active({ activationThreshold: "92" })).toBe(false);
    expect(await it.health()).toBe("SERVING");
    expect(await it.value({ gpuIndex: "8" })).toBe("NOT_FOUND");
    expect(it.nvml.calls().get("nvmlInitWithFlags")).toBe(1);
  });

  test("a change on the device is in the next answer but one", async () => {
    await using it = await scene({ gpus: eightGpus }, quick);
    await eventually(() => it.value(), 92);
    it.nvml.set({ gpus: 1, each: { utilizationPercent: 0 } });
    await eventually(() => it.value({ gpuIndex: "0" }), 0);
    expect(await it.active({ gpuIndex: "0" })).toBe(false);
  });

  test("values that cannot be are refused, not sent", async () => {
    await using it = await scene(
      { gpus: 1, each: { utilizationPercent: 300, totalBytes: 0 } },
      quick,
    );
    await eventually(
      () => it.value({ metricType: "temperature", targetValue: "80" }),
      expect.any(Number),
    );
    expect(await it.value()).toBe("UNAVAILABLE");
    expect(await it.value({ metricType: "memory_used_percent" })).toBe("UNAVAILABLE");
  });
});

describe("a GPU that falls off the bus", () => {
  test("is an error, not a lower number, and comes back", async () => {
    await using it = await scene({ gpus: eightGpus }, quick);
    await eventually(() => it.value(), 92);
    it.nvml.set({ gpus: eightGpus.with(3, { utilizationPercent: 92, state: 15 } as never) });
    await eventually(() => it.value(), "UNAVAILABLE");
    expect(await it.value({ gpuIndex: "2" })).toBe(15);
    expect(await it.active({ activationThreshold: "95" })).toBe("UNAVAILABLE");
    expect(await it.active({ activationThreshold: "50" })).toBe(true);
    expect(await it.health()).toBe("SERVING");
    const { stdout } = Bun.spawnSync(["curl", "-s", metricsUrl(it.serving)]);
    expect(stdout.toString()).toMatch(/keda_gpu_scaler_gpu_up\{gpu_index="3".*\} 0/);
    expect(stdout.toString()).not.toMatch(/gpu_utilization_percent\{gpu_index="3"/);
    it.nvml.set({ gpus: eightGpus });
    await eventually(() => it.value(), 92);
  });
});

describe("GPUs that MIG cuts", () => {
  const busy = (gpuInstance: number, busyPercent: number) => ({
    gpuInstance,
    busyPercent,
    totalMib: 9728,
    usedMib: 4864,
  });
  const cut = (gpus: StandinState["gpus"]): StandinState => ({ gpus: gpus ?? 0, each: { mig: 1 } });
  const memory = { metricType: "memory_used_percent", targetValue: "80" };

  test("answer with their instances, those of a new cut too", async () => {
    const second = { instances: [busy(1, 35)] };
    await using it = await scene(
      cut([{ instances: [busy(1, 65), undefined, busy(9, 14), busy(10, 3)] }, second]),
      quick,
    );
    await eventually(() => it.value(), 65);
    expect(await it.value({ gpuIndex: "1" })).toBe(35);
    expect(await it.value({ aggregation: "sum" })).toBe(117);
    expect(await it.value(memory)).toBe(50);
    it.nvml.set(cut([{ instances: [busy(2, 92)] }, second]));
    await eventually(() => it.value(), 92);
    expect(await it.value({ aggregation: "sum" })).toBe(127);
    const { stdout } = Bun.spawnSync(["curl", "-s", metricsUrl(it.serving)]);
    const series = stdout.toString().match(/^keda_gpu_scaler_gpu_utilization_percent\{.*$/gm) ?? [];
    expect(series.map((line) => /gpu_uuid="([^"]+)"/.exec(line)?.[1])).toEqual([
      "MIG-00000000-0002-0000-8000-000000000000",
      "MIG-00000001-0001-0000-8000-000000000000",
    ]);
  });

  test("without GPM are refused and never 0, and have memory", async () => {
    const gpu = { hasGpm: false, instances: [busy(1, 65)] };
    await using it = await scene(cut([gpu]), quick, "r470");
    await eventually(() => it.value(memory), 50);
    expect(await it.value()).toBe("FAILED_PRECONDITION");
  });
});

describe("a driver call that hangs", () => {
  test("costs no caller anything, is NOT_SERVING, and ends the process by the watchdog", async () => {
    await using it = await scene({ gpus: eightGpus }, [...quick, "--device-watchdog", "8s"]);
    await eventually(() => it.value(), 92);
    it.nvml.set({ gpus: eightGpus, hang: ["nvmlDeviceGetUtilizationRates"] });
    await eventually(() => it.health(), "NOT_SERVING");

    const tookMs: number[] = [];
    for (let call = 0; call < 50; call += 1) {
      const sentMs = performance.now();
      expect(await it.value()).toBe("UNAVAILABLE");
      tookMs.push(performance.now() - sentMs);
    }
    // The promise of the contract: an answer within 50 ms while the device hangs. The median, so
    // that one pause of this machine is not taken for a caller who waited for the device.
    expect(tookMs.toSorted((a, b) => a - b)[25]).toBeLessThan(50);
    const spec = await it.channel.unary(scaler, "GetMetricSpec", { name: "so", namespace: "ns" });
    expect(spec.code).toBe("OK");
    expect(await it.serving.exited).toBe(1);
    expect(it.serving.log.map(({ event }) => event)).toContain("sampling is dead");
  });
});

describe("the driver", () => {
  test("reloads under the process, which reads on", async () => {
    await using it = await scene({ gpus: eightGpus }, quick);
    await eventually(() => it.value(), 92);
    it.nvml.set({ gpus: eightGpus, driver: "unloaded" });
    await eventually(() => it.value(), "UNAVAILABLE");
    it.nvml.set({ gpus: eightGpus.map(() => ({ utilizationPercent: 21 })) });
    await eventually(() => it.value(), 21);
  });

  test("is upgraded under the process, which ends so that its container is made anew", async () => {
    await using it = await scene({ gpus: eightGpus }, quick);
    await eventually(() => it.value(), 92);
    it.nvml.set({ driver: "upgraded" });
    expect(await it.serving.exited).toBe(1);
    const dead = await it.serving.logged("sampling is dead");
    expect(dead["cause"]).toBe("fatal-fault");
  });

  test("lists its GPUs in another order, and each keeps its own numbers", async () => {
    await using it = await scene({ gpus: eightGpus }, quick);
    await eventually(() => it.value({ gpuIndex: "0" }), 3);
    it.nvml.set({ gpus: eightGpus, order: "reverse" });
    await eventually(() => it.value({ gpuIndex: "0" }), 79);
    expect(await it.value({ gpuIndex: "7" })).toBe(3);
    expect(await it.value({ aggregation: "sum" })).toBe(392);
  });
});

describe("PCIe traffic, which NVML takes 20 ms a call to count", () => {
  test("is read only once a trigger asks for it", async () => {
    const each = { hasGpm: false, pcieTxKilobytesPerSecond: 1234 };
    await using it = await scene({ gpus: 2, each }, quick);
    await eventually(() => it.value(), expect.any(Number));
    expect(it.nvml.calls().has("nvmlDeviceGetPcieThroughput")).toBe(false);
    await eventually(
      () => it.value({ metricType: "pcie_tx_kbps", targetValue: "80", aggregation: "sum" }),
      2468,
    );
  });
});

function metricsUrl({ httpPort }: Serving): string {
  return `http://127.0.0.1:${httpPort}/metrics`;
}
