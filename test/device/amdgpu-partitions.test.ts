import { describe, expect, test } from "bun:test";
import { amdgpuCollector } from "#device/amdgpu/collector.ts";
import { absenceOfKfdCode } from "#device/amdgpu/partitions.ts";
import { readingNames } from "#metric/reading.ts";
import type { DeviceSample } from "#metric/sample.ts";
import { attribute, orderAllocations } from "#node/attribution.ts";
import { attributeTable, cardTable, partitionTable } from "./amdgpu-tables.ts";
import { mi300, radeon, type SysfsTree, sysfsTree, type TreeCard } from "./amdgpu-tree.ts";

const wholeUuid = "amd-9f3c0d1e2b4a5968";
const busy = (percent: number) => ({ gfx_busy_inst: percent, vcn_busy: [percent, percent + 2] });
const eight = Array.from({ length: 8 }, (_, number) => busy(10 * number));
const table = (count: number, version = "1.8") =>
  cardTable(version, { average_gfx_activity: 35, num_partition: count }, eight.slice(0, count));

const cut = (mode: string, gpuMetrics?: Uint8Array): TreeCard => ({
  ...mi300,
  files: {
    ...mi300.files,
    current_compute_partition: mode,
    ...(gpuMetrics === undefined ? {} : { gpu_metrics: gpuMetrics }),
  },
});
const second: TreeCard = {
  card: 9,
  pci: "0000:d1:00.0",
  renderMinor: 136,
  files: { device: "0x74a1", unique_id: "aa", current_compute_partition: "SPX" },
};

/** The seven nodes that the driver makes for a card, after the card's own. */
function addNodes(
  tree: SysfsTree,
  first: number,
  minor: number,
  tables: readonly Uint8Array[] = [],
) {
  for (let nth = 0; nth < 7; nth += 1)
    tree.addPartition({
      name: `amdgpu_xcp_${first + nth}`,
      renderMinor: minor + nth,
      ...(tables[nth] === undefined ? {} : { table: tables[nth] }),
    });
}

function collectorOf({ root }: SysfsTree) {
  const events: string[] = [];
  const log = (_level: string, event: string) => events.push(event);
  const collector = amdgpuCollector({ sysfsRoot: root, log });
  return { devices: () => collector.collect({ pcieThroughput: false }).devices, events };
}
const uuidsOf = (devices: readonly DeviceSample[]) => devices.map(({ uuid }) => uuid);
const utilizations = (devices: readonly DeviceSample[]) =>
  devices.map(({ readings }) => readings.utilizationPercent);

describe("a partitioned card", () => {
  test("is listed with its partitions behind it, each with its own node and readings", () => {
    using tree = sysfsTree(cut("CPX", table(8)));
    addNodes(tree, 30, 129);
    const { devices, events } = collectorOf(tree);
    const [whole, ...parts] = devices();
    expect(whole).toMatchObject({ uuid: wholeUuid, minor: 128, isPartitioned: true });
    expect(whole?.readings.utilizationPercent).toBe(87);
    expect(parts).toHaveLength(8);
    expect(parts[0]).toMatchObject({
      uuid: `${wholeUuid}-cpx0`,
      index: 0,
      vendor: "amd",
      model: "AMD Instinct MI300X OAM CPX",
      minor: 128,
      pciBusId: "0000:c1:00.0",
      parentUuid: wholeUuid,
      partitionName: "0000:c1:00.0",
      health: { state: "ok" },
    });
    expect(parts[3]).toMatchObject({
      uuid: `${wholeUuid}-cpx3`,
      minor: 131,
      parentUuid: wholeUuid,
      partitionName: "amdgpu_xcp_32",
    });
    expect(parts.map(({ isPartitioned }) => isPartitioned)).toEqual(Array(8).fill(undefined));
    expect(utilizations(parts)).toEqual([0, 10, 20, 30, 40, 50, 60, 70]);
    expect(parts[3]?.readings).toEqual({ utilizationPercent: 30, decoderPercent: 31 });
    expect(events).toEqual([]);
  });

  test.each(["1.6", "1.7"])("of table %s too", (version) => {
    using tree = sysfsTree(cut("QPX", table(4, version)));
    addNodes(tree, 0, 129);
    expect(utilizations(collectorOf(tree).devices().slice(1))).toEqual([0, 10, 20, 30]);
  });

  test("has every reading of a partition either there or absent, and none of the whole's", () => {
    using tree = sysfsTree(cut("DPX", table(2)));
    addNodes(tree, 0, 129);
    for (const { readings, absences } of collectorOf(tree).devices().slice(1)) {
      expect(Object.keys({ ...readings, ...absences }).toSorted()).toEqual(readingNames.toSorted());
      expect(Object.keys(readings)).toEqual(["utilizationPercent", "decoderPercent"]);
      expect(new Set(Object.values(absences))).toEqual(new Set(["unsupported"]));
    }
  });

  test("is read by the partitions' own tables where the kernel has them", () => {
    const own = (percent: number) =>
      partitionTable({ ...busy(percent), current_gfxclk: [1900, 2000] });
    const list = attributeTable("1.1", [{ id: 40, unit: 10, type: 4, values: [66, 68] }]);
    using tree = sysfsTree(cut("CPX"));
    tree.write(mi300, "xcp/xcp_metrics", own(5));
    addNodes(tree, 0, 129, [own(15), list]);
    const [, ...parts] = collectorOf(tree).devices();
    expect(utilizations(parts)).toEqual([5, 15, 67]);
    expect(parts[1]?.readings).toEqual({
      utilizationPercent: 15,
      decoderPercent: 16,
      smClockMegahertz: 2000,
    });
  });

  test("has its memory from KFD, where that may be read", () => {
    using tree = sysfsTree(cut("DPX", table(2)));
    addNodes(tree, 0, 129);
    tree.addKfdNode(1, 0, 540_000_000_000);
    tree.addKfdNode(2, 128, 103_000_000_000);
    tree.addKfdNode(3, 129, 103_000_000_001);
    const { devices } = collectorOf(tree);
    const totals = () => devices().map(({ readings }) => readings.memoryTotalBytes);
    expect(totals()).toEqual([206_141_652_992, 103_000_000_000, 103_000_000_001]);
    tree.breakKfdNode(3);
    expect(totals()).toEqual([206_141_652_992, 103_000_000_000, undefined]);
    expect(devices()[2]?.absences).toMatchObject({
      memoryTotalBytes: "failed",
      memoryUsedBytes: "unsupported",
    });
  });

  test.each([
    ["EPERM", "not-permitted"],
    ["ENOENT", "unsupported"],
    ["EIO", "failed"],
  ] as const)("has no memory after %s of KFD, as %s", (code, absence) => {
    expect(absenceOfKfdCode(code)).toBe(absence);
  });

  test("is told from another, and from one that cannot be cut", () => {
    using tree = sysfsTree(cut("DPX", table(2)), second, { ...radeon, renderMinor: 144 });
    addNodes(tree, 7, 137);
    addNodes(tree, 0, 129);
    const { devices } = collectorOf(tree);
    expect(devices().map(({ partitionName, minor }) => [partitionName, minor])).toEqual([
      [undefined, 144],
      [undefined, 128],
      ["0000:c1:00.0", 128],
      ["amdgpu_xcp_0", 129],
      [undefined, 136],
    ]);
    tree.write(second, "current_compute_partition", "TPX");
    expect(
      devices()
        .slice(4)
        .map(({ partitionName }) => partitionName),
    ).toEqual([undefined, "0000:d1:00.0", "amdgpu_xcp_7", "amdgpu_xcp_8"]);
  });

  test("is cut anew: the parts have other names", () => {
    using tree = sysfsTree(cut("DPX", table(2)));
    addNodes(tree, 0, 129);
    const { devices } = collectorOf(tree);
    expect(uuidsOf(devices())).toEqual([wholeUuid, `${wholeUuid}-dpx0`, `${wholeUuid}-dpx1`]);
    tree.write(mi300, "current_compute_partition", "QPX");
    tree.write(mi300, "gpu_metrics", table(4));
    expect(uuidsOf(devices()).slice(1)).toEqual(
      [0, 1, 2, 3].map((nth) => `${wholeUuid}-qpx${nth}`),
    );
    tree.write(mi300, "current_compute_partition", "SPX");
    expect(devices()).toMatchObject([{ uuid: wholeUuid, isPartitioned: undefined }]);
  });

  test("keeps its partitions while its table or its mode is refused", () => {
    using tree = sysfsTree(cut("CPX", table(8)));
    addNodes(tree, 0, 129);
    const { devices, events } = collectorOf(tree);
    expect(devices()).toHaveLength(9);
    tree.breakFile(mi300, "current_compute_partition");
    tree.write(mi300, "gpu_metrics", new Uint8Array(7));
    const [, ...parts] = devices();
    expect(uuidsOf(parts)[7]).toBe(`${wholeUuid}-cpx7`);
    expect(parts[7]).toMatchObject({ readings: {}, absences: { utilizationPercent: "failed" } });
    expect(events).toEqual([]);
  });

  test("that is lost is lost in all its parts", () => {
    using tree = sysfsTree(cut("DPX", table(2)));
    addNodes(tree, 0, 129);
    const { devices } = collectorOf(tree);
    devices();
    tree.remove(mi300);
    const lost = devices();
    expect(uuidsOf(lost)).toEqual([wholeUuid, `${wholeUuid}-dpx0`, `${wholeUuid}-dpx1`]);
    for (const { health, readings, absences } of lost) {
      expect({ state: health.state, readings }).toEqual({ state: "lost", readings: {} });
      expect(new Set(Object.values(absences))).toEqual(new Set(["failed"]));
    }
  });
});

describe("a partitioned card is one device that no pod holds, and the log says so once,", () => {
  test.each<[string, string, number]>([
    ["CPX of which no table tells the number", "CPX", 7],
    ["with a node too few", "DPX", 6],
    ["with a node too many", "DPX", 8],
    ["without nodes", "DPX", 0],
  ])("%s", (_case, mode, count) => {
    using tree = sysfsTree(cut(mode));
    for (let nth = 0; nth < count; nth += 1)
      tree.addPartition({ name: `amdgpu_xcp_${nth}`, renderMinor: 129 + nth });
    const { devices, events } = collectorOf(tree);
    devices();
    expect(devices()).toMatchObject([{ uuid: wholeUuid, isPartitioned: true }]);
    expect(events).toEqual(["gpu partitions cannot be told apart"]);
  });

  test("when a node lies before the card's own", () => {
    using tree = sysfsTree({ ...cut("DPX"), renderMinor: 130 });
    addNodes(tree, 0, 131);
    tree.addPartition({ name: "amdgpu_xcp_9", renderMinor: 129 });
    expect(collectorOf(tree).devices()).toHaveLength(1);
  });
});

describe("a pod holds", () => {
  const allocation = { namespace: "default", pod: "p", container: "main" };
  const plugin = (id: string) => ({ ...allocation, resource: "amd.com/cpx_nps4", id });
  const claim = (id: string) => ({
    ...allocation,
    resource: "gpu.amd.com",
    id,
    resourceClaim: "default/c",
  });

  test.each([
    ["the first partition, by the card's address", plugin("0000:c1:00.0"), "cpx0"],
    ["another partition, by its platform device", plugin("amdgpu_xcp_2"), "cpx3"],
    ["a time slice of a partition", plugin("amdgpu_xcp_2-slice-1"), "cpx3"],
    ["the first partition, by a claim", claim("gpu-1-128"), "cpx0"],
    ["another partition, by a claim", claim("gpu-4-131"), "cpx3"],
  ])("%s", (_what, held, part) => {
    using tree = sysfsTree(cut("CPX", table(8)));
    addNodes(tree, 0, 129);
    const { holders, unmatchedIds } = attribute(
      collectorOf(tree).devices(),
      orderAllocations([], [held]),
    );
    expect([...holders.keys()]).toEqual([`${wholeUuid}-${part}`]);
    expect(unmatchedIds).toEqual([]);
  });
});
