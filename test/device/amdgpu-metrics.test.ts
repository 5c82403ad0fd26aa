import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { amdgpuCollector } from "#device/amdgpu/collector.ts";
import { cardLayouts, partitionLayouts } from "#device/amdgpu/metrics-layout.ts";
import { parseMetricsTable } from "#device/amdgpu/metrics-table.ts";
import { isPlausible, type ReadingName, type Readings, readingNames } from "#metric/reading.ts";
import {
  attributeTable,
  cardStruct,
  cardTable,
  cardVersions,
  type Place,
  partitionFileStruct,
  partitionStruct,
  type Struct,
  type TableAttribute,
} from "./amdgpu-tables.ts";
import {
  bareCard,
  mi300,
  radeon,
  type SysfsTree,
  sysfsTree,
  type TreeCard,
} from "./amdgpu-tree.ts";

/** As a C compiler for x86-64 has them. */
const compiledSizes: Readonly<Record<string, number>> = {
  "1.0": 80,
  "1.1": 96,
  "1.2": 104,
  "1.3": 120,
  "1.4": 288,
  "1.5": 360,
  "1.6": 1664,
  "1.7": 2208,
  "1.8": 3872,
  "2.0": 120,
  "2.1": 120,
  "2.2": 128,
  "2.3": 152,
  "2.4": 168,
  "3.0": 264,
};

describe("the layout of a table is the header's", () => {
  type Places = readonly (readonly [string, unknown])[];
  const placesOf = (members: (typeof cardLayouts)[string]["members"]): Places =>
    Object.values(members).map(({ name, ...place }) => [name, placeOf(place)]);
  const placeOf = ({ offset, bytes, count }: Place): Place => ({ offset, bytes, count });
  const placesIn = ({ places }: Struct, wanted: Places): Places =>
    wanted.map(([name]) => [name, places.get(name)]);

  test("in the versions that there are, and their sizes", () => {
    expect(Object.keys(cardLayouts)).toEqual(cardVersions);
    const sizes = Object.entries(cardLayouts).map(([version, { sizeBytes }]) => [
      version,
      sizeBytes,
    ]);
    expect(Object.fromEntries(sizes)).toEqual(compiledSizes);
    expect(partitionLayouts["1.0"]?.sizeBytes).toBe(488);
  });

  test.each(cardVersions)("%s: every member that is read", (version) => {
    const { sizeBytes, members, partitions } = cardLayouts[version] ?? { members: {} };
    const shape = cardStruct(version);
    expect(shape.sizeBytes).toBe(sizeBytes ?? 0);
    const places = placesOf(members);
    expect(places).toEqual(placesIn(shape, places));
    if (partitions === undefined) return;
    const { name, offset, strideBytes, count } = partitions;
    expect(shape.places.get(name)).toEqual({ offset, bytes: strideBytes, count });
    const inner = placesOf(partitions.members);
    expect(inner).toEqual(placesIn(partitionStruct(version), inner));
  });

  test("of a partition's file", () => {
    const places = placesOf(partitionLayouts["1.0"]?.members ?? {});
    expect(places).not.toBeEmpty();
    expect(places).toEqual(placesIn(partitionFileStruct, places));
  });
});

/** Readings that a card of each kind has, and whether from a file of their own or from the table. */
const mi300Table = {
  temperature_hotspot: 65,
  temperature_mem: 52,
  curr_socket_power: 600,
  average_gfx_activity: 86,
  average_umc_activity: 40,
  energy_accumulator: 65_536_000,
  current_gfxclk: [2100, 2000],
  current_uclk: 1300,
};
const onePartition = { gfx_busy_inst: [86, 88], vcn_busy: [20, 40], jpeg_busy: [10, 20, 30] };
const mi300Readings: Readings = { energyMillijoules: 1_000_000 };
const video: Readings = { decoderPercent: 30, jpegPercent: 20 };

const mi250: TreeCard = {
  card: 4,
  pci: "0000:c9:00.0",
  files: {
    device: "0x740c",
    gpu_busy_percent: "55",
    gpu_metrics: cardTable("1.3", {
      temperature_edge: 50,
      temperature_hotspot: 60,
      temperature_mem: 58,
      average_gfx_activity: 54,
      average_umc_activity: 33,
      average_mm_activity: 0,
      average_socket_power: 300,
      energy_accumulator: 1000,
      current_gfxclk: 1700,
      current_uclk: 1600,
    }),
  },
};
const withTable = (card: TreeCard, table: Uint8Array): TreeCard => ({
  ...card,
  files: { ...card.files, gpu_metrics: table },
});
const steamDeck: TreeCard = {
  card: 7,
  pci: "0000:04:00.0",
  files: {
    gpu_metrics: cardTable("2.4", {
      temperature_gfx: 4512,
      average_gfx_activity: 3760,
      average_mm_activity: 1200,
      average_socket_power: 9500,
      current_gfxclk: 1600,
      current_uclk: 800,
    }),
  },
};

const attribute = (
  id: number,
  unit: number,
  type: number,
  ...values: readonly number[]
): TableAttribute => ({ id, unit, type, values });
const mi350Attributes = [
  attribute(0, 2, 2, 65),
  attribute(1, 2, 2, 52),
  attribute(3, 3, 2, 600),
  attribute(4, 10, 2, 86),
  attribute(5, 10, 2, 40),
  attribute(7, 0, 6, 65_536_000),
  // That of a link, which is not read and lies between.
  attribute(19, 7, 4, 320),
  attribute(33, 1, 2, 2100, 2000, 0xffff),
  attribute(37, 1, 2, 1300),
  attribute(40, 10, 4, 86, 88),
  attribute(41, 10, 2, 10, 20, 30, 0xffff),
  attribute(42, 10, 2, 20, 40),
] as const;

/** What the table adds to the files, by kind of card. */
const kinds: readonly (readonly [string, TreeCard, Readings])[] = [
  [
    "an MI250 with 1.3: no unit of energy is told, and its video activity is no reading",
    mi250,
    {
      memoryUtilizationPercent: 33,
      temperatureCelsius: 50,
      memoryTemperatureCelsius: 58,
      powerAverageMilliwatts: 300_000,
      smClockMegahertz: 1700,
      memoryClockMegahertz: 1600,
    },
  ],
  [
    "an RX 7900 with 1.3",
    withTable(
      radeon,
      cardTable("1.3", { temperature_edge: 90, temperature_mem: 60, current_gfxclk: 500 }),
    ),
    { memoryTemperatureCelsius: 60, smClockMegahertz: 500 },
  ],
  [
    "a card with 1.0",
    withTable(bareCard, cardTable("1.0", { temperature_hotspot: 70, average_socket_power: 200 })),
    { temperatureCelsius: 70, powerAverageMilliwatts: 200_000 },
  ],
  [
    "an MI300 with 1.4",
    withTable(mi300, cardTable("1.4", { ...mi300Table, vcn_activity: [20, 40] })),
    { ...mi300Readings, decoderPercent: 30 },
  ],
  [
    "an MI300 with 1.5",
    withTable(
      mi300,
      cardTable("1.5", { ...mi300Table, vcn_activity: [20, 40], jpeg_activity: [10, 20, 30] }),
    ),
    { ...mi300Readings, ...video },
  ],
  ...["1.6", "1.7", "1.8"].map(
    (version) =>
      [
        `an MI300 with ${version}`,
        withTable(mi300, cardTable(version, { ...mi300Table, num_partition: 1 }, [onePartition])),
        { ...mi300Readings, ...video },
      ] as const,
  ),
  [
    "an MI350 with 1.9",
    withTable(mi300, attributeTable("1.9", mi350Attributes)),
    { ...mi300Readings, ...video },
  ],
  ...["2.0", "2.1", "2.2", "2.3"].map(
    (version) =>
      [
        `an APU with ${version}, which has no units`,
        withTable(bareCard, cardTable(version, { average_gfx_activity: 50, temperature_gfx: 40 })),
        {},
      ] as const,
  ),
  [
    "an APU with 2.4, whose activities have two units",
    steamDeck,
    {
      temperatureCelsius: 45,
      powerAverageMilliwatts: 9500,
      smClockMegahertz: 1600,
      memoryClockMegahertz: 800,
    },
  ],
  [
    "an APU with 3.0, whose activities have too",
    withTable(
      bareCard,
      cardTable("3.0", {
        average_gfx_activity: 50,
        average_socket_power: 28_000,
        average_gfxclk_frequency: 2700,
        average_uclk_frequency: 1000,
      }),
    ),
    { powerAverageMilliwatts: 28_000, smClockMegahertz: 2700, memoryClockMegahertz: 1000 },
  ],
];

function collectorOf({ root }: SysfsTree) {
  const events: [string, unknown][] = [];
  const log = (_level: string, event: string, facts?: unknown) => events.push([event, facts]);
  const collector = amdgpuCollector({ sysfsRoot: root, log });
  const only = () => collector.collect({ pcieThroughput: false }).devices[0];
  return { only, events };
}

const names = (readings: Readings = {}) => Object.keys(readings).toSorted();

describe("a table adds what no file gives to", () => {
  test.each(kinds)("%s", (_kind, card, added) => {
    using tree = sysfsTree(card);
    const { only, events } = collectorOf(tree);
    const { readings: all = {}, absences = {} } = only() ?? {};
    expect(names({ ...all, ...absences } as Readings)).toEqual(readingNames.toSorted());
    tree.erase(card, "gpu_metrics");
    const files = only()?.readings ?? {};
    expect(all).toEqual({ ...added, ...files });
    expect(names(added).filter((name) => name in files)).toEqual([]);
    expect(events).toEqual([]);
  });

  test("a card whose own file is refused", () => {
    const card = withTable(mi300, cardTable("1.4", mi300Table));
    using tree = sysfsTree(card);
    tree.breakFile(card, "gpu_busy_percent");
    tree.write(card, "mem_busy_percent", "300");
    expect(collectorOf(tree).only()).toMatchObject({
      readings: { utilizationPercent: 86, memoryUtilizationPercent: 40 },
      health: { state: "ok" },
    });
  });

  test("a card that has a file of the video engine, which is the better source", () => {
    const card = withTable(mi300, cardTable("1.4", { ...mi300Table, vcn_activity: [20, 40] }));
    using tree = sysfsTree(card);
    tree.write(card, "vcn_busy_percent", "7");
    expect(collectorOf(tree).only()?.readings.decoderPercent).toBe(7);
  });

  test("a card of which an engine is not there: it has no part in the mean", () => {
    const table = cardTable("1.4", { ...mi300Table, vcn_activity: [20, 0xffff, 0xffff, 50] });
    using tree = sysfsTree(withTable(mi300, table));
    expect(collectorOf(tree).only()?.readings.decoderPercent).toBe(35);
  });
});

describe("a table gives no reading", () => {
  const idle = withTable(
    bareCard,
    cardTable("1.3", { average_gfx_activity: 0, average_socket_power: 0 }),
  );

  test("of power that is 0, as of a board's second die", () => {
    using tree = sysfsTree(idle);
    expect(collectorOf(tree).only()?.absences.powerAverageMilliwatts).toBe("unsupported");
  });

  test("of what cannot be", () => {
    using tree = sysfsTree(withTable(bareCard, cardTable("1.3", { temperature_hotspot: 6500 })));
    expect(collectorOf(tree).only()?.absences.temperatureCelsius).toBe("implausible");
  });

  const good = cardTable("1.4", mi300Table);
  test.each<[string, Uint8Array]>([
    ["no header", good.slice(0, 3)],
    ["a header alone", good.slice(0, 4)],
    ["less than it says", good.slice(0, good.length - 1)],
    ["more than it says", new Uint8Array([...good, 0])],
    ["a list that ends early", attributeTable("1.9", mi350Attributes).slice(0, 40)],
  ])("when it has %s, and is looked for again", (_what, bytes) => {
    const card = withTable(mi300, bytes);
    using tree = sysfsTree(card);
    const { only, events } = collectorOf(tree);
    expect(only()).toMatchObject({
      health: { state: "ok" },
      readings: { utilizationPercent: 87 },
      absences: { energyMillijoules: "failed", pcieTxKilobytesPerSecond: "unsupported" },
    });
    tree.write(card, "gpu_metrics", good);
    expect(only()?.readings.energyMillijoules).toBe(1_000_000);
    expect(events).toEqual([]);
  });

  test("when its file is empty, as of a chip that has none", () => {
    using tree = sysfsTree(withTable(mi300, new Uint8Array(0)));
    const { only, events } = collectorOf(tree);
    expect(only()?.absences.energyMillijoules).toBe("unsupported");
    expect(events).toEqual([]);
  });

  const ofVersion = (format: number, content: number, sizeBytes = 288) => {
    const bytes = new Uint8Array(sizeBytes);
    bytes.set([sizeBytes & 0xff, sizeBytes >> 8, format, content]);
    return bytes;
  };
  test.each<[string, Uint8Array, string]>([
    ["is not known", ofVersion(1, 10), "1.10"],
    ["is of the far future", ofVersion(255, 255), "255.255"],
    ["has another size than it should", ofVersion(1, 4, 280), "1.4"],
    ["has an attribute of no known type", attributeTable("1.9", [attribute(0, 2, 9, 65)]), "1.9"],
  ])("when its version %s, which is logged once", (_what, bytes, version) => {
    using tree = sysfsTree(withTable(mi300, bytes));
    const { only, events } = collectorOf(tree);
    only();
    expect(only()?.absences.energyMillijoules).toBe("unsupported");
    expect(events).toEqual([
      [
        "gpu metrics table of an unknown version",
        { uuid: "amd-9f3c0d1e2b4a5968", file: "gpu_metrics", version },
      ],
    ]);
  });

  test("of an attribute in another unit", () => {
    const table = attributeTable("1.9", [attribute(4, 0, 2, 40), attribute(5, 10, 2, 41)]);
    using tree = sysfsTree(withTable({ ...bareCard, files: {} }, table));
    expect(collectorOf(tree).only()?.readings).toEqual({ memoryUtilizationPercent: 41 });
  });
});

describe("any bytes", () => {
  /** Some with a header that fits, so that what lies behind it is read. */
  const tables = fc.oneof(
    fc.uint8Array({ maxLength: 512 }),
    fc
      .tuple(fc.constantFrom(...cardVersions), fc.uint8Array({ maxLength: 3900 }))
      .map(([version, noise]) => {
        const bytes = cardTable(version, {});
        bytes.set(noise.slice(0, bytes.length - 4), 4);
        return bytes;
      }),
    fc.uint8Array({ minLength: 4, maxLength: 400 }).map((noise) => {
      const bytes = Uint8Array.from(noise);
      bytes.set([bytes.length & 0xff, bytes.length >> 8, 1, 9]);
      return bytes;
    }),
  );

  test.each(["card", "partition"] as const)("of a %s are a table or none, and no error", (kind) => {
    fc.assert(
      fc.property(tables, (bytes) => {
        const table = parseMetricsTable(kind, bytes);
        expect("problem" in table || table.partitions.length <= 8).toBe(true);
      }),
    );
  });

  test("give readings that can be, and absences", () => {
    using tree = sysfsTree(mi300);
    const { only } = collectorOf(tree);
    fc.assert(
      fc.property(tables, (bytes) => {
        tree.write(mi300, "gpu_metrics", bytes);
        const { readings = {}, absences = {} } = only() ?? {};
        expect(names({ ...readings, ...absences } as Readings)).toEqual(readingNames.toSorted());
        for (const [name, value] of Object.entries(readings))
          expect(isPlausible(name as ReadingName, value)).toBe(true);
        expect(Object.keys(readings).filter((name) => name in absences)).toEqual([]);
      }),
    );
  });
});
