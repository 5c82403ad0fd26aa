/**
 * One GPU of a session: who it is, how it is, and its next sample, joined from all its sources.
 *
 * @module
 */
import type { Log } from "#core/log.ts";
import type { Demand } from "#device/collector.ts";
import { healthLog } from "#device/health-log.ts";
import { type Absences, readingNames } from "#metric/reading.ts";
import type { DeviceIdentity, DeviceSample } from "#metric/sample.ts";
import type { Api } from "./api.ts";
import { bindCalls } from "./device-call.ts";
import { bindGpm } from "./gpm.ts";
import { gpuHealth } from "./gpu-health.ts";
import { type GpuSources, gpuSources, type SourcesApi, type SourcesResult } from "./gpu-sources.ts";
import type { IdentityApi } from "./identity.ts";
import { readU32 } from "./layout.ts";
import { isGone, type Refusal, refusalOf } from "./return-code.ts";

/** What one pass over a GPU gave. */
export interface GpuResult {
  readonly sample: DeviceSample;
  /** Calls that succeeded. */
  readonly answered: number;
  /** The first refusal that does not say what is wrong. */
  readonly unknown: Refusal | undefined;
  /** The list of devices is worth reading again. */
  readonly isListDoubtful: boolean;
}

export interface Gpu {
  readonly index: () => number;
  /** The list of devices has it, with this handle. */
  readonly listed: (handle: number, index: number) => void;
  /** The list has it, and it cannot be opened. */
  readonly notOpened: (refusal: Refusal) => void;
  /** The list does not have it any more. */
  readonly unlisted: () => void;
  /** @throws {Fault} `library-failed` when the session ends here. */
  readonly read: (demand: Demand, atMs: number) => GpuResult;
  /** Lets go of what it holds in the library; the session must still be open. */
  readonly close: () => void;
}

/** A GPU of the list; `listed` comes before its first sample. */
export type GpuFactory = (uuid: string, handle: number, index: number) => Gpu;

const allFailed: Absences = Object.freeze(
  Object.fromEntries(readingNames.map((name) => [name, "failed"])),
);

/** Of a device on which no call is made now. */
const notRead: SourcesResult = {
  readings: {},
  absences: {},
  answered: 0,
  refusals: [],
  isDeviceGone: true,
  isComplete: false,
};

const migModeSymbol = "nvmlDeviceGetMigMode";

/** Binds once what all GPUs share. */
export function gpuFactory(api: Api, identity: IdentityApi, log: Log): GpuFactory {
  const shared: SourcesApi = { api, gpm: bindGpm(api), calls: bindCalls(api) };
  const migMode = api.query(migModeSymbol, 2);
  const readMigMode = (handle: number): boolean | Refusal => {
    const returnCode = migMode(handle);
    return returnCode === 0
      ? readU32(api.memory.view, 0) === 1
      : refusalOf(migModeSymbol, returnCode);
  };
  return (uuid, handle, index) => {
    const { powerIsAverage, ...description } = identity.describe(handle);
    const sources = gpuSources(shared, powerIsAverage);
    const about = { uuid, index, ...description };
    return gpu({ about, sources, readMigMode, log });
  };
}

interface GpuParts {
  readonly about: DeviceIdentity;
  readonly sources: GpuSources;
  readonly readMigMode: (handle: number) => boolean | Refusal;
  readonly log: Log;
}

function gpu({ sources, readMigMode, log, ...first }: GpuParts): Gpu {
  const health = gpuHealth();
  const logHealth = healthLog(first.about.uuid, log);
  let about = first.about;
  let handle: number | undefined;
  let isNewHandle = false;
  let isMig: boolean | undefined;

  /** A slice that comes or goes changes what the whole GPU answers. */
  const noteMigMode = (device: number) => {
    const mode = readMigMode(device);
    if (typeof mode === "object") health.note(mode);
    if (typeof mode === "object" && mode.class !== "unsupported") return;
    const isMigNow = mode === true;
    if (isMig !== undefined && isMig !== isMigNow) sources.forgetSupport();
    isMig = isMigNow;
  };

  /** Makes the calls; what they say of the device becomes its health. */
  const readSources = (device: number, demand: Demand, atMs: number): SourcesResult => {
    const result = sources.read({ device, atMs, isNewHandle }, demand);
    // Illness is noted by whichever call meets it, and stands until all calls were made again.
    if (result.isComplete) health.reset();
    for (const refusal of result.refusals) health.note(refusal);
    return result;
  };

  return {
    index: () => about.index,
    listed: (newHandle, index) => {
      handle = newHandle;
      if (index !== about.index) about = { ...about, index };
      // A lost device that can be opened is tried once: it may have been reset.
      if (health.isLost()) health.reset();
      isNewHandle = true;
      noteMigMode(newHandle);
    },
    notOpened: (refusal) => {
      if (isGone(refusal)) health.note(refusal);
    },
    unlisted: health.unlisted,
    read: (demand, atMs) => {
      const isRead = handle !== undefined && !health.isLost();
      const result = isRead ? readSources(handle as number, demand, atMs) : notRead;
      const unknown = isRead ? health.endPass(result.answered) : undefined;
      const { readings, absences, answered, refusals, isDeviceGone } = result;
      if (isDeviceGone) sources.restart();
      const hasChanged = logHealth(health.now(), absences, about.index);
      isNewHandle = false;
      return {
        sample: {
          ...about,
          health: health.now(),
          readings: isDeviceGone ? {} : readings,
          absences: isDeviceGone ? allFailed : absences,
        },
        answered,
        unknown,
        isListDoubtful: refusals.some(isOfHandle) || (isDeviceGone && hasChanged),
      };
    },
    close: sources.close,
  };
}

function isOfHandle({ class: refused }: Refusal): boolean {
  return refused === "void-handle";
}
