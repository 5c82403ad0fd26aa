import { describe, expect, test } from "bun:test";
import { slowReadingsMs, vendorSearchMs } from "#core/limits.ts";
import type { Collector } from "#device/collector.ts";
import { chooseCollector } from "#device/worker.ts";
import { nvmlStandin } from "../nvml-standin/control.ts";
import { manualClock } from "../support/manual-clock.ts";
import { displayAdapter, mi300, sysfsTree } from "./amdgpu-tree.ts";
import { exporterServer, pageNamed } from "./exporter/exporter-server.ts";

const tools = { clock: manualClock(), log: () => {}, sleep: () => {} };
const nothing = { pcieThroughput: false };

test("chooseCollector() gives made-up devices to who asks for them", async () => {
  const { name, collect } = chooseCollector({ collector: "mock" }, tools);
  expect(name).toBe("mock");
  expect((await collect(nothing)).devices).toHaveLength(4);
});

const nvmlLibrary = "/nowhere/libnvidia-ml.so.1";

test("chooseCollector() opens the library named to nvml", () => {
  const { name, collect } = chooseCollector({ collector: "nvml", nvmlLibrary }, tools);
  expect(name).toBe("nvml");
  expect(() => collect(nothing)).toThrow(
    expect.objectContaining({ code: "library-missing", facts: { paths: [nvmlLibrary] } }),
  );
});

describe("the collector auto", () => {
  test("names NVML's library and the folder of cards where it finds neither", () => {
    using tree = sysfsTree(displayAdapter);
    const options = { collector: "auto", nvmlLibrary, sysfsRoot: tree.root } as const;
    const { collect } = chooseCollector(options, tools);
    const folder = `${tree.root}/class/drm`;
    const refusal = expect.objectContaining({
      code: "library-missing",
      message: expect.stringMatching(
        /^Cannot find a GPU: none of .*0x1002, and no exporter is named; mount .*--collector mock$/,
      ),
      facts: { paths: [nvmlLibrary, folder] },
    });
    expect(() => collect(nothing)).toThrow(refusal);
    expect(() => collect(nothing)).toThrow(refusal);
  });

  test("reads AMD's cards where there is no NVML, also those that come later", async () => {
    using tree = sysfsTree();
    const options = { collector: "auto", nvmlLibrary, sysfsRoot: tree.root } as const;
    const { collect } = chooseCollector(options, tools);
    expect(() => collect(nothing)).toThrow();
    tree.add(mi300);
    expect((await collect(nothing)).devices).toMatchObject([{ vendor: "amd" }]);
    tree.remove(mi300);
    expect((await collect(nothing)).devices).toMatchObject([{ health: { state: "lost" } }]);
  });

  test("reads both vendors where both are, also the one that comes later", async () => {
    using tree = sysfsTree();
    const nvml = await nvmlStandin({});
    nvml.attach();
    try {
      const clock = manualClock();
      const options = {
        collector: "auto",
        nvmlLibrary: nvml.libraryPath,
        sysfsRoot: tree.root,
      } as const;
      const { collect, close } = chooseCollector(options, { ...tools, clock });
      const alone = await collect(nothing);
      expect(alone).toMatchObject({ session: 1, driverVersion: "570.133.20" });
      tree.add(mi300);
      expect(await vendorsOf(collect)).toEqual(new Set(["nvidia"]));
      clock.advance(vendorSearchMs);
      const both = await collect(nothing);
      expect(new Set(both.devices.map(({ vendor }) => vendor))).toEqual(new Set(["nvidia", "amd"]));
      expect(both).toMatchObject({ session: 2, driverVersion: "nvml 570.133.20" });
      expect(await vendorsOf(collect)).toEqual(new Set(["nvidia", "amd"]));
      expect((await collect(nothing)).session).toBe(2);
      close();
    } finally {
      nvml.remove();
    }
  });

  test("reads an exporter beside a driver, without what the driver is read for itself", async () => {
    using tree = sysfsTree();
    const nvml = await nvmlStandin({});
    nvml.attach();
    using gaudi = exporterServer(pageNamed("gaudi"));
    try {
      const options = (table: string) =>
        ({
          collector: "auto",
          nvmlLibrary: nvml.libraryPath,
          sysfsRoot: tree.root,
          exporter: { table, url: gaudi.url, nodeAddresses: [] },
        }) as const;
      const both = chooseCollector(options("gaudi"), { ...tools, clock: manualClock() });
      expect(await vendorsOf(both.collect)).toEqual(new Set(["nvidia", "intel"]));
      gaudi.answer("nothing that is a page");
      const devices = (await both.collect(nothing)).devices.filter(
        ({ vendor }) => vendor === "intel",
      );
      expect(devices.map(({ health }) => health.state)).toEqual(["failing", "failing"]);
      expect(devices.map(({ readings }) => readings)).toEqual([{}, {}]);
      both.close();

      gaudi.answer(pageNamed("dcgm"));
      const same = chooseCollector(options("dcgm"), { ...tools, clock: manualClock() });
      const names = (await same.collect(nothing)).devices.map(({ uuid }) => uuid);
      expect(names).not.toContain("GPU-a8394b51-c086-568a-9f1a-c1e1c934c440");
      expect(names.length).toBeGreaterThan(0);
      same.close();
    } finally {
      nvml.remove();
    }
  });

  test("lists a vendor's devices as failing while its driver is away and another's answers", async () => {
    using tree = sysfsTree(mi300);
    const nvml = await nvmlStandin({});
    nvml.attach();
    try {
      const clock = manualClock();
      const options = {
        collector: "auto",
        nvmlLibrary: nvml.libraryPath,
        sysfsRoot: tree.root,
      } as const;
      const { collect, close } = chooseCollector(options, { ...tools, clock });
      const before = await collect(nothing);
      nvml.set({ driver: "unloaded" });
      clock.advance(slowReadingsMs);
      const [gpu, ...others] = (await collect(nothing)).devices;
      expect(gpu).toMatchObject({
        uuid: before.devices[0]?.uuid,
        health: { state: "failing", reason: expect.stringContaining("DRIVER_NOT_LOADED") },
        readings: {},
      });
      expect(others.at(-1)).toMatchObject({ vendor: "amd", health: { state: "ok" } });
      close();
    } finally {
      nvml.remove();
    }
  });
});

async function vendorsOf(collect: Collector["collect"]) {
  return new Set((await collect(nothing)).devices.map(({ vendor }) => vendor));
}
