import { describe, expect, test } from "bun:test";
import { amdgpuCollector } from "#device/amdgpu/collector.ts";
import { absenceOfCode } from "#device/amdgpu/sysfs.ts";
import { readingNames } from "#metric/reading.ts";
import {
  bareCard,
  displayAdapter,
  mi300,
  radeon,
  type SysfsTree,
  sysfsTree,
} from "./amdgpu-tree.ts";

function collectorOf({ root }: SysfsTree) {
  const events: string[] = [];
  const collector = amdgpuCollector({
    sysfsRoot: root,
    log: (_level, event) => events.push(event),
  });
  const collect = () => collector.collect({ pcieThroughput: false });
  return { collect, devices: () => collect().devices, only: () => collect().devices[0], events };
}

describe("an AMD card is read", () => {
  test("with the units of the catalogue", () => {
    using tree = sysfsTree(mi300);
    expect(collectorOf(tree).only()).toMatchObject({
      uuid: "amd-9f3c0d1e2b4a5968",
      index: 0,
      vendor: "amd",
      model: "AMD Instinct MI300X OAM",
      minor: 128,
      pciBusId: "0000:c1:00.0",
      health: { state: "ok" },
    });
    expect(collectorOf(tree).only()?.readings).toEqual({
      utilizationPercent: 87,
      memoryUtilizationPercent: 41,
      memoryUsedBytes: 150_323_855_360,
      memoryTotalBytes: 206_141_652_992,
      temperatureCelsius: 64,
      memoryTemperatureCelsius: 51,
      powerInstantMilliwatts: 612_000,
      powerLimitMilliwatts: 750_000,
      smClockMegahertz: 2_100,
      memoryClockMegahertz: 1_300,
    });
  });

  test("by the edge sensor where it has one, and idle as 0", () => {
    using tree = sysfsTree(radeon);
    expect(collectorOf(tree).only()?.readings).toEqual({
      utilizationPercent: 0,
      memoryUsedBytes: 27_262_976,
      memoryTotalBytes: 25_753_026_560,
      temperatureCelsius: 38,
      powerAverageMilliwatts: 17_000,
      powerLimitMilliwatts: 303_000,
      energyMillijoules: 123_457,
    });
  });

  test("by its address and device id where it has neither id nor name", () => {
    using tree = sysfsTree(radeon, bareCard);
    expect(collectorOf(tree).devices()).toMatchObject([
      { uuid: "0000:03:00.0", model: "AMD 0x744c", minor: 129 },
      { uuid: "0000:e1:00.0", model: "AMD 0x74b5" },
    ]);
  });

  test("in the order of addresses, other vendors' cards left out", () => {
    using tree = sysfsTree(mi300, radeon, bareCard, displayAdapter);
    const devices = collectorOf(tree).devices();
    expect(devices.map(({ index, pciBusId }) => [index, pciBusId])).toEqual([
      [0, "0000:03:00.0"],
      [1, "0000:c1:00.0"],
      [2, "0000:e1:00.0"],
    ]);
  });

  test("and its partitions, which have no address, are not", () => {
    using tree = sysfsTree(mi300, { card: 6, pci: "amdgpu_xcp_30", renderMinor: 134 });
    expect(collectorOf(tree).devices()).toHaveLength(1);
  });

  test("with every reading either there or absent", () => {
    using tree = sysfsTree(mi300, radeon, bareCard);
    for (const { readings, absences } of collectorOf(tree).devices())
      expect([...Object.keys(readings), ...Object.keys(absences)].sort()).toEqual(
        [...readingNames].sort(),
      );
  });

  test("under its address when another card has the same id", () => {
    using tree = sysfsTree(mi300, { ...mi300, card: 5, pci: "0000:c2:00.0" });
    expect(
      collectorOf(tree)
        .devices()
        .map(({ uuid }) => uuid),
    ).toEqual(["amd-9f3c0d1e2b4a5968", "0000:c2:00.0"]);
  });

  test("with whether it is cut into partitions, which may change", () => {
    using tree = sysfsTree(mi300);
    const { only } = collectorOf(tree);
    expect(only()?.isPartitioned).toBeUndefined();
    tree.write(mi300, "current_compute_partition", "SPX");
    expect(only()?.isPartitioned).toBeUndefined();
    tree.write(mi300, "current_compute_partition", "CPX");
    expect(only()?.isPartitioned).toBe(true);
    tree.breakFile(mi300, "current_compute_partition");
    expect(only()?.isPartitioned).toBe(true);
    tree.erase(mi300, "current_compute_partition");
    tree.write(mi300, "current_compute_partition", "SPX");
    expect(only()?.isPartitioned).toBeUndefined();
  });

  test("with the driver's version where the module tells it", () => {
    using tree = sysfsTree(mi300);
    const { collect } = collectorOf(tree);
    expect(collect().driverVersion).toBeUndefined();
    tree.tellVersion("6.12.12");
    expect(collect().driverVersion).toBe("6.12.12");
  });
});

describe("a reading is absent and never 0", () => {
  test("where there is no file or no folder of sensors", () => {
    using tree = sysfsTree(bareCard);
    const { readings, absences, health } = collectorOf(tree).only() ?? {};
    expect(readings).toEqual({ utilizationPercent: 12 });
    expect(health).toEqual({ state: "ok" });
    expect(absences).toMatchObject({
      memoryUsedBytes: "unsupported",
      temperatureCelsius: "unsupported",
      pcieTxKilobytesPerSecond: "unsupported",
    });
  });

  test("when its file is refused, until it is not", () => {
    using tree = sysfsTree(mi300);
    const { only } = collectorOf(tree);
    tree.breakFile(mi300, "gpu_busy_percent");
    expect(only()).toMatchObject({
      health: { state: "ok" },
      absences: { utilizationPercent: "failed" },
      readings: { memoryUtilizationPercent: 41 },
    });
    tree.erase(mi300, "gpu_busy_percent");
    tree.write(mi300, "gpu_busy_percent", "5");
    expect(only()?.readings).toMatchObject({ utilizationPercent: 5 });
  });

  test("when the list of its sensors is refused, or a sensor's label", () => {
    using tree = sysfsTree(mi300);
    tree.breakFile(mi300, "hwmon/temp2_label");
    expect(collectorOf(tree).only()?.absences).toMatchObject({
      temperatureCelsius: "failed",
      powerAverageMilliwatts: "unsupported",
    });
    tree.breakFolder(mi300);
    const { absences, readings } = collectorOf(tree).only() ?? {};
    expect(readings?.utilizationPercent).toBe(87);
    expect(absences).toMatchObject({
      temperatureCelsius: "failed",
      powerInstantMilliwatts: "failed",
      smClockMegahertz: "failed",
      pcieTxKilobytesPerSecond: "unsupported",
    });
  });

  test("of all cards when their list is refused: none is lost for that", () => {
    using tree = sysfsTree(mi300);
    const { collect } = collectorOf(tree);
    collect();
    tree.breakFolder();
    expect(collect).toThrow(/^Cannot list the cards in .*: ELOOP; look at the mount of sysfs/);
  });

  test.each(["", "n/a", "12 %", "0x10", "1e3"])("when its file says %j", (text) => {
    using tree = sysfsTree(mi300);
    tree.write(mi300, "gpu_busy_percent", text);
    const { readings, absences } = collectorOf(tree).only() ?? {};
    expect(readings?.utilizationPercent).toBeUndefined();
    expect(absences?.utilizationPercent).toBe("failed");
  });

  test.each([
    ["gpu_busy_percent", "101", "utilizationPercent"],
    ["mem_info_vram_total", "0", "memoryTotalBytes"],
    ["hwmon/power1_cap", "0", "powerLimitMilliwatts"],
    ["hwmon/temp2_input", "-273150", "temperatureCelsius"],
  ] as const)("when %s says %s, which cannot be", (file, text, name) => {
    using tree = sysfsTree(mi300);
    tree.write(mi300, file, text);
    expect(collectorOf(tree).only()?.absences[name]).toBe("implausible");
  });

  test.each([
    ["ENOENT", "unsupported"],
    ["EOPNOTSUPP", "unsupported"],
    ["EACCES", "not-permitted"],
    ["EPERM", "failed"],
    ["EINVAL", "failed"],
    ["ENODATA", "failed"],
    ["ENODEV", "failed"],
  ] as const)("after %s as %s", (code, absence) => {
    expect(absenceOfCode(code)).toBe(absence);
  });
});

describe("a card that", () => {
  test("goes is lost, keeps its index, and is well when it is back", () => {
    using tree = sysfsTree(radeon, mi300);
    const { devices, events } = collectorOf(tree);
    devices();
    tree.remove(radeon);
    const [lost, other] = devices();
    expect(lost).toMatchObject({ uuid: "0000:03:00.0", index: 0, readings: {} });
    expect(lost?.health).toEqual({
      state: "lost",
      reason: expect.stringContaining("0000:03:00.0"),
    });
    expect(new Set(Object.values(lost?.absences ?? {}))).toEqual(new Set(["failed"]));
    expect(Object.keys(lost?.absences ?? {})).toHaveLength(readingNames.length);
    expect(other).toMatchObject({ index: 1, health: { state: "ok" } });
    tree.add(radeon);
    expect(devices()[0]).toMatchObject({ health: { state: "ok" }, index: 0 });
    expect(events).toEqual(["gpu unhealthy", "gpu recovered"]);
  });

  test("goes as the last one is lost too, and no failure of all", () => {
    using tree = sysfsTree(mi300);
    const { devices } = collectorOf(tree);
    devices();
    tree.remove(mi300);
    expect(devices()).toMatchObject([{ health: { state: "lost" } }]);
  });

  test("comes into the slot of a lost one has its own name", () => {
    using tree = sysfsTree(mi300);
    const { devices } = collectorOf(tree);
    devices();
    tree.remove(mi300);
    devices();
    tree.add({ ...mi300, files: { ...mi300.files, unique_id: "aa" } });
    expect(devices()).toMatchObject([{ uuid: "amd-aa", health: { state: "ok" } }]);
  });

  test("refuses every file is failing", () => {
    using tree = sysfsTree(bareCard);
    const { only } = collectorOf(tree);
    only();
    tree.breakFile(bareCard, "gpu_busy_percent");
    expect(only()?.health).toEqual({
      state: "failing",
      reason: expect.stringContaining("gpu_busy_percent: EIO"),
    });
  });
});

test.each([
  ["no card is AMD's", [displayAdapter]],
  ["there is no card", []],
] as const)("collect() says where it looked when %s", (_case, cards) => {
  using tree = sysfsTree(...cards);
  const folder = `${tree.root}/class/drm`;
  expect(collectorOf(tree).collect).toThrow(
    expect.objectContaining({
      code: "library-missing",
      message: expect.stringContaining(folder),
      facts: { paths: [folder] },
    }),
  );
});

test("collect() finds a card that comes later", () => {
  using tree = sysfsTree();
  const { collect, devices } = collectorOf(tree);
  expect(collect).toThrow();
  tree.add(mi300);
  expect(devices()).toHaveLength(1);
});
