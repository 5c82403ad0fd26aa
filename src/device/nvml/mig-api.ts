/**
 * NVML's functions on the MIG instances of a GPU.
 *
 * Source: nvml.h of CUDA 11.0 to 13.3
 *
 * @module
 */
import type { MigSlice } from "#metric/sample.ts";
import type { Api, CallReturn } from "./api.ts";
import { layouts, readU32, readU64 } from "./layout.ts";
import { hasSucceeded, type Refusal, refusalOf } from "./return-code.ts";

export interface MigApi {
  /** Whether the GPU is in MIG mode now. */
  readonly mode: (gpu: number) => boolean | Refusal;
  /** How many places for instances the GPU has; some may be empty. */
  readonly places: (gpu: number) => CallReturn<number>;
  /** The handle of the instance at a place; a driver gives it to another instance later. */
  readonly handle: (gpu: number, place: number) => CallReturn<number>;
  readonly uuid: (instance: number) => CallReturn<string>;
  /** Its slices and memory, to tell it from one of another size that has its name later. */
  readonly size: (instance: number) => string;
  readonly describe: (gpu: number, instance: number) => InstanceDescription | Refusal;
}

export interface InstanceDescription {
  /** With the profile's name in it, as in `NVIDIA H100 80GB HBM3 MIG 1g.10gb`. */
  readonly model: string | undefined;
  readonly slice: MigSlice;
}

export function bindMig(api: Api): MigApi {
  const { view } = api.memory;
  const u32 = (symbol: string, outs: 1 | 2 = 1) => {
    const call = api.query(symbol, outs);
    return (device: number): CallReturn<number> => {
      const returnCode = call(device);
      return { symbol, returnCode, value: returnCode === 0 ? readU32(view, 0) : undefined };
    };
  };
  const pointer = (symbol: string) => api.handleOf(symbol, ["pointer", "unsigned"]);
  const mode = u32("nvmlDeviceGetMigMode", 2);
  const gpuInstanceId = u32("nvmlDeviceGetGpuInstanceId");
  const computeInstanceId = u32("nvmlDeviceGetComputeInstanceId");
  const name = api.deviceText("nvmlDeviceGetName");
  const placeOf = bindPlace(api, pointer("nvmlDeviceGetGpuInstanceById"));

  return {
    mode: (gpu) => {
      const { symbol, returnCode, value } = mode(gpu);
      return value === undefined ? refusalOf(symbol, returnCode) : value === 1;
    },
    places: u32("nvmlDeviceGetMaxMigDeviceCount"),
    handle: pointer("nvmlDeviceGetMigDeviceHandleByIndex"),
    uuid: api.deviceText("nvmlDeviceGetUUID"),
    size: bindSize(api),
    describe: (gpu, instance) => {
      const gpuInstance = gpuInstanceId(instance);
      if (gpuInstance.value === undefined) return refused(gpuInstance);
      const computeInstance = computeInstanceId(instance);
      if (computeInstance.value === undefined) return refused(computeInstance);
      const numbers = { gpuInstance: gpuInstance.value, computeInstance: computeInstance.value };
      const named = name(instance);
      return {
        model: hasSucceeded(named.symbol, named.returnCode) ? named.value : undefined,
        slice: { ...numbers, ...placeOf(gpu, gpuInstance.value) },
      };
    },
  };
}

export const refused = ({ symbol, returnCode }: CallReturn<unknown>): Refusal =>
  refusalOf(symbol, returnCode);

function bindSize(api: Api): MigApi["size"] {
  const symbol = "nvmlDeviceGetAttributes_v2";
  const attributes = api.query(symbol, 1);
  const { at } = layouts.deviceAttributes;
  const { view } = api.memory;
  return (instance) => {
    if (!hasSucceeded(symbol, attributes(instance))) return "";
    const slices = [at.gpuInstanceSliceCount, at.computeInstanceSliceCount];
    return [
      ...slices.map((member) => readU32(view, member)),
      readU64(view, at.memorySizeMb),
    ].join();
  };
}

/** The profile and placement of a GPU instance, which drivers tell only a privileged process. */
function bindPlace(api: Api, byId: (gpu: number, id: number) => CallReturn<number>) {
  const symbol = "nvmlGpuInstanceGetInfo";
  const info = api.query(symbol, 1);
  const { at } = layouts.gpuInstanceInfo;
  const { view } = api.memory;
  return (gpu: number, id: number): Pick<MigSlice, "profile" | "placementStart"> => {
    const found = byId(gpu, id);
    if (!hasSucceeded(found.symbol, found.returnCode) || found.value === undefined) return {};
    if (!hasSucceeded(symbol, info(found.value))) return {};
    return {
      profile: readU32(view, at.profileId),
      placementStart: readU32(view, at.placementStart),
    };
  };
}
