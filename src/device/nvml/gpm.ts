/**
 * Performance monitoring (GPM), on Hopper and newer: shares of time that plain NVML cannot tell.
 *
 * A metric is the difference of two samples more than 100 ms apart. Two samples are allocated a
 * device; the newer one becomes the baseline of the next pass.
 *
 * @module
 */
import { isPlausible, type ReadingName } from "#metric/reading.ts";
import type { Api } from "./api.ts";
import { admit, type Draft, refuse } from "./draft.ts";
import { layouts, readF64, readI32, readU32, readU64, writeU64 } from "./layout.ts";
import { type NativeMemory, nativeMemory } from "./memory.ts";
import { heed, isGone, type Patient, type Refusal, type TakeAt } from "./pass.ts";
import { absenceOf } from "./return-code.ts";

interface GpmMetric {
  readonly id: number;
  readonly makes: ReadingName;
  /** Units of the reading in one of the metric. */
  readonly scale: number;
  /** Another source has the reading too, and says why it is absent. */
  readonly alsoElsewhere?: boolean;
}

/** GPM's MiB/s in the readings' units, which are decimal. */
const kilobytesPerMib = (1024 * 1024) / 1e3;
const megabytesPerMib = (1024 * 1024) / 1e6;

const gpmMetrics: readonly GpmMetric[] = [
  { id: 2, makes: "smUtilizationPercent", scale: 1 },
  { id: 3, makes: "smOccupancyPercent", scale: 1 },
  { id: 5, makes: "tensorUtilizationPercent", scale: 1 },
  { id: 10, makes: "dramBandwidthPercent", scale: 1 },
  { id: 20, makes: "pcieTxKilobytesPerSecond", scale: kilobytesPerMib },
  { id: 21, makes: "pcieRxKilobytesPerSecond", scale: kilobytesPerMib },
  { id: 61, makes: "nvlinkTxMegabytesPerSecond", scale: megabytesPerMib, alsoElsewhere: true },
  { id: 60, makes: "nvlinkRxMegabytesPerSecond", scale: megabytesPerMib, alsoElsewhere: true },
];
const ownReadings = gpmMetrics.filter((row) => !row.alsoElsewhere).map(({ makes }) => makes);

/** The driver refreshes its own sample every 100 ms; closer ones give nothing or nonsense. */
const baselineLeastMs = 100;

const { gpmMetric, gpmMetricsGet, gpmSupport } = layouts;
/** The array of the newest nvml.h: a driver that clears all of it finds its own memory. */
const metricsRoom = 333;
/** GPM's structs carry a plain 1, not a size. */
const structVersion = 1;

const metricsSymbol = "nvmlGpmMetricsGet";

export interface GpmApi {
  readonly query: (device: number) => number;
  readonly alloc: () => number;
  readonly free: (sample: number) => number;
  readonly sample: (device: number, sample: number) => number;
  /** Fills `request` from two samples. */
  readonly metrics: (older: number, newer: number) => number;
  readonly memory: NativeMemory;
  readonly request: NativeMemory;
}

export function bindGpm({ bind, memory }: Api): GpmApi {
  const request = nativeMemory(gpmMetricsGet.sizeBytes + metricsRoom * gpmMetric.sizeBytes);
  const query = bind("nvmlGpmQueryDeviceSupport", ["pointer", "pointer"]);
  const alloc = bind("nvmlGpmSampleAlloc", ["pointer"]);
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
    alloc: () => alloc(memory.address),
    free: bind("nvmlGpmSampleFree", ["pointer"]),
    sample: bind("nvmlGpmSampleGet", ["pointer", "pointer"]),
    metrics: (older, newer) => {
      view.setUint32(gpmMetricsGet.at.version, structVersion, true);
      view.setUint32(gpmMetricsGet.at.numMetrics, gpmMetrics.length, true);
      writeU64(view, gpmMetricsGet.at.sample1, older);
      writeU64(view, gpmMetricsGet.at.sample2, newer);
      let base = gpmMetricsGet.sizeBytes;
      for (const { id } of gpmMetrics) {
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

/** The GPM of one device. */
export interface Gpm {
  /** After the fields: where both have NVLink's rate, this one is better. */
  readonly take: TakeAt;
  /** Starts again without a baseline, after a gap. */
  readonly forget: () => void;
  /** Frees the samples; the session must still be open. */
  readonly close: () => void;
}

interface Samples {
  baseline: number;
  spare: number;
  /** When the baseline was taken; undefined before it was. */
  baselineMs: number | undefined;
}

export function deviceGpm(api: GpmApi): Gpm {
  let samples: Samples | "unsupported" | undefined;

  const release = () => {
    if (samples === undefined || samples === "unsupported") return;
    api.free(samples.baseline);
    api.free(samples.spare);
    samples = undefined;
  };

  const take: TakeAt = (device, atMs, draft, patient, pass) => {
    const refused = ({ symbol, returnCode }: Refusal, worked: boolean): boolean => {
      const verdict = heed(symbol, returnCode, worked, patient);
      if (verdict === "unsupported") {
        release();
        samples = "unsupported";
      }
      refuse(draft, ownReadings, absenceOf(verdict));
      return !isGone(verdict);
    };

    if (samples === undefined) {
      const opened = open(api, device);
      if ("returnCode" in opened) return refused(opened, false);
      samples = opened;
    }
    if (samples === "unsupported") {
      refuse(draft, ownReadings, "unsupported");
      return true;
    }
    const next = advance(api, samples, device, atMs);
    if (next === "too-soon" || next === "first") refuse(draft, ownReadings, "pending");
    else if (next !== "compared") return refused(next, true);
    if (next !== "too-soon") pass.answered += 1;
    return next !== "compared" || takeMetrics(api.request.view, draft, patient);
  };

  return {
    take,
    forget: () => {
      if (samples !== undefined && samples !== "unsupported") samples.baselineMs = undefined;
    },
    close: release,
  };
}

function open(api: GpmApi, device: number): Samples | Refusal {
  const returnCode = api.query(device);
  if (returnCode !== 0) return { symbol: "nvmlGpmQueryDeviceSupport", returnCode };
  if (readU32(api.memory.view, gpmSupport.at.isSupportedDevice) !== 1)
    return { symbol: "nvmlGpmQueryDeviceSupport", returnCode: notSupported };

  const pair: number[] = [];
  for (let nth = 0; nth < 2; nth += 1) {
    const allocated = api.alloc();
    if (allocated !== 0) {
      for (const sample of pair) api.free(sample);
      return { symbol: "nvmlGpmSampleAlloc", returnCode: allocated };
    }
    pair.push(readU64(api.memory.view, 0));
  }
  const [baseline = 0, spare = 0] = pair;
  return { baseline, spare, baselineMs: undefined };
}

const notSupported = 3;

/** Takes the next sample and compares it with the one before, if there is one of some age. */
function advance(
  api: GpmApi,
  samples: Samples,
  device: number,
  atMs: number,
): "compared" | "first" | "too-soon" | Refusal {
  const { baseline, spare, baselineMs } = samples;
  if (baselineMs !== undefined && atMs - baselineMs <= baselineLeastMs) return "too-soon";
  const sampled = api.sample(device, spare);
  if (sampled !== 0) {
    samples.baselineMs = undefined;
    return { symbol: "nvmlGpmSampleGet", returnCode: sampled };
  }
  samples.baseline = spare;
  samples.spare = baseline;
  samples.baselineMs = atMs;
  if (baselineMs === undefined) return "first";
  const compared = api.metrics(baseline, spare);
  return compared === 0 ? "compared" : { symbol: metricsSymbol, returnCode: compared };
}

/** Exported for its property: no byte of the driver's gets past it that cannot be true. */
export function takeMetrics(view: DataView, draft: Draft, patient: Patient): boolean {
  let base = gpmMetricsGet.sizeBytes;
  for (const { makes, scale, alsoElsewhere = false } of gpmMetrics) {
    const returnCode = readI32(view, base + gpmMetric.at.nvmlReturn);
    const value = readF64(view, base + gpmMetric.at.value) * scale;
    base += gpmMetric.sizeBytes;
    if (returnCode === 0) {
      // NVLink's counters may have told more than a value that cannot be true.
      if (!alsoElsewhere || isPlausible(makes, value)) admit(draft, makes, value);
      continue;
    }
    const verdict = heed(metricsSymbol, returnCode, false, patient);
    if (!alsoElsewhere) refuse(draft, [makes], absenceOf(verdict));
    if (isGone(verdict)) return false;
  }
  return true;
}
