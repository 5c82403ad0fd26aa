/**
 * Reads the devices of a node from the page of an exporter that runs on it.
 *
 * The page is read at every sample, but an exporter may have taken its numbers some time before: its
 * own collection interval comes on top of a reading's age.
 *
 * @module
 */
import { Agent } from "node:http";
import { Fault } from "#core/fault.ts";
import { reportDevicesMax } from "#core/limits.ts";
import type { Collection, Collector, CollectorTools, ExporterOptions } from "#device/collector.ts";
import { type HealthLog, healthLog } from "#device/health-log.ts";
import { nameFilter } from "#engine/page/name-filter.ts";
import type { ReadingName } from "#metric/reading.ts";
import type { DeviceHealth, DeviceSample } from "#metric/sample.ts";
import { defaultExporterUrl, type ExporterPage, exporterPage } from "./address.ts";
import { devicesOf, type PageDevice } from "./devices.ts";
import { counterRates, type Rates } from "./rates.ts";
import { readPage } from "./read-page.ts";
import { absencesWithout, readingsOf } from "./readings.ts";
import type { ExporterTable } from "./schema.ts";
import { exporterTable } from "./tables.ts";

/** A device that was on the page once. */
interface KnownDevice {
  readonly readings: Set<ReadingName>;
  readonly logHealth: HealthLog;
  sample: DeviceSample;
}

/** What one table and one address need over all passes. */
interface OpenExporter {
  readonly table: ExporterTable;
  readonly page: ExporterPage;
  readonly rates: Rates;
}

export function exporterCollector(
  options: ExporterOptions,
  { clock, log }: CollectorTools,
): Collector {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const known = new Map<string, KnownDevice>();
  let source: OpenExporter | undefined;

  const sampleOf = ({ identity, samples, holders }: PageDevice, atMs: number): DeviceSample => {
    const { uuid } = identity;
    const { table, rates } = openSource();
    const before = known.get(uuid);
    // Where the page numbers no devices, they keep the numbers that they got as they came.
    const index =
      table.device.index === undefined ? (before?.sample.index ?? known.size) : identity.index;
    const had = before?.readings ?? new Set<ReadingName>();
    const logHealth = before?.logHealth ?? healthLog(uuid, log);
    const taken = readingsOf(samples, { table, rates, atMs, uuid, known: had });
    const sample: DeviceSample = {
      ...identity,
      index,
      health: { state: "ok" },
      conditions: [],
      ...taken,
      namedHolders: table.holder === undefined ? undefined : holders,
    };
    logHealth(sample.health, sample.absences, index);
    known.set(uuid, { readings: had, logHealth, sample });
    return sample;
  };

  /** A known device never disappears in silence. */
  const missingSample = (
    { sample, readings, logHealth }: KnownDevice,
    { device }: ExporterTable,
  ): DeviceSample => {
    const health: DeviceHealth = device.absent === "lost" ? lost : { state: "ok" };
    const absences = absencesWithout(readings);
    logHealth(health, absences, sample.index);
    const namedHolders = sample.namedHolders && [];
    return { ...sample, health, readings: {}, absences, namedHolders };
  };

  const openSource = (): OpenExporter => {
    source ??= sourceOf(options);
    return source;
  };

  return {
    name: "exporter",
    collect: async (): Promise<Collection> => {
      const { table, page } = openSource();
      const atMs = clock.monotonicMs();
      const filter = nameFilter(seriesNames(table));
      const found = devicesOf(await readPage({ page, filter, clock, agent }), table);
      if (found.length > reportDevicesMax || (found.length === 0 && known.size === 0))
        checkCount(found.length, table, page);
      const onPage = found.map((device) => sampleOf(device, atMs));
      const there = new Set(onPage.map(({ uuid }) => uuid));
      const gone = [...known].filter(([uuid]) => !there.has(uuid));
      const devices = [...onPage, ...gone.map(([, one]) => missingSample(one, table))];
      return { session: 1, libraryVersion: `${table.name} exporter`, devices };
    },
    close: () => agent.destroy(),
  };
}

const lost: DeviceHealth = {
  state: "lost",
  reason:
    "the exporter's page does not list it any more; look at the exporter's log and the driver",
};

function sourceOf({ table: nameOrPath, url, nodeAddresses }: ExporterOptions): OpenExporter {
  const table = exporterTable(nameOrPath);
  const page = exporterPage(url ?? defaultExporterUrl(table, nodeAddresses), nodeAddresses);
  return { table, page, rates: counterRates(table.collectionSeconds * 1000) };
}

function seriesNames({ readings, info = [] }: ExporterTable): readonly string[] {
  const sources = Object.values(readings).flatMap((one) => one ?? []);
  return [...new Set([...info, ...sources.flatMap(({ series }) => series)])];
}

function checkCount(count: number, table: ExporterTable, { endpoint, path }: ExporterPage): void {
  const url = `${endpoint.url}${path}`;
  if (count > reportDevicesMax)
    throw new Fault(
      "exporter-unreadable",
      `Cannot read the exporter at ${url}: a node has at most ${reportDevicesMax} devices, got ` +
        `${count}; name devices in the table by labels that do not change`,
      { url },
    );
  // Where nothing runs, such an exporter has no device to show.
  if (table.device.absent === "idle") return;
  const [name = ""] = seriesNames(table);
  throw new Fault(
    "exporter-unreadable",
    `Cannot read the exporter at ${url}: its page has no device, by ${name} and the other series of ` +
      `table ${table.name}; name this exporter's table with --exporter`,
    { url },
  );
}
