/**
 * From the samples of a page to its devices: which there are, and what each has.
 *
 * @module
 */
import { isLabel, isObjectName } from "#core/kubernetes-names.ts";
import { deviceTextCharsMax } from "#core/limits.ts";
import type { SeriesLabels } from "#engine/page/series.ts";
import type { DeviceIdentity, NamedHolder, PluginId } from "#metric/sample.ts";
import type { PageSample } from "./read-page.ts";
import type { ExporterTable } from "./schema.ts";
import { filled } from "./template.ts";

/** One device as its page describes it. */
export interface PageDevice {
  readonly identity: DeviceIdentity;
  readonly samples: readonly PageSample[];
  readonly holders: readonly NamedHolder[];
}

/** In the order of their indexes. */
export function devicesOf(
  samples: readonly PageSample[],
  table: ExporterTable,
): readonly PageDevice[] {
  const info = Object.assign({}, ...infoLabels(samples, table));
  const byId = new Map<string, PageSample[]>();
  for (const sample of samples) {
    if (isInfo(sample, table) || !hasLabels(sample.labels, table.device.labels)) continue;
    const id = filled(table.device.id, { ...info, ...sample.labels });
    if (id === undefined || id.length > deviceTextCharsMax) continue;
    const earlier = byId.get(id);
    if (earlier === undefined) byId.set(id, [sample]);
    else earlier.push(sample);
  }
  const found = [...byId].map(([uuid, own]) => {
    const labels: SeriesLabels = Object.assign({}, info, ...own.map((one) => one.labels));
    return { uuid, labels, own, index: indexOf(labels, table) };
  });
  const hasIndexes = new Set(found.map(({ index }) => index)).size === found.length;
  found.sort((one, other) =>
    hasIndexes ? (one.index ?? 0) - (other.index ?? 0) : one.uuid < other.uuid ? -1 : 1,
  );
  return found.map(({ uuid, labels, own, index }, position) => ({
    identity: {
      ...described(uuid, labels, table),
      index: hasIndexes ? (index ?? position) : position,
    },
    samples: own,
    holders: holdersOf(own, table),
  }));
}

/** Whether labels have these values; `""` is a label that is not there. */
export function hasLabels(
  labels: SeriesLabels,
  requested: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(requested).every(([name, value]) => (labels[name] ?? "") === value);
}

function infoLabels(samples: readonly PageSample[], table: ExporterTable) {
  return samples.filter((sample) => isInfo(sample, table)).map(({ labels }) => labels);
}

function isInfo({ name }: PageSample, { info = [] }: ExporterTable): boolean {
  return info.includes(name);
}

function indexOf(labels: SeriesLabels, { device }: ExporterTable): number | undefined {
  const text = device.index && filled(device.index, labels);
  return text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : undefined;
}

function described(
  uuid: string,
  labels: SeriesLabels,
  { device, vendor, plugin = [] }: ExporterTable,
): Omit<DeviceIdentity, "index"> {
  const pciBusId = device.pciBusId && filled(device.pciBusId, labels);
  const pluginIds = plugin.flatMap(({ resource, id }): readonly PluginId[] => {
    const text = filled(id.replace(/\*$/, ""), labels);
    if (text === undefined) return [];
    return [{ resource, id: text, ...(id.endsWith("*") ? { endsInPart: true as const } : {}) }];
  });
  return {
    uuid,
    vendor,
    model: (filled(device.model, labels) ?? "unknown").slice(0, deviceTextCharsMax),
    pciBusId: pciBusId === undefined ? undefined : asSysfsWrites(pciBusId),
    pluginIds: pluginIds.length === 0 ? undefined : pluginIds,
  };
}

/** `00000000:3B:00.0`, as NVIDIA's tools print it, is `0000:3b:00.0`. */
function asSysfsWrites(address: string): string {
  return address.toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, "");
}

function holdersOf(
  samples: readonly PageSample[],
  { holder }: ExporterTable,
): readonly NamedHolder[] {
  if (holder === undefined) return [];
  const holders = new Map<string, NamedHolder>();
  for (const { labels } of samples) {
    const namespace = labels[holder.namespace] ?? "";
    const pod = labels[holder.pod] ?? "";
    const container = labels[holder.container] ?? "";
    // What is no name in Kubernetes is nobody's, and would spoil the whole report.
    if (!isLabel(namespace) || !isObjectName(pod) || !isLabel(container)) continue;
    holders.set(`${namespace}/${pod}/${container}`, { namespace, pod, container });
  }
  return [...holders.values()];
}
