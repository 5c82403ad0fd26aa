import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { chooseCollector } from "#device/worker.ts";
import { nvmlStandin } from "../nvml-standin/control.ts";
import { manualClock } from "../support/manual-clock.ts";
import { displayAdapter, mi300, sysfsTree } from "./amdgpu-tree.ts";

const tools = { clock: manualClock(), log: () => {}, sleep: () => {} };
const nothing = { pcieThroughput: false };

test("chooseCollector() gives made-up devices to who asks for them", () => {
  const { name, collect } = chooseCollector({ collector: "mock" }, tools);
  expect(name).toBe("mock");
  expect(collect(nothing).devices).toHaveLength(4);
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
        /^Cannot find a GPU: none of .*0x1002; mount .*--collector mock$/,
      ),
      facts: { paths: [nvmlLibrary, folder] },
    });
    expect(() => collect(nothing)).toThrow(refusal);
    expect(() => collect(nothing)).toThrow(refusal);
  });

  test("reads AMD's cards where there is no NVML, also those that come later", () => {
    using tree = sysfsTree();
    const options = { collector: "auto", nvmlLibrary, sysfsRoot: tree.root } as const;
    const { collect } = chooseCollector(options, tools);
    expect(() => collect(nothing)).toThrow();
    tree.add(mi300);
    expect(collect(nothing).devices).toMatchObject([{ vendor: "amd" }]);
    tree.remove(mi300);
    expect(collect(nothing).devices).toMatchObject([{ health: { state: "lost" } }]);
  });

  test("takes NVML where both are, and stays with it", async () => {
    using tree = sysfsTree(mi300);
    const nvml = await nvmlStandin({});
    try {
      const options = {
        collector: "auto",
        nvmlLibrary: nvml.libraryPath,
        sysfsRoot: tree.root,
      } as const;
      const { collect, close } = chooseCollector(options, tools);
      const vendors = () => new Set(collect(nothing).devices.map(({ vendor }) => vendor));
      expect(vendors()).toEqual(new Set(["nvidia"]));
      rmSync(nvml.libraryPath);
      expect(vendors()).toEqual(new Set(["nvidia"]));
      close();
    } finally {
      nvml.remove();
    }
  });
});
