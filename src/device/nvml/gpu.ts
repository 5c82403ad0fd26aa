/**
 * One GPU of a session: who it is, how it is, and its next sample, joined from all its sources, with
 * those of the MIG instances that it is cut into.
 *
 * @module
 */
import type { Log } from "#core/log.ts";
import type { CollectedDevice, Demand } from "#device/collector.ts";
import { healthLog } from "#device/health-log.ts";
import { type Absences, readingNames } from "#metric/reading.ts";
import type { DeviceIdentity } from "#metric/sample.ts";
import type { Api } from "./api.ts";
import { bindCalls, type DevicePass } from "./device-call.ts";
import { bindGpm } from "./gpm-api.ts";
import { type GpuConditions, type GpuState, gpuConditions, unreadFacts } from "./gpu-conditions.ts";
import { type GpuHealth, gpuHealth, worseHealth } from "./gpu-health.ts";
import { type GpuSources, gpuSources, type SourcesApi } from "./gpu-sources.ts";
import type { IdentityApi } from "./identity.ts";
import type { SourcesResult } from "./join-sources.ts";
import { bindMig } from "./mig-api.ts";
import {
  type InstanceResult,
  type InstancesResult,
  type MigInstances,
  migInstances,
} from "./mig-instances.ts";
import {
  bindProcesses,
  type ProcessesResult,
  type ProcessReader,
  processReader,
} from "./processes.ts";
import { isGone, type Refusal } from "./return-code.ts";
import type { XidHistory } from "./xids.ts";

/** What one pass over a GPU gave. */
export interface GpuResult {
  /** The GPU's, then its MIG instances'. */
  readonly samples: readonly CollectedDevice[];
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

/** Of a GPU that is not cut. */
const noInstances: InstancesResult = {
  instances: [],
  answered: 0,
  refusals: [],
  hasShrunk: false,
};

/** Of a GPU whose processes nobody asks for. */
const noProcesses: ProcessesResult = { processes: undefined, refusals: [] };

/** Binds once what all GPUs share. */
export function gpuFactory(
  api: Api,
  identity: IdentityApi,
  xids: XidHistory,
  log: Log,
): GpuFactory {
  const shared: SourcesApi = { api, gpm: bindGpm(api), calls: bindCalls(api) };
  const mig = bindMig(api);
  const processes = bindProcesses(api);
  return (uuid, handle, index) => {
    const { powerIsAverage, ...description } = identity.describe(handle);
    const sources = gpuSources(shared, powerIsAverage);
    const about = { uuid, index, ...description };
    const instances = migInstances(mig, shared, (uuids) =>
      log("info", "mig instances changed", { uuid, instances: uuids }),
    );
    return gpu({
      about,
      sources,
      instances,
      processes: processReader(processes),
      conditions: gpuConditions(uuid, xids),
      xids,
      readMigMode: mig.mode,
      log,
    });
  };
}

interface GpuParts {
  readonly about: DeviceIdentity;
  readonly sources: GpuSources;
  readonly instances: MigInstances;
  readonly conditions: GpuConditions;
  readonly xids: XidHistory;
  readonly processes: ProcessReader;
  readonly readMigMode: (handle: number) => boolean | Refusal;
  readonly log: Log;
}

function gpu(parts: GpuParts): Gpu {
  const { sources, instances, processes, conditions, xids, readMigMode, log, ...first } = parts;
  const health = gpuHealth();
  const logHealth = healthLog(first.about.uuid, log);
  let about = first.about;
  let handle: number | undefined;
  let isNewHandle = false;
  const mig = migPart({ sources, instances, readMigMode }, health);
  const { readSources, readProcesses } = noting({ sources, processes }, about.uuid, health);

  /** Its health is the worse of what calls said and what else is known. */
  const stateNow = (nowMs: number, { readings }: SourcesResult, isDeviceGone: boolean): GpuNow => {
    const known = isDeviceGone ? unreadFacts(nowMs) : { nowMs, readings, flags: sources.flags() };
    const state = conditions.update(known);
    const xidCounts = xids.counts(about.uuid);
    return { ...state, health: worseHealth(health.now(), state.health), xidCounts, isDeviceGone };
  };

  return {
    index: () => about.index,
    listed: (newHandle, index) => {
      handle = newHandle;
      if (index !== about.index) about = { ...about, index };
      // A lost device that can be opened is tried once: it may have been reset.
      if (health.isLost()) health.reset();
      isNewHandle = true;
      mig.noteMode(newHandle);
    },
    notOpened: (refusal) => {
      if (isGone(refusal)) health.note(refusal);
    },
    unlisted: health.unlisted,
    read: (demand, atMs) => {
      const pass =
        handle === undefined || health.isLost() ? undefined : { device: handle, atMs, isNewHandle };
      const whole = pass === undefined ? notRead : readSources(pass, demand);
      const cut = mig.read(pass, whole);
      const isReadable = !whole.isDeviceGone && !cut.refusals.some(isGone);
      const users = readProcesses(isReadable ? pass : undefined, demand);
      const answered = whole.answered + cut.answered;
      const refusals = [...whole.refusals, ...cut.refusals, ...users.refusals];
      const unknown = pass === undefined ? undefined : health.endPass(answered);
      const isDeviceGone = !isReadable || users.refusals.some(isGone);
      if (isDeviceGone) {
        sources.restart();
        instances.restart();
      }
      const state = stateNow(atMs, whole, isDeviceGone);
      const own = { ...whole, processes: users.processes };
      const hasChanged = logHealth(state.health, whole.absences, about.index);
      isNewHandle = false;
      return {
        samples: samplesOf(about, state, [own, ...cut.instances]),
        answered,
        unknown,
        isListDoubtful: refusals.some(isOfHandle) || cut.hasShrunk || (isDeviceGone && hasChanged),
      };
    },
    close: () => {
      instances.close();
      sources.close();
    },
  };
}

/** Makes the calls; what they say of the device becomes its health. */
function noting(
  { sources, processes }: Pick<GpuParts, "sources" | "processes">,
  uuid: string,
  health: GpuHealth,
) {
  const note = (refusals: readonly Refusal[]) => {
    for (const refusal of refusals) health.note(refusal);
  };
  return {
    readSources: (pass: DevicePass, demand: Demand): SourcesResult => {
      const result = sources.read(pass, demand);
      // Illness is noted by whichever call meets it, and stands until all calls were made again.
      if (result.isComplete) health.reset();
      note(result.refusals);
      return result;
    },
    readProcesses: (pass: DevicePass | undefined, { processesOf = [] }: Demand) => {
      if (pass === undefined || !processesOf.includes(uuid)) return noProcesses;
      const result = processes.read(pass);
      note(result.refusals);
      return result;
    },
  };
}

/** The GPU's MIG mode, and its instances while it is cut. */
function migPart(
  { sources, instances, readMigMode }: Pick<GpuParts, "sources" | "instances" | "readMigMode">,
  health: GpuHealth,
) {
  let isMig: boolean | undefined;
  return {
    /** Cutting a GPU, or making it whole, changes what it answers itself. */
    noteMode: (device: number) => {
      const mode = readMigMode(device);
      if (typeof mode === "object") health.note(mode);
      if (typeof mode === "object" && mode.class !== "unsupported") return;
      const isMigNow = mode === true;
      if (isMig !== undefined && isMig !== isMigNow) sources.forgetSupport();
      isMig = isMigNow;
      if (isMig) instances.describeAgain();
      else instances.close();
    },
    /** After the GPU itself: with it they are lost, and by a void handle of its nothing is found. */
    read: (pass: DevicePass | undefined, whole: SourcesResult): InstancesResult => {
      if (isMig !== true) return noInstances;
      if (pass === undefined || whole.isDeviceGone || whole.refusals.some(isOfHandle))
        return instances.unread();
      const result = instances.read(pass);
      for (const refusal of result.refusals) health.note(refusal);
      return result;
    },
  };
}

interface GpuNow extends GpuState, Pick<CollectedDevice, "xidCounts"> {
  readonly isDeviceGone: boolean;
}

/** The sample of a GPU, then one of each of its instances, which are as well as it is. */
function samplesOf(
  about: DeviceIdentity,
  { health, conditions, xidCounts, isDeviceGone }: GpuNow,
  results: readonly ((SourcesResult & Pick<CollectedDevice, "processes">) | InstanceResult)[],
): readonly CollectedDevice[] {
  const whole = xidCounts === undefined ? about : { ...about, xidCounts };
  return results.map((result) => ({
    ...("description" in result ? partOf(about, result) : whole),
    health,
    conditions: conditions(
      "description" in result ? result.description.slice.gpuInstance : undefined,
    ),
    readings: isDeviceGone ? {} : result.readings,
    absences: isDeviceGone ? allFailed : result.absences,
    ...("processes" in result && result.processes !== undefined && !isDeviceGone
      ? { processes: result.processes }
      : {}),
  }));
}

/** Where it is and how it is numbered is its GPU's. */
function partOf(whole: DeviceIdentity, { uuid, description }: InstanceResult): DeviceIdentity {
  const { model = whole.model, slice } = description;
  return { ...whole, uuid, model, parentUuid: whole.uuid, slice };
}

function isOfHandle({ class: refused }: Refusal): boolean {
  return refused === "void-handle";
}
