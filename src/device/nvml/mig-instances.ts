/**
 * The MIG instances of one GPU, and their readings.
 *
 * The driver's list of them is read on every pass, because instances are made and destroyed while
 * the agent runs and the driver uses a handle again for another one. An instance that the list does
 * not have is gone from the sample; while the driver does not tell its list, those known stay in it
 * without readings.
 *
 * Power, temperature, clocks and traffic are the chip's, and an instance does not have them. GPM
 * measures a GPU instance: where several compute instances share one, none of them has its numbers.
 *
 * @module
 */
import { migPlacesMax } from "#core/limits.ts";
import { type Absences, readingNames } from "#metric/reading.ts";
import type { DeviceCall, DevicePass } from "./device-call.ts";
import { type GpmSource, gpmSource } from "./gpm.ts";
import { instanceGpm } from "./gpm-api.ts";
import type { SourcesApi } from "./gpu-sources.ts";
import { join, newJoined, type SourcesResult } from "./join-sources.ts";
import { type InstanceDescription, type MigApi, refused } from "./mig-api.ts";
import { isGone, type Refusal, returnClassOf } from "./return-code.ts";

/** What one pass over the instances of a GPU gave. */
export interface InstancesResult {
  readonly instances: readonly InstanceResult[];
  /** Calls that succeeded. */
  readonly answered: number;
  readonly refusals: readonly Refusal[];
  /** One that was known is gone. */
  readonly hasShrunk: boolean;
}

export interface InstanceResult extends Pick<SourcesResult, "readings" | "absences"> {
  readonly uuid: string;
  readonly description: InstanceDescription;
}

export interface MigInstances {
  /** @throws {Fault} `library-failed` when the session is over. */
  readonly read: (gpu: DevicePass) => InstancesResult;
  /** Those known, on which no call is made now. */
  readonly unread: () => InstancesResult;
  /** After a gap, which no share of time spans. */
  readonly restart: () => void;
  /** Reads again on the next pass what each of them is. */
  readonly describeAgain: () => void;
  /** Forgets all of them; the session must still be open. */
  readonly close: () => void;
}

interface Instance {
  readonly uuid: string;
  readonly size: string;
  readonly description: InstanceDescription;
  readonly memory: DeviceCall;
  readonly gpm: GpmSource;
  /** Of its last sample. */
  absences: Absences;
}

/** An instance and its handle of this pass. */
interface Listed {
  readonly instance: Instance;
  readonly handle: number;
}

const all = (absence: "failed" | "unsupported"): Absences =>
  Object.freeze(Object.fromEntries(readingNames.map((name) => [name, absence])));
const allFailed = all("failed");
const allUnsupported = all("unsupported");

/** @param changed Takes the UUIDs when they are not those of the pass before. */
export function migInstances(
  mig: MigApi,
  sources: SourcesApi,
  changed: (uuids: readonly string[]) => void,
): MigInstances {
  let known = new Map<string, Instance>();
  let isDescriptionDue = false;

  /** The instance that a handle stands for now: one that is known, or a new one. */
  const identify = (gpu: number, handle: number): Instance | Refusal => {
    const named = mig.uuid(handle);
    if (named.value === undefined) return refused(named);
    const uuid = named.value;
    const size = mig.size(handle);
    const one = known.get(uuid);
    const isNew = one?.size !== size;
    if (one !== undefined && !isNew && !isDescriptionDue) return one;
    const description = mig.describe(gpu, handle);
    if ("class" in description) return description;
    return one === undefined || isNew
      ? newInstance(sources, uuid, size, description)
      : { ...one, description };
  };

  /** Makes the instances of this pass those known, and frees what the others held. */
  const keep = (instances: readonly Instance[]): boolean => {
    const before = known;
    known = new Map(instances.map((one) => [one.uuid, one]));
    for (const one of before.values()) if (known.get(one.uuid)?.gpm !== one.gpm) one.gpm.close();
    const gone = [...before.keys()].filter((uuid) => !known.has(uuid));
    if (gone.length > 0 || known.size !== before.size) changed([...known.keys()]);
    return gone.length > 0;
  };

  return {
    read: (gpu) => {
      const { listed, refusals } = listInstances(mig, gpu.device, identify);
      isDescriptionDue = false;
      const here = listed.map(({ instance }) => instance);
      const uuids = new Set(here.map(({ uuid }) => uuid));
      const missed = [...known.values()].filter(({ uuid }) => !uuids.has(uuid));
      const kept = refusals.length > 0 ? missed : [];
      const hasShrunk = keep([...here, ...kept]);
      if (refusals.some(isGone)) return notRead(known, refusals);
      const read = readInstances(listed, gpu);
      return {
        instances: [...read.map(({ result }) => result), ...kept.map(withoutReadings)],
        answered: read.reduce((sum, { answered }) => sum + answered, 0),
        refusals: [...refusals, ...read.flatMap((one) => one.refusals)],
        hasShrunk,
      };
    },
    unread: () => notRead(known, []),
    restart: () => {
      for (const { gpm } of known.values()) gpm.resetBaseline();
    },
    describeAgain: () => {
      isDescriptionDue = true;
    },
    close: () => {
      keep([]);
    },
  };
}

function newInstance(
  { calls, gpm }: SourcesApi,
  uuid: string,
  size: string,
  description: InstanceDescription,
): Instance {
  const source = gpmSource(gpm, instanceGpm(gpm, description.slice.gpuInstance));
  return { uuid, size, description, memory: calls.memory(), gpm: source, absences: allFailed };
}

/** Reads the driver's list; with a refusal it is not all of it. */
function listInstances(
  mig: MigApi,
  gpu: number,
  identify: (gpu: number, handle: number) => Instance | Refusal,
): { readonly listed: readonly Listed[]; readonly refusals: readonly Refusal[] } {
  const listed: Listed[] = [];
  const refusals: Refusal[] = [];
  const places = mig.places(gpu);
  if (places.value === undefined) {
    const refusal = refused(places);
    return { listed, refusals: refusal.class === "unsupported" ? [] : [refusal] };
  }
  const end = places.value > migPlacesMax ? 0 : places.value;
  for (let place = 0; place < end && !refusals.some(isGone); place += 1) {
    const handle = mig.handle(gpu, place);
    if (handle.value === undefined) {
      if (!isHole(handle.returnCode)) refusals.push(refused(handle));
      continue;
    }
    const instance = identify(gpu, handle.value);
    if ("class" in instance) refusals.push(instance);
    // One that moves while the list is read may be met at two places.
    else if (!listed.some((one) => one.instance.uuid === instance.uuid))
      listed.push({ instance, handle: handle.value });
  }
  return { listed, refusals };
}

/** NVML_ERROR_NOT_FOUND: no instance is at this place. */
const isHole = (returnCode: number) =>
  returnCode === 6 || returnClassOf(returnCode) === "unsupported";

interface ReadInstance {
  readonly result: InstanceResult;
  readonly answered: number;
  readonly refusals: readonly Refusal[];
}

function readInstances(listed: readonly Listed[], gpu: DevicePass): readonly ReadInstance[] {
  const sharing = (id: number) =>
    listed.filter(({ instance }) => instance.description.slice.gpuInstance === id).length;
  return listed.map(({ instance, handle }) => {
    const { uuid, description, memory, gpm } = instance;
    const joined = newJoined(true, allUnsupported);
    join(joined, memory.read({ ...gpu, device: handle, isNewHandle: false }));
    const isAlone = sharing(description.slice.gpuInstance) === 1;
    if (!isAlone) gpm.resetBaseline();
    else if (!joined.isDeviceGone) join(joined, gpm.read(gpu));
    const { readings, absences, answered, refusals } = joined;
    instance.absences = absences;
    return { result: { uuid, description, readings, absences }, answered, refusals };
  });
}

function notRead(
  known: ReadonlyMap<string, Instance>,
  refusals: readonly Refusal[],
): InstancesResult {
  const instances = [...known.values()].map(withoutReadings);
  return { instances, answered: 0, refusals, hasShrunk: false };
}

/** What it never has stays unsupported. */
function withoutReadings({ uuid, description, absences }: Instance): InstanceResult {
  const never = Object.entries(absences).filter(([, absence]) => absence === "unsupported");
  return {
    uuid,
    description,
    readings: {},
    absences: { ...allFailed, ...Object.fromEntries(never) },
  };
}
