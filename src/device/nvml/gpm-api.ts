/**
 * NVML's functions of performance monitoring (GPM), and the metrics that they are asked for.
 *
 * @module
 */
import type { ReadingName } from "#metric/reading.ts";
import type { Api, CallReturn } from "./api.ts";
import { type MadeReading, madeReadings } from "./device-call.ts";
import { layouts, type NativeMemory, nativeMemory, writeU64 } from "./layout.ts";

interface GpmMetric {
  /** One; or several of one kind, of which a device has some: the reading is their mean. */
  readonly ids: readonly [number, ...number[]];
  readonly makes: ReadingName;
  /** Units of the reading in one of the metric. */
  readonly scale: number;
  /** Another source has the reading too, and says why it is absent. */
  readonly alsoElsewhere?: boolean;
}

/** GPM's MiB/s in the readings' units, which are decimal. */
const kilobytesPerMib = (1024 * 1024) / 1e3;
const megabytesPerMib = (1024 * 1024) / 1e6;

/** What a GPU has, and each GPU instance of one that is cut. */
const partRows: readonly GpmMetric[] = [
  { ids: [2], makes: "smUtilizationPercent", scale: 1 },
  { ids: [3], makes: "smOccupancyPercent", scale: 1 },
  { ids: [5], makes: "tensorUtilizationPercent", scale: 1 },
  { ids: [10], makes: "dramBandwidthPercent", scale: 1 },
  { ids: [11], makes: "fp64UtilizationPercent", scale: 1 },
  { ids: [12], makes: "fp32UtilizationPercent", scale: 1 },
  { ids: [13], makes: "fp16UtilizationPercent", scale: 1 },
];

const chipRows: readonly GpmMetric[] = [
  ...partRows,
  { ids: [20], makes: "pcieTxKilobytesPerSecond", scale: kilobytesPerMib },
  { ids: [21], makes: "pcieRxKilobytesPerSecond", scale: kilobytesPerMib },
  { ids: [61], makes: "nvlinkTxMegabytesPerSecond", scale: megabytesPerMib, alsoElsewhere: true },
  { ids: [60], makes: "nvlinkRxMegabytesPerSecond", scale: megabytesPerMib, alsoElsewhere: true },
];

/**
 * Of a MIG instance: what belongs to its part of the chip. NVML has no utilization rate of an
 * instance; metric 1, the share of time in which the engine was busy, is what comes nearest.
 */
const instanceRows: readonly GpmMetric[] = [
  { ids: [1], makes: "utilizationPercent", scale: 1 },
  ...partRows,
  { ids: [30, 31, 32, 33, 34, 35, 36, 37], makes: "decoderPercent", scale: 1 },
  { ids: [40, 41, 42, 43, 44, 45, 46, 47], makes: "jpegPercent", scale: 1 },
  { ids: [50, 51], makes: "ofaPercent", scale: 1 },
];
/** In nvml.h since CUDA 12.9: a driver that does not know them may refuse all that is asked. */
const newerInstanceRows: readonly GpmMetric[] = [
  { ids: [166, 167, 168, 169], makes: "encoderPercent", scale: 1 },
];

/** What is asked for in one call; made once, for a pass reads it of every device. */
export interface GpmMetrics {
  readonly rows: readonly GpmMetric[];
  /** One for each row. */
  readonly makes: readonly MadeReading[];
  /** Of all rows. */
  readonly ids: readonly number[];
  /** What older drivers have of it; absent where that is all of it. */
  readonly older?: GpmMetrics;
}
const metricsOf = (rows: readonly GpmMetric[], older?: GpmMetrics): GpmMetrics => ({
  rows,
  makes: madeReadings(rows.map(({ makes }) => makes)),
  ids: rows.flatMap(({ ids }) => ids),
  ...(older && { older }),
});
export const chipMetrics = metricsOf(chipRows);
export const instanceMetrics = metricsOf(
  [...instanceRows, ...newerInstanceRows],
  metricsOf(instanceRows),
);

const { gpmMetric, gpmMetricsGet, gpmSupport } = layouts;
/** The array of the newest nvml.h: a driver that clears all of it finds its own memory. */
const metricsRoom = 333;
/** GPM's structs carry a plain 1, not a size. */
const structVersion = 1;

export const metricsSymbol = "nvmlGpmMetricsGet";

export interface GpmApi {
  readonly query: (device: number) => number;
  readonly alloc: () => CallReturn<number>;
  readonly free: (sample: number) => number;
  readonly sample: (device: number, sample: number) => number;
  /** Of a GPU instance of a device that is cut by MIG. */
  readonly migSample: (device: number, gpuInstance: number, sample: number) => number;
  /** Fills `request` from two samples. */
  readonly metrics: (of: GpmMetrics, older: number, newer: number) => number;
  readonly memory: NativeMemory;
  readonly request: NativeMemory;
}

export function bindGpm({ bind, handleOf, memory }: Api): GpmApi {
  const request = nativeMemory(gpmMetricsGet.sizeBytes + metricsRoom * gpmMetric.sizeBytes);
  const query = bind("nvmlGpmQueryDeviceSupport", ["pointer", "pointer"]);
  const metricsGet = bind(metricsSymbol, ["pointer"]);
  const { view } = request;
  return {
    memory,
    request,
    query: (device) => {
      memory.poison(gpmSupport.sizeBytes);
      memory.view.setUint32(gpmSupport.at.version, structVersion, true);
      return query(device, memory.address);
    },
    alloc: handleOf("nvmlGpmSampleAlloc", []),
    free: bind("nvmlGpmSampleFree", ["pointer"]),
    sample: bind("nvmlGpmSampleGet", ["pointer", "pointer"]),
    migSample: bind("nvmlGpmMigSampleGet", ["pointer", "unsigned", "pointer"]),
    metrics: ({ ids }, older, newer) => {
      view.setUint32(gpmMetricsGet.at.version, structVersion, true);
      view.setUint32(gpmMetricsGet.at.numMetrics, ids.length, true);
      writeU64(view, gpmMetricsGet.at.sample1, older);
      writeU64(view, gpmMetricsGet.at.sample2, newer);
      let base = gpmMetricsGet.sizeBytes;
      for (const id of ids) {
        view.setUint32(base + gpmMetric.at.metricId, id, true);
        view.setInt32(base + gpmMetric.at.nvmlReturn, noData, true);
        view.setFloat64(base + gpmMetric.at.value, Number.NaN, true);
        base += gpmMetric.sizeBytes;
      }
      return metricsGet(request.address);
    },
  };
}

const noData = 21;

/** What is sampled, and which metrics are asked for. */
export interface GpmScope {
  readonly metrics: GpmMetrics;
  readonly symbol: string;
  readonly take: (device: number, sample: number) => number;
}

/** The whole chip's. */
export function chipGpm({ sample }: GpmApi): GpmScope {
  return { metrics: chipMetrics, symbol: "nvmlGpmSampleGet", take: sample };
}

/** One GPU instance's; the device is still the whole GPU. */
export function instanceGpm({ migSample }: GpmApi, gpuInstance: number): GpmScope {
  return {
    metrics: instanceMetrics,
    symbol: "nvmlGpmMigSampleGet",
    take: (device, sample) => migSample(device, gpuInstance, sample),
  };
}
