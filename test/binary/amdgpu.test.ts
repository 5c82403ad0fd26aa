/** The compiled binary over a tree of AMD cards: the command line, the sampling and the scaler. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { bareCard, displayAdapter, mi300, radeon, sysfsTree } from "../device/amdgpu-tree.ts";
import { foreignClient } from "../foreign/client.ts";
import { runBinary, serveBinary } from "../support/binary.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

describe("snapshot --collector amdgpu", () => {
  const snapshot = (root: string, ...args: readonly string[]) =>
    runBinary(["snapshot", "--collector", "amdgpu", "--sysfs-root", root, ...args]);

  test("is JSON with every reading that the cards have", async () => {
    using tree = sysfsTree(mi300, radeon, bareCard, displayAdapter);
    const { exitCode, stdout, stderr } = await snapshot(tree.root, "--format", "json");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(JSON.parse(stdout).devices).toMatchObject([
      { uuid: "0000:03:00.0", readings: { utilizationPercent: 0, temperatureCelsius: 38 } },
      {
        uuid: "amd-9f3c0d1e2b4a5968",
        vendor: "amd",
        model: "AMD Instinct MI300X OAM",
        readings: { utilizationPercent: 87, powerInstantMilliwatts: 612_000 },
      },
      { uuid: "0000:e1:00.0", readings: { utilizationPercent: 12 } },
    ]);
  });

  test("is a table for people", async () => {
    using tree = sysfsTree(mi300);
    const { exitCode, stdout } = await snapshot(tree.root);
    expect(stdout).toMatch(/0 +AMD Instinct MI300X OAM +87 /);
    expect(exitCode).toBe(0);
  });

  test("is exit 1 where there is no card, and says where it looked", async () => {
    using tree = sysfsTree(displayAdapter);
    const { exitCode, stdout, stderr } = await snapshot(tree.root);
    expect(stderr).toContain(`no card in ${tree.root}/class/drm has the vendor 0x1002`);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  });
});

test("KEDA is answered from AMD cards as from any, and not from one that is gone", async () => {
  using tree = sysfsTree(mi300, radeon);
  const collector = ["--collector", "amdgpu", "--sysfs-root", tree.root];
  await using serving = await serveBinary({ args: [...collector, "--sample-interval", "100ms"] });
  await using client = foreignClient();
  const channel = await client.connect(`127.0.0.1:${serving.grpcPort}`);
  const value = async (gpuIndex: string) => {
    const scaledObjectRef = { name: "so", namespace: "ns", scalerMetadata: { gpuIndex } };
    const message = { scaledObjectRef, metricName: "" };
    const { code, answer } = await channel.unary(
      "externalscaler.ExternalScaler",
      "GetMetrics",
      message,
    );
    const { metricValues } = (answer ?? {}) as { metricValues?: { metricValueFloat: number }[] };
    return code === "OK" ? metricValues?.[0]?.metricValueFloat : code;
  };
  await eventually(() => value("1"), 87);
  expect(await value("0")).toBe(0);
  tree.write(mi300, "gpu_busy_percent", "34");
  await eventually(() => value("1"), 34);
  tree.remove(mi300);
  await eventually(() => value("1"), "UNAVAILABLE");
  expect(await value("0")).toBe(0);
  await channel.close();
});
