/**
 * The readings of one card, each from the file that has it.
 *
 * Its own file first, and what no file gives from the driver's binary table.
 *
 * Sources: docs.kernel.org, gpu/amdgpu/thermal ("HWMON Interfaces", "*_busy_percent", "gpu_metrics")
 * and gpu/amdgpu/driver-misc ("Memory usage"); energy1_input is of the kernel's hwmon ABI.
 *
 * @module
 */
import { join } from "node:path";
import {
  type Absence,
  type Absences,
  isPlausible,
  type ReadingName,
  type Readings,
  readingNames,
} from "#metric/reading.ts";
import {
  cardReadings,
  cardTableReadings,
  partitionReadings,
  partitionTableReadings,
} from "./metrics-readings.ts";
import { type MetricsTable, parseMetricsTable, type UnreadTable } from "./metrics-table.ts";
import { type AmdPartition, type KfdMemory, tablePathOf } from "./partitions.ts";
import { namesIn, readSysfs, readSysfsBytes, type SysfsRefusal } from "./sysfs.ts";

/** A file with a whole number; the reading is the number divided, rounded to a whole one. */
interface NumberFile {
  readonly folder: "device" | "hwmon";
  readonly file: string;
  readonly divisor: number;
}

const ofDevice = (file: string): NumberFile => ({ folder: "device", file, divisor: 1 });
const ofHwmon = (file: string, divisor: number): NumberFile => ({ folder: "hwmon", file, divisor });

const numberFiles: { readonly [Name in ReadingName]?: NumberFile } = {
  utilizationPercent: ofDevice("gpu_busy_percent"),
  memoryUtilizationPercent: ofDevice("mem_busy_percent"),
  // The video engine decodes and encodes, and does not tell the two apart.
  decoderPercent: ofDevice("vcn_busy_percent"),
  memoryUsedBytes: ofDevice("mem_info_vram_used"),
  memoryTotalBytes: ofDevice("mem_info_vram_total"),
  // Microwatts and microjoules.
  powerInstantMilliwatts: ofHwmon("power1_input", 1_000),
  powerAverageMilliwatts: ofHwmon("power1_average", 1_000),
  powerLimitMilliwatts: ofHwmon("power1_cap", 1_000),
  energyMillijoules: ofHwmon("energy1_input", 1_000),
  // Hertz: freq1 is the clock of the compute engine, freq2 that of the memory.
  smClockMegahertz: ofHwmon("freq1_input", 1_000_000),
  memoryClockMegahertz: ofHwmon("freq2_input", 1_000_000),
};

/**
 * By the sensor's label, the first that the card has. MI300 has no `edge`; its `junction` is the
 * hottest spot, and some degrees above.
 */
const temperatureLabels: { readonly [Name in ReadingName]?: readonly string[] } = {
  temperatureCelsius: ["edge", "junction"],
  memoryTemperatureCelsius: ["mem"],
};
const temperatureChannels = [1, 2, 3];

/** What some card of AMD's gives. */
export const amdgpuReadings: ReadonlySet<ReadingName> = new Set([
  ...[numberFiles, temperatureLabels].flatMap((sources) => Object.keys(sources) as ReadingName[]),
  ...cardTableReadings,
]);

/** What one pass over a card gave. */
export interface CardReadings {
  readonly readings: Readings;
  readonly absences: Absences;
  /** Files that gave a number. */
  readonly answered: number;
  /** The first file that was refused although it is there. */
  readonly refused: { readonly file: string; readonly code: string } | undefined;
  readonly table: CardTable;
}

/** The driver's table, or why there is none now. */
export type CardTable = MetricsTable | (UnreadTable & { readonly absence: Absence });

interface Making {
  readonly readings: Partial<Record<ReadingName, number>>;
  readonly absences: Partial<Record<ReadingName, Absence>>;
}

/** @param device The card's folder in sysfs. */
export function readCard(device: string): CardReadings {
  const made: Making = { readings: {}, absences: {} };
  const { answered, refused } = readFiles(device, made);
  const path = join(device, "gpu_metrics");
  const { table, refusal } = readTable("card", path);
  if ("problem" in table) lack(made, cardTableReadings, table.absence);
  else for (const [name, value] of entriesOf(cardReadings(table))) fill(made, name, value);
  return {
    ...made,
    answered: "problem" in table ? answered : answered + 1,
    refused:
      refused ?? (refusal === undefined ? undefined : { file: "gpu_metrics", code: refusal }),
    table,
  };
}

function readFiles(device: string, made: Making): Pick<CardReadings, "answered" | "refused"> {
  const sensors = sensorsOf(device);
  const folders = { device, hwmon: sensors.folder };
  let answered = 0;
  let refused: CardReadings["refused"];
  for (const name of readingNames) {
    const source = numberFiles[name] ?? temperatureFile(name, sensors);
    const folder = source && folders[source.folder];
    if (source === undefined || folder === undefined) {
      made.absences[name] = isOfSensor(name) ? sensors.absence : "unsupported";
      continue;
    }
    const outcome = readNumber(join(folder, source.file));
    if (typeof outcome === "number") {
      answered += 1;
      fill(made, name, Math.round(outcome / source.divisor));
    } else {
      made.absences[name] = outcome.absence;
      if (outcome.absence !== "unsupported") refused ??= { file: source.file, code: outcome.code };
    }
  }
  return { answered, refused };
}

/** What is there already stays: a file of its own is the better source. */
function fill({ readings, absences }: Making, name: ReadingName, value: number): void {
  if (readings[name] !== undefined) return;
  if (isPlausible(name, value)) {
    readings[name] = value;
    delete absences[name];
  } else absences[name] = "implausible";
}

/** What no file has the table might have had. */
function lack({ absences }: Making, names: readonly ReadingName[], absence: Absence): void {
  for (const name of names) if (absences[name] === "unsupported") absences[name] = absence;
}

function entriesOf(readings: Readings): readonly (readonly [ReadingName, number])[] {
  return readingNames.flatMap((name) => {
    const value = readings[name];
    return value === undefined ? [] : [[name, value] as const];
  });
}

/** @returns The code of the error too, where the file is there and was refused. */
function readTable(
  kind: "card" | "partition",
  path: string,
): { readonly table: CardTable; readonly refusal?: string } {
  const bytes = readSysfsBytes(path);
  if ("absence" in bytes) {
    const table = { problem: "torn", absence: bytes.absence } as const;
    return bytes.absence === "unsupported" ? { table } : { table, refusal: bytes.code };
  }
  // The driver has the file for some chips of which it has no table.
  if (bytes.length === 0) return { table: { problem: "torn", absence: "unsupported" } };
  const table = parseMetricsTable(kind, bytes);
  if (!("problem" in table)) return { table };
  return { table: { ...table, absence: table.problem === "unknown" ? "unsupported" : "failed" } };
}

/**
 * A partition's own readings: shares of its engines from its table, or else from the card's, and its part
 * of the memory. All else is the card's.
 */
export function readPartition(
  partition: AmdPartition,
  cardTable: CardTable,
  memory: KfdMemory,
): { readonly readings: Readings; readonly absences: Absences; readonly table: CardTable } {
  const made: Making = {
    readings: {},
    absences: Object.fromEntries(readingNames.map((name) => [name, "unsupported"])),
  };
  const { table } = readTable("partition", tablePathOf(partition));
  const tables = [
    ...("problem" in table ? [] : [table.quantities]),
    ...("problem" in cardTable ? [] : cardTable.partitions.slice(partition.number).slice(0, 1)),
  ];
  for (const quantities of tables)
    for (const [name, value] of entriesOf(partitionReadings(quantities))) fill(made, name, value);
  for (const one of [table, cardTable])
    if ("problem" in one && tables.length === 0) lack(made, partitionTableReadings, one.absence);

  const total = memory.totals.get(partition.minor);
  if (total === undefined) made.absences.memoryTotalBytes = memory.absence;
  else fill(made, "memoryTotalBytes", total);
  return { ...made, table };
}

function isOfSensor(name: ReadingName): boolean {
  return numberFiles[name]?.folder === "hwmon" || temperatureLabels[name] !== undefined;
}

/** A card's folder of sensors, and which file of it has the temperature of which label. */
interface Sensors {
  readonly folder?: string | undefined;
  readonly temperatureFiles: ReadonlyMap<string, string>;
  /** Of what has no file here: the kernel may have refused to say which there are. */
  readonly absence: Absence;
}

/** The folder's number is the kernel's, which gives it another each time the driver is loaded. */
function sensorsOf(device: string): Sensors {
  const parent = join(device, "hwmon");
  const names = namesIn(parent);
  const temperatureFiles = new Map<string, string>();
  if ("absence" in names) return { temperatureFiles, absence: names.absence };
  const name = names.find((each) => /^hwmon\d+$/.test(each));
  if (name === undefined) return { temperatureFiles, absence: "unsupported" };
  const folder = join(parent, name);
  let absence: Absence = "unsupported";
  for (const channel of temperatureChannels) {
    const label = readSysfs(join(folder, `temp${channel}_label`));
    if (typeof label === "string") temperatureFiles.set(label, `temp${channel}_input`);
    else if (label.absence !== "unsupported") absence = label.absence;
  }
  return { folder, temperatureFiles, absence };
}

function temperatureFile(
  name: ReadingName,
  { temperatureFiles: files, absence }: Sensors,
): NumberFile | undefined {
  const [preferred, ...others] = temperatureLabels[name] ?? [];
  // Another sensor stands in for one that the card does not have, not for one that is refused now.
  const labels = absence === "unsupported" ? [preferred, ...others] : [preferred];
  const label = labels.find((each) => each !== undefined && files.has(each));
  const file = label === undefined ? undefined : files.get(label);
  // Millidegrees.
  return file === undefined ? undefined : ofHwmon(file, 1_000);
}

function readNumber(path: string): number | SysfsRefusal {
  const text = readSysfs(path);
  if (typeof text !== "string") return text;
  return /^-?\d+$/.test(text) ? Number(text) : { absence: "failed", code: "not a number" };
}
