/**
 * NVML's structs as data, and the memory that they lie in: sizes and offsets are those of nvml.h, the
 * same on x86-64 and arm64.
 *
 * Native memory is read in place with a `DataView`. A 64-bit integer is read as two halves, for a
 * BigInt a reading would be garbage on every sample; above 2^53 it loses its last bits, and no
 * reading's range reaches that far.
 *
 * Source: nvml.h of CUDA 11.3 to 13.3
 *
 * @module
 */
import { ptr } from "bun:ffi";
import { assert } from "#core/assert.ts";

const widthBytes = { u32: 4, i32: 4, u64: 8, f64: 8, pointer: 8 } as const;
type Kind = keyof typeof widthBytes;
/** A number is that many bytes of text. */
type Fields = Readonly<Record<string, Kind | number>>;

export interface Layout<Name extends string> {
  readonly sizeBytes: number;
  /** Offset of each member, in bytes. */
  readonly at: Readonly<Record<Name, number>>;
}

/** Lays members out as C does; `sizeBytes` is nvml.h's own sizeof, and must agree. */
export function struct<const F extends Fields>(
  sizeBytes: number,
  fields: F,
): Layout<Extract<keyof F, string>> {
  let endBytes = 0;
  let widest = 1;
  const at: Record<string, number> = {};
  for (const [name, kind] of Object.entries(fields)) {
    const [width, align] =
      typeof kind === "number" ? [kind, 1] : [widthBytes[kind], widthBytes[kind]];
    at[name] = Math.ceil(endBytes / align) * align;
    endBytes = at[name] + width;
    widest = Math.max(widest, align);
  }
  const paddedBytes = Math.ceil(endBytes / widest) * widest;
  assert(paddedBytes === sizeBytes, `layout has ${paddedBytes} bytes, nvml.h says ${sizeBytes}`);
  return { sizeBytes, at: at as Record<Extract<keyof F, string>, number> };
}

export const layouts = {
  utilization: struct(8, { gpu: "u32", memory: "u32" }),
  memoryV1: struct(24, { total: "u64", free: "u64", used: "u64" }),
  memoryV2: struct(40, {
    version: "u32",
    total: "u64",
    reserved: "u64",
    free: "u64",
    used: "u64",
  }),
  pciInfo: struct(68, {
    busIdLegacy: 16,
    domain: "u32",
    bus: "u32",
    device: "u32",
    pciDeviceId: "u32",
    pciSubSystemId: "u32",
    busId: 32,
  }),
  fieldValue: struct(40, {
    fieldId: "u32",
    scopeId: "u32",
    timestamp: "u64",
    latencyUsec: "u64",
    valueType: "u32",
    nvmlReturn: "i32",
    value: "u64",
  }),
  temperature: struct(12, { version: "u32", sensorType: "u32", temperature: "i32" }),
  /** Before R450, `nvmlEventSetWait`, it ends before the ids of the instance. */
  eventData: struct(32, {
    device: "pointer",
    eventType: "u64",
    eventData: "u64",
    gpuInstanceId: "u32",
    computeInstanceId: "u32",
  }),
  gpmMetric: struct(40, {
    metricId: "u32",
    nvmlReturn: "i32",
    value: "f64",
    shortName: "pointer",
    longName: "pointer",
    unit: "pointer",
  }),
  /** Without the metrics, which follow it as an array. */
  gpmMetricsGet: struct(24, {
    version: "u32",
    numMetrics: "u32",
    sample1: "pointer",
    sample2: "pointer",
  }),
  gpmSupport: struct(8, { version: "u32", isSupportedDevice: "u32" }),
  deviceAttributes: struct(40, {
    multiprocessorCount: "u32",
    sharedCopyEngineCount: "u32",
    sharedDecoderCount: "u32",
    sharedEncoderCount: "u32",
    sharedJpegCount: "u32",
    sharedOfaCount: "u32",
    gpuInstanceSliceCount: "u32",
    computeInstanceSliceCount: "u32",
    memorySizeMb: "u64",
  }),
  gpuInstanceInfo: struct(24, {
    device: "pointer",
    id: "u32",
    profileId: "u32",
    placementStart: "u32",
    placementSize: "u32",
  }),
  /** What every form of it begins with; see `processes.ts`. */
  processInfo: struct(16, { pid: "u32", usedGpuMemory: "u64" }),
  processUtilization: struct(32, {
    pid: "u32",
    timeStamp: "u64",
    smUtil: "u32",
    memUtil: "u32",
    encUtil: "u32",
    decUtil: "u32",
  }),
} as const;

/** nvml.h's NVML_STRUCT_VERSION: a driver that knows another size refuses with 25. */
export function structVersion(layout: Layout<string>, version: number): number {
  return layout.sizeBytes | (version << 24);
}

const twoTo32 = 2 ** 32;
export const readU32 = (memory: DataView, at: number): number => memory.getUint32(at, true);
export const readI32 = (memory: DataView, at: number): number => memory.getInt32(at, true);
export const readF64 = (memory: DataView, at: number): number => memory.getFloat64(at, true);
export const readU64 = (memory: DataView, at: number): number =>
  memory.getUint32(at + 4, true) * twoTo32 + memory.getUint32(at, true);

/** Writes an address, or any whole number from 0 to 2^53. */
export function writeU64(memory: DataView, at: number, value: number): void {
  memory.setUint32(at, value % twoTo32, true);
  memory.setUint32(at + 4, Math.floor(value / twoTo32), true);
}

const utf8 = new TextDecoder();

/** Reads text that ends with a NUL or with its buffer. */
export function readText(memory: DataView, at: number, sizeBytes: number): string {
  const bytes = new Uint8Array(memory.buffer, memory.byteOffset + at, sizeBytes);
  const end = bytes.indexOf(0);
  return utf8.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Memory that native code writes and this side reads in place; it lives as long as the object. */
export interface NativeMemory {
  readonly view: DataView;
  readonly address: number;
  /** Fills the first bytes with what no reading can be; see `poisonByte`. */
  readonly poison: (sizeBytes: number) => void;
}

/**
 * Fills memory before a call: a driver that reports success and writes nothing must not hand on the
 * reading before it, or 0. Repeated over 64 bits it is outside every reading's range, as an integer
 * and as a double; over 32 bits it is `unwrittenU32`.
 */
export const poisonByte = 0x7f;
export const unwrittenU32 = 0x7f7f_7f7f;

export function nativeMemory(sizeBytes: number): NativeMemory {
  // An explicit buffer never moves; a small typed array may, once its `buffer` is looked at.
  const bytes = new Uint8Array(new ArrayBuffer(sizeBytes));
  return {
    view: new DataView(bytes.buffer),
    address: ptr(bytes),
    poison: (upTo) => {
      bytes.fill(poisonByte, 0, upTo);
    },
  };
}
