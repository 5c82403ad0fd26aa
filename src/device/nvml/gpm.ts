/**
 * Performance monitoring (GPM), on Hopper and newer: shares of time that plain NVML cannot tell.
 *
 * A metric is the difference of two samples more than 100 ms apart. Two samples are allocated a
 * device; the newer one becomes the baseline of the next pass.
 *
 * @module
 */

import { gpmSpacingLeastMs } from "#core/limits.ts";
import { type Absence, isPlausible, type ReadingName } from "#metric/reading.ts";
import type { Api } from "./api.ts";
import { type DevicePass, madeReadings, type Source, type SourceResult } from "./device-call.ts";
import {
  layouts,
  type NativeMemory,
  nativeMemory,
  readF64,
  readI32,
  readU32,
  readU64,
  writeU64,
} from "./layout.ts";
import { absenceOf, isGone, type Refusal, refusalOf } from "./return-code.ts";

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
const makes = madeReadings(gpmMetrics.map((row) => row.makes));

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

/** The GPM of one device; read after the fields, for its rate of NVLink is the better one. */
export interface GpmSource extends Source {
  /** Starts again without a baseline, after a gap. */
  readonly resetBaseline: () => void;
  /** Frees the samples; the session must still be open. */
  readonly close: () => void;
}

interface Samples {
  baseline: number;
  spare: number;
  /** When the baseline was taken; undefined before it was. */
  baselineMs: number | undefined;
}

export function gpmSource(api: GpmApi): GpmSource {
  let samples: Samples | undefined;
  let isUnsupported = false;

  const release = () => {
    if (samples === undefined) return;
    api.free(samples.baseline);
    api.free(samples.spare);
    samples = undefined;
  };
  const refused = (refusal: Refusal): SourceResult => {
    if (refusal.class === "unsupported") {
      release();
      isUnsupported = true;
    }
    return absent(absenceOf(refusal), { refusals: [refusal] });
  };

  return {
    read: (pass) => {
      if (isUnsupported) return unsupported;
      if (samples === undefined) {
        const opened = openSamples(api, pass.device);
        if ("class" in opened) return refused(opened);
        samples = opened;
      }
      const { baselineMs } = samples;
      if (baselineMs !== undefined && pass.atMs - baselineMs <= gpmSpacingLeastMs) return tooSoon;
      const refusal = nextSample(api, samples, pass) ?? compared(api, samples, baselineMs, pass);
      if (refusal !== undefined) return refused(refusal);
      return baselineMs === undefined ? firstSample : metricsResult(api.request.view);
    },
    resetBaseline: () => {
      if (samples !== undefined) samples.baselineMs = undefined;
    },
    close: release,
  };
}

/** All of GPM's own readings are absent; those that another source has are its to explain. */
function absent(absence: Absence, said: Partial<SourceResult> = {}): SourceResult {
  const outcomes = gpmMetrics.map((row) => (row.alsoElsewhere ? undefined : absence));
  return { makes, outcomes, answered: 0, refusals: [], ...said };
}
const unsupported = absent("unsupported");
const tooSoon = absent("pending");
const firstSample = absent("pending", { answered: 1 });

function openSamples(api: GpmApi, device: number): Samples | Refusal {
  const supportCode = api.query(device);
  if (supportCode !== 0) return refusalOf(supportSymbol, supportCode);
  if (readU32(api.memory.view, gpmSupport.at.isSupportedDevice) !== 1)
    return refusalOf(supportSymbol, notSupported);

  const pair: number[] = [];
  for (let nth = 0; nth < 2; nth += 1) {
    const returnCode = api.alloc();
    if (returnCode !== 0) {
      for (const sample of pair) api.free(sample);
      return refusalOf("nvmlGpmSampleAlloc", returnCode);
    }
    pair.push(readU64(api.memory.view, 0));
  }
  const [baseline = 0, spare = 0] = pair;
  return { baseline, spare, baselineMs: undefined };
}

const supportSymbol = "nvmlGpmQueryDeviceSupport";
const notSupported = 3;

/** Takes a sample, which becomes the baseline; the one before is the spare then. */
function nextSample(
  api: GpmApi,
  samples: Samples,
  { device, atMs, isNewHandle }: DevicePass,
): Refusal | undefined {
  const { baseline, spare } = samples;
  const returnCode = api.sample(device, spare);
  if (returnCode !== 0) {
    samples.baselineMs = undefined;
    return refusalOf("nvmlGpmSampleGet", returnCode, !isNewHandle);
  }
  samples.baseline = spare;
  samples.spare = baseline;
  samples.baselineMs = atMs;
  return undefined;
}

/** Has the driver compare the newest two samples, if there are two. */
function compared(
  api: GpmApi,
  { baseline, spare }: Samples,
  olderMs: number | undefined,
  { isNewHandle }: DevicePass,
): Refusal | undefined {
  if (olderMs === undefined) return undefined;
  const returnCode = api.metrics(spare, baseline);
  return returnCode === 0 ? undefined : refusalOf(metricsSymbol, returnCode, !isNewHandle);
}

/** Exported for its property: no byte of the driver's gets past it that cannot be true. */
export function metricsResult(view: DataView): SourceResult {
  const outcomes: (number | Absence | undefined)[] = [];
  const refusals: Refusal[] = [];
  let base = gpmMetricsGet.sizeBytes;
  for (const { makes: name, scale, alsoElsewhere = false } of gpmMetrics) {
    const returnCode = readI32(view, base + gpmMetric.at.nvmlReturn);
    const value = readF64(view, base + gpmMetric.at.value) * scale;
    base += gpmMetric.sizeBytes;
    if (returnCode === 0) {
      // NVLink's counters may have told more than a value that cannot be true.
      outcomes.push(alsoElsewhere && !isPlausible(name, value) ? undefined : value);
      continue;
    }
    const refusal = refusalOf(metricsSymbol, returnCode);
    refusals.push(refusal);
    outcomes.push(alsoElsewhere ? undefined : absenceOf(refusal));
    if (isGone(refusal)) break;
  }
  return { makes, outcomes, answered: 1, refusals };
}
