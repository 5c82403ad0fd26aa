import { describe, expect, test } from "bun:test";
import { builtInTable, exporterNames } from "#device/exporter/tables.ts";
import { type ReadingName, type Readings, readingNames } from "#metric/reading.ts";
import type { DeviceIdentity, DeviceSample } from "#metric/sample.ts";
import { attribute, orderAllocations } from "#node/attribution.ts";
import { collectorOn, exporterServer, pageNamed } from "./exporter-server.ts";

const MiB = 1024 ** 2;

/** What the two devices of each page have, by its `# HELP` and the exporter's documentation. */
const expected: Readonly<Record<string, readonly [Readings, Readings]>> = {
  gaudi: [
    {
      utilizationPercent: 87,
      memoryUsedBytes: 96 * 1024 ** 3,
      memoryTotalBytes: 128 * 1024 ** 3,
      temperatureCelsius: 58,
      powerInstantMilliwatts: 612_000,
      smClockMegahertz: 1600,
    },
    {
      utilizationPercent: 0,
      memoryUsedBytes: 694_362_110,
      memoryTotalBytes: 128 * 1024 ** 3,
      temperatureCelsius: 39,
      powerInstantMilliwatts: 231_000,
      smClockMegahertz: 800,
    },
  ],
  neuron: [
    { utilizationPercent: 86.331_018_799_769_85, memoryUsedBytes: 69_434_784 },
    { utilizationPercent: 25, memoryUsedBytes: 1_024 },
  ],
  tpu: [
    {
      utilizationPercent: 75,
      memoryUsedBytes: 19_809_894_400,
      memoryTotalBytes: 33_550_237_696,
      tensorUtilizationPercent: 42.5,
      dramBandwidthPercent: 31,
    },
    { tensorUtilizationPercent: 0, dramBandwidthPercent: 0 },
  ],
  xpum: [
    {
      utilizationPercent: 64,
      memoryUsedBytes: 31_000_000_000,
      dramBandwidthPercent: 17,
      temperatureCelsius: 54,
      memoryTemperatureCelsius: 47,
      powerAverageMilliwatts: 212_400,
      energyMillijoules: 48_213_500,
      smClockMegahertz: 1550,
    },
    {
      utilizationPercent: 0,
      memoryUsedBytes: 42_000_000,
      dramBandwidthPercent: 0,
      temperatureCelsius: 41,
      memoryTemperatureCelsius: 38,
      powerAverageMilliwatts: 120_000,
      energyMillijoules: 30_100_250,
      smClockMegahertz: 300,
    },
  ],
  amd: [
    {
      utilizationPercent: 91,
      memoryUtilizationPercent: 22,
      memoryUsedBytes: 150_000 * MiB,
      memoryTotalBytes: 196_592 * MiB,
      temperatureCelsius: 61,
      memoryTemperatureCelsius: 53,
      powerInstantMilliwatts: 534_000,
      energyMillijoules: 1_270_000_000,
      eccCorrectedErrors: 3,
      eccUncorrectedErrors: 0,
    },
    {
      utilizationPercent: 0,
      memoryUtilizationPercent: 0,
      memoryUsedBytes: 284 * MiB,
      memoryTotalBytes: 196_592 * MiB,
      temperatureCelsius: 44,
      memoryTemperatureCelsius: 40,
      energyMillijoules: 990_000_000,
      eccCorrectedErrors: 0,
      eccUncorrectedErrors: 0,
    },
  ],
  dcgm: [
    {
      utilizationPercent: 97,
      memoryUtilizationPercent: 41,
      memoryUsedBytes: 60_480 * MiB,
      memoryTotalBytes: 81_559 * MiB,
      temperatureCelsius: 52,
      memoryTemperatureCelsius: 48,
      powerInstantMilliwatts: 412_345,
      energyMillijoules: 8_123_456_789,
      smClockMegahertz: 1980,
      memoryClockMegahertz: 2619,
      encoderPercent: 0,
      decoderPercent: 0,
      pcieTxKilobytesPerSecond: 2_500,
      pcieRxKilobytesPerSecond: 7_500,
      tensorUtilizationPercent: 31.25,
      dramBandwidthPercent: 25,
    },
    {
      utilizationPercent: 0,
      memoryUtilizationPercent: 0,
      memoryUsedBytes: 960 * MiB,
      memoryTotalBytes: 81_559 * MiB,
      temperatureCelsius: 33,
      powerInstantMilliwatts: 70_120,
      energyMillijoules: 7_000_000_000,
      smClockMegahertz: 345,
      memoryClockMegahertz: 2619,
      encoderPercent: 0,
      decoderPercent: 0,
      pcieTxKilobytesPerSecond: 1,
      pcieRxKilobytesPerSecond: 0,
      tensorUtilizationPercent: 0,
      dramBandwidthPercent: 0,
    },
  ],
};

async function devicesOn(name: string): Promise<readonly DeviceSample[]> {
  using server = exporterServer(pageNamed(name));
  const { devices, close } = collectorOn({ table: name, url: server.url });
  const found = await devices();
  close();
  return found;
}

describe.each([...exporterNames])("a page of %s", (name) => {
  test("gives each device its readings, in our units", async () => {
    const devices = await devicesOn(name);
    const [one, other] = expected[name] ?? [];
    expect(devices).toHaveLength(2);
    for (const [position, readings] of [one, other].entries()) {
      const device = devices[position];
      expect(device?.readings).toEqual(readings ?? {});
      expect(device?.health).toEqual({ state: "ok" });
      const absent = readingNames.filter((each) => readings?.[each] === undefined);
      const unsupported = absent.map((each): [ReadingName, string] => [
        each,
        // Of an exporter that collects by itself it takes two of its collections.
        name === "dcgm" && each === "powerFromEnergyMilliwatts" ? "pending" : "unsupported",
      ]);
      expect(device?.absences).toEqual(Object.fromEntries(unsupported));
    }
  });

  test("has a source for each table, by day and version", () => {
    const { source, version, date } = builtInTable(name);
    expect(source.every((url) => url.startsWith("https://"))).toBe(true);
    expect(version).not.toBe("");
    expect(new Date(date).toISOString()).toStartWith(date);
  });
});

describe("identity", () => {
  const identityOf = async (name: string) => {
    const [one] = await devicesOn(name);
    const { uuid, index, vendor, model, pciBusId } = one as DeviceIdentity;
    return [uuid, index, vendor, model, pciBusId];
  };
  test.each<[string, readonly (string | number | undefined)[]]>([
    ["gaudi", ["01P4-HL3090A0-18-U4V193-22-07-00", 0, "intel", "Intel Gaudi", undefined]],
    [
      "neuron",
      ["i-09db9b55e0095612f-neuroncore-2", 2, "aws", "NeuronCore of trn1.32xlarge", undefined],
    ],
    ["tpu", ["1234567890123456789-4", 4, "google", "tpu-v6e-slice", undefined]],
    [
      "xpum",
      [
        "00000000-0000-0000-0000-000000410bda",
        0,
        "intel",
        "Intel(R) Data Center GPU Max 1100",
        "0000:41:00.0",
      ],
    ],
    ["amd", ["node-1-gpu-0", 0, "amd", "AMD 102-G30211-0C", undefined]],
    [
      "dcgm",
      [
        "GPU-a8394b51-c086-568a-9f1a-c1e1c934c440",
        0,
        "nvidia",
        "NVIDIA H100 80GB HBM3",
        "0000:3b:00.0",
      ],
    ],
  ])("of the first device of %s", async (name, identity) => {
    expect(await identityOf(name)).toEqual([...identity]);
  });
});

describe("the kubelet's list names the holder by the plugin's own id", () => {
  const holdersBy = async (
    name: string,
    ...ids: readonly (readonly [string, string, string?])[]
  ) => {
    const devices = await devicesOn(name);
    const allocations = ids.map(([resource, id, pod = "chat-0"]) => ({
      ...{ namespace: "serving", pod, container: "engine" },
      ...{ resource, id },
    }));
    const { holders, foreignIds, unmatchedIds } = attribute(
      devices,
      orderAllocations([], allocations),
    );
    expect([foreignIds, unmatchedIds]).toEqual([0, []]);
    return devices.map(({ uuid }) =>
      holders.get(uuid)?.map(({ pod, sharedBy }) => [pod, sharedBy]),
    );
  };
  const alone = [["chat-0", undefined]];

  test("of Gaudi by the serial number", async () => {
    expect(await holdersBy("gaudi", ["habana.ai/gaudi", "AM50044444"])).toEqual([undefined, alone]);
  });
  test("of NVIDIA by the UUID, also where it is divided in time", async () => {
    const id = "GPU-a8394b51-c086-568a-9f1a-c1e1c934c441";
    expect(await holdersBy("dcgm", ["nvidia.com/gpu", id])).toEqual([undefined, alone]);
    const slices = [
      ["nvidia.com/gpu.shared", `${id}::0`, "a"],
      ["nvidia.com/gpu.shared", `${id}::1`, "b"],
    ] as const;
    expect((await holdersBy("dcgm", ...slices))[1]).toEqual([
      ["a", 2],
      ["b", 2],
    ]);
  });
  test("of Neuron by the core, or by the device that the core is of", async () => {
    expect(await holdersBy("neuron", ["aws.amazon.com/neuroncore", "3"])).toEqual([
      undefined,
      alone,
    ]);
    for (const resource of ["aws.amazon.com/neuron", "aws.amazon.com/neurondevice"])
      expect(await holdersBy("neuron", [resource, "1"])).toEqual([alone, alone]);
  });
  test("of Intel's GPUs by the device file and the number of the share", async () => {
    const shares = [
      ["gpu.intel.com/i915", "card1-0", "a"],
      ["gpu.intel.com/i915", "card1-1", "b"],
      ["gpu.intel.com/xe", "card2-0", "c"],
    ] as const;
    expect(await holdersBy("xpum", ...shares)).toEqual([
      [
        ["a", 2],
        ["b", 2],
      ],
      [["c", 1]],
    ]);
  });
});

test("another resource's id of the same text is no id of a Gaudi", async () => {
  const devices = await devicesOn("gaudi");
  const holder = { namespace: "serving", pod: "chat-0", container: "engine" };
  const allocation = { ...holder, resource: "example.com/disk", id: "AM50044444" };
  const { holders, foreignIds } = attribute(devices, orderAllocations([], [allocation]));
  expect([holders.size, foreignIds]).toEqual([0, 1]);
});

test("exporters that the kubelet's ids cannot be joined with name the container themselves", async () => {
  for (const name of ["tpu", "amd"]) {
    const [one, other] = await devicesOn(name);
    expect(one?.pluginIds).toBeUndefined();
    expect(one?.namedHolders).toEqual([{ namespace: "serving", pod: "chat-0", container: "vllm" }]);
    expect(other?.namedHolders).toEqual([]);
  }
});
