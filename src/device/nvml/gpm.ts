/**
 * Performance monitoring (GPM), on Hopper and newer: shares of time that plain NVML cannot tell.
 *
 * A metric is the difference of two samples more than 100 ms apart. Two samples are allocated a
 * device; the newer one becomes the baseline of the next pass.
 *
 * @module
 */
import { gpmSpacingLeastMs } from "#core/limits.ts";
import { type Absence, isPlausible } from "#metric/reading.ts";
import type { DevicePass, Source, SourceResult } from "./device-call.ts";
import {
  chipMetrics,
  type GpmApi,
  type GpmMetrics,
  type GpmScope,
  metricsSymbol,
} from "./gpm-api.ts";
import { layouts, readF64, readI32, readU32 } from "./layout.ts";
import { absenceOf, isGone, type Refusal, refusalOf, returnClassOf } from "./return-code.ts";

const { gpmMetric, gpmMetricsGet, gpmSupport } = layouts;

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

export function gpmSource(api: GpmApi, scope: GpmScope): GpmSource {
  const absent = absentOf(scope.metrics);
  let { metrics } = scope;
  const unsupported = absent("unsupported");
  const tooSoon = absent("pending");
  const firstSample = absent("pending", { answered: 1 });
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

  /** Has the driver compare the newest two samples, without what it is too old for. */
  const compare = (two: Samples, olderMs: number | undefined, pass: DevicePass) => {
    const refusal = compared(api, metrics, two, olderMs, pass);
    if (refusal?.returnCode !== invalidArgument || metrics.older === undefined) return refusal;
    const older = compared(api, metrics.older, two, olderMs, pass);
    // Where that is no better, the samples are what is wrong.
    if (older === undefined) metrics = metrics.older;
    return older;
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
      const refusal = nextSample(scope, samples, pass) ?? compare(samples, baselineMs, pass);
      if (refusal !== undefined) return refused(refusal);
      if (baselineMs === undefined) return firstSample;
      return metricsResult(api.request.view, metrics);
    },
    resetBaseline: () => {
      if (samples !== undefined) samples.baselineMs = undefined;
    },
    close: release,
  };
}

/** All of GPM's own readings are absent; those that another source has are its to explain. */
function absentOf({ rows, makes }: GpmMetrics) {
  return (absence: Absence, said: Partial<SourceResult> = {}): SourceResult => {
    const outcomes = rows.map((row) => (row.alsoElsewhere ? undefined : absence));
    return { makes, outcomes, answered: 0, refusals: [], ...said };
  };
}

function openSamples(api: GpmApi, device: number): Samples | Refusal {
  const supportCode = api.query(device);
  if (supportCode !== 0) return refusalOf(supportSymbol, supportCode);
  if (readU32(api.memory.view, gpmSupport.at.isSupportedDevice) !== 1)
    return refusalOf(supportSymbol, notSupported);

  const pair: number[] = [];
  for (let nth = 0; nth < 2; nth += 1) {
    const { symbol, returnCode, value } = api.alloc();
    if (value === undefined) {
      for (const sample of pair) api.free(sample);
      return refusalOf(symbol, returnCode);
    }
    pair.push(value);
  }
  const [baseline = 0, spare = 0] = pair;
  return { baseline, spare, baselineMs: undefined };
}

const supportSymbol = "nvmlGpmQueryDeviceSupport";
const notSupported = 3;
const invalidArgument = 2;

/** Takes a sample, which becomes the baseline; the one before is the spare then. */
function nextSample(
  { symbol, take }: GpmScope,
  samples: Samples,
  { device, atMs, isNewHandle }: DevicePass,
): Refusal | undefined {
  const { baseline, spare } = samples;
  const returnCode = take(device, spare);
  if (returnCode !== 0) {
    samples.baselineMs = undefined;
    return refusalOf(symbol, returnCode, !isNewHandle);
  }
  samples.baseline = spare;
  samples.spare = baseline;
  samples.baselineMs = atMs;
  return undefined;
}

/** Has the driver compare the newest two samples, if there are two. */
function compared(
  api: GpmApi,
  metrics: GpmMetrics,
  { baseline, spare }: Samples,
  olderMs: number | undefined,
  { isNewHandle }: DevicePass,
): Refusal | undefined {
  if (olderMs === undefined) return undefined;
  const returnCode = api.metrics(metrics, spare, baseline);
  return returnCode === 0 ? undefined : refusalOf(metricsSymbol, returnCode, !isNewHandle);
}

/** Exported for its property: no byte of the driver's gets past it that cannot be true. */
export function metricsResult(
  view: DataView,
  { rows, makes }: GpmMetrics = chipMetrics,
): SourceResult {
  const outcomes: (number | Absence | undefined)[] = [];
  const refusals: Refusal[] = [];
  let base = gpmMetricsGet.sizeBytes;
  for (const { ids, makes: name, scale, alsoElsewhere = false } of rows) {
    const row = rowOutcome(view, base, ids.length, (value) => isPlausible(name, value * scale));
    base += ids.length * gpmMetric.sizeBytes;
    if (row.refusal === undefined) {
      const value = row.value * scale;
      // NVLink's counters may have told more than a value that cannot be true.
      outcomes.push(alsoElsewhere && !isPlausible(name, value) ? undefined : value);
      continue;
    }
    refusals.push(row.refusal);
    outcomes.push(alsoElsewhere ? undefined : absenceOf(row.refusal));
    if (isGone(row.refusal)) break;
  }
  return { makes, outcomes, answered: 1, refusals };
}

type RowOutcome =
  | { readonly value: number; readonly refusal?: never }
  | { readonly refusal: Refusal; readonly value?: never };

/**
 * The mean of a row's metrics. Those that the device does not have are not counted; of the others
 * none may be missing, and each must be believable by itself.
 */
function rowOutcome(
  view: DataView,
  firstBase: number,
  count: number,
  isBelievable: (value: number) => boolean,
): RowOutcome {
  let [sum, counted, lacking] = [0, 0, 0];
  for (let base = firstBase; base < firstBase + count * gpmMetric.sizeBytes; ) {
    const returnCode = readI32(view, base + gpmMetric.at.nvmlReturn);
    const value = readF64(view, base + gpmMetric.at.value);
    base += gpmMetric.sizeBytes;
    if (returnCode === 0 && !isBelievable(value)) return { value };
    if (returnCode === 0) {
      sum += value;
      counted += 1;
    } else if (returnClassOf(returnCode) === "unsupported") lacking = returnCode;
    else return { refusal: refusalOf(metricsSymbol, returnCode) };
  }
  return counted > 0 ? { value: sum / counted } : { refusal: refusalOf(metricsSymbol, lacking) };
}
