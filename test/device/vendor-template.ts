/** Acme's devices: each has a folder of numbers in the kernel's class `acme`. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Fault, messageOf, unlessFault } from "#core/fault.ts";
import type { CollectorOptions, Vendor } from "#device/collector.ts";
import { type Absence, isPlausible, type ReadingName, readingNames } from "#metric/reading.ts";
import type { DeviceHealth, DeviceSample } from "#metric/sample.ts";

/** The file of each reading, and how many of the reading's unit one of the file's is. */
const files: { readonly [Name in ReadingName]?: readonly [file: string, factor: number] } = {
  utilizationPercent: ["busy_percent", 1],
  powerAverageMilliwatts: ["power_watts", 1_000],
};
const folderOf = ({ sysfsRoot = "/sys" }: CollectorOptions) => join(sysfsRoot, "class", "acme");
const lost: DeviceHealth = { state: "lost", reason: "the kernel does not list it any more" };

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch (error) {
    throw missing(folder, error);
  }
}

function missing(folder: string, cause: unknown): Fault {
  const message = `Cannot list ${folder}: ${messageOf(cause)}; load Acme's driver on the node`;
  return new Fault("library-missing", message, { paths: [folder] }, cause);
}

function readingOf(name: ReadingName, folder: string): number | Absence {
  const [file, factor = 1] = files[name] ?? [];
  if (file === undefined) return "unsupported";
  try {
    const value = Number.parseFloat(readFileSync(join(folder, file), "utf8")) * factor;
    return isPlausible(name, value) ? value : "implausible";
  } catch {
    return "failed"; // Never 0: what could not be read is absent.
  }
}

function sampleOf(folder: string, uuid: string, index: number, isThere: boolean): DeviceSample {
  const outcomes = readingNames.map((name) => [name, readingOf(name, join(folder, uuid))] as const);
  const readings = outcomes.filter(([, outcome]) => typeof outcome === "number");
  const absences = outcomes.filter(([, outcome]) => typeof outcome === "string");
  return {
    ...{ uuid, index, vendor: "acme", model: "Acme One" },
    health: isThere ? { state: "ok" } : lost,
    conditions: [],
    readings: Object.fromEntries(readings),
    absences: Object.fromEntries(absences),
  };
}

export const acmeVendor: Vendor<"acme"> = {
  name: "acme",
  isPresent: (options) => (unlessFault(() => namesIn(folderOf(options)))?.length ?? 0) > 0,
  absence: (options) => ({
    paths: [folderOf(options)],
    problem: `${folderOf(options)} lists no device of Acme's`,
    remedy: "load Acme's driver on the node",
  }),
  collector: (options) => {
    const known = new Set<string>(); // A known device never disappears in silence.
    return {
      name: "acme",
      collect: () => {
        const there = namesIn(folderOf(options));
        for (const name of there) known.add(name);
        const devices = [...known].map((name, index) =>
          sampleOf(folderOf(options), name, index, there.includes(name)),
        );
        return { session: 1, devices };
      },
      close: () => {},
    };
  },
};
