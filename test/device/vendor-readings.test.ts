/** The lists that docs/reference.md is made of, against what collectors really give. */
import { expect, test } from "bun:test";
import { amdgpuReadings } from "#device/amdgpu/readings.ts";
import { nvmlReadings } from "#device/nvml/reading-names.ts";
import { chooseCollector } from "#device/worker.ts";
import { type ReadingName, readingNames } from "#metric/reading.ts";
import { nvmlStandin } from "../nvml-standin/control.ts";
import { manualClock } from "../support/manual-clock.ts";
import { mi300, sysfsTree } from "./amdgpu-tree.ts";

const tools = { clock: manualClock(), log: () => {}, sleep: () => {} };
const derived: ReadingName = "powerFromEnergyMilliwatts";

/** What is there, or may come with the next sample; made from the energy counter, it is every vendor's. */
async function givenBy(options: Parameters<typeof chooseCollector>[0]) {
  const { collect, close } = chooseCollector(options, tools);
  const { devices } = await collect({ pcieThroughput: true });
  close();
  const has = devices.map(({ absences }) => absences);
  return readingNames.filter((name) => has.some((absences) => absences[name] !== "unsupported"));
}

test("a card of AMD's gives nothing that the list has not", async () => {
  using tree = sysfsTree(mi300);
  const names = await givenBy({ collector: "amdgpu", sysfsRoot: tree.root });
  expect(names.filter((name) => !amdgpuReadings.has(name) && name !== derived)).toEqual([]);
  expect(names.length).toBeGreaterThan(5);
});

test("a GPU of NVIDIA's gives nothing that the list has not", async () => {
  const nvml = await nvmlStandin({});
  nvml.attach();
  try {
    const names = await givenBy({ collector: "nvml", nvmlLibrary: nvml.libraryPath });
    expect(names.filter((name) => !nvmlReadings.has(name) && name !== derived)).toEqual([]);
    expect(names.length).toBeGreaterThan(15);
  } finally {
    nvml.remove();
  }
});
