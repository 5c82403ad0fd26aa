/**
 * Finds and binds `libnvidia-ml.so.1`.
 *
 * Each symbol is bound by itself: one that an older driver lacks would otherwise cost all of them.
 * The library stays mapped as long as the process: unmapping it while a session is open kills the
 * process later, and a closed session holds nothing of the driver.
 *
 * @module
 */
import { dlopen, FFIType } from "bun:ffi";
import { Fault } from "#core/fault.ts";

/** By soname first, so that the container runtime's own mount wins; then where drivers are put. */
export const nvmlLibraryPaths: readonly string[] = [
  "libnvidia-ml.so.1",
  "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
  "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1",
  "/usr/lib64/libnvidia-ml.so.1",
  "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
  "/home/kubernetes/bin/nvidia/lib64/libnvidia-ml.so.1",
  "/run/nvidia/driver/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
  "/run/nvidia/driver/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1",
  "/run/nvidia/driver/usr/lib64/libnvidia-ml.so.1",
];

export type NativeFunction = (...args: number[]) => number;
/** `int` stands for every enum too; a pointer is its address. */
export type ArgKind = "int" | "unsigned" | "u64" | "pointer";

export interface Library {
  readonly path: string;
  /** @returns The function, which returns an `nvmlReturn_t`; undefined when the driver lacks it. */
  readonly bind: (symbol: string, args: readonly ArgKind[]) => NativeFunction | undefined;
}

const ffiTypes = {
  int: FFIType.i32,
  unsigned: FFIType.u32,
  u64: FFIType.u64,
  pointer: FFIType.ptr,
} as const satisfies Record<ArgKind, FFIType>;

/** In every NVML there is, so its absence means that the file is something else. */
const everywhere = "nvmlInit_v2";

/** The first library that can be loaded. */
export function findLibrary(paths: readonly string[]): string | undefined {
  return paths.find((path) => bindSymbol(path, everywhere, []) !== undefined);
}

/**
 * Loads the first library that can be loaded.
 *
 * @throws {Fault} `library-missing` with every path that was tried.
 */
export function loadLibrary(paths: readonly string[]): Library {
  const found = findLibrary(paths);
  if (found === undefined)
    throw new Fault(
      "library-missing",
      `Cannot load NVML: none of ${paths.join(", ")} is a library that this process can load; ` +
        "mount the driver (runtimeClassName nvidia, or NVIDIA_VISIBLE_DEVICES=all with " +
        "NVIDIA_DRIVER_CAPABILITIES=utility), name the file with --nvml-library, " +
        "or use --collector mock",
      { paths },
    );
  return { path: found, bind: (symbol, args) => bindSymbol(found, symbol, args) };
}

function bindSymbol(
  path: string,
  symbol: string,
  args: readonly ArgKind[],
): NativeFunction | undefined {
  try {
    const { symbols } = dlopen(path, {
      [symbol]: { args: args.map((kind) => ffiTypes[kind]), returns: FFIType.i32 },
    });
    return symbols[symbol] as NativeFunction | undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Bun's way to say that there is no such library, or no such symbol in it. */
function isMissing(error: unknown): boolean {
  if (!(error instanceof Error && "code" in error)) return false;
  return error.code === "ERR_DLOPEN_FAILED" || error.code === "ERR_INVALID_ARG_TYPE";
}
