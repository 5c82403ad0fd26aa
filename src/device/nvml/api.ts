/**
 * NVML's functions as this room calls them. A symbol that the driver lacks answers 13,
 * NVML_ERROR_FUNCTION_NOT_FOUND, so that nothing else needs to know about it.
 *
 * All calls share one piece of native memory, because there is one thread and every result is read
 * before the next call.
 *
 * @module
 */
import { layouts, type NativeMemory, nativeMemory, readText, readU64 } from "./layout.ts";
import type { ArgKind, Library, NativeFunction } from "./library.ts";

export interface Api {
  readonly bind: (symbol: string, args: readonly ArgKind[]) => NativeFunction;
  /** Where every call leaves its result. */
  readonly memory: NativeMemory;
  /** `nvmlInitWithFlags(NO_GPUS)`, or what comes nearest. */
  readonly init: () => { readonly symbol: string; readonly returnCode: number };
  readonly shutdown: () => number;
  readonly fieldValues: NativeFunction;
  /** Calls with memory for one struct, or two 32-bit numbers, which `memory` holds afterwards. */
  readonly query: (symbol: string, outs: 1 | 2) => (device: number) => number;
  /** Calls with a text buffer; the text when it succeeds. */
  readonly systemText: (symbol: string) => () => CallReturn<string>;
  readonly deviceText: (symbol: string) => (device: number) => CallReturn<string>;
  readonly handle: (index: number) => CallReturn<number>;
  readonly count: () => CallReturn<number>;
}

/** A value only when `returnCode` is 0. */
export interface CallReturn<T> {
  readonly symbol: string;
  readonly returnCode: number;
  readonly value: T | undefined;
}

const functionNotFound: NativeFunction = () => 13;
/** The longest text buffer that nvml.h asks for. */
const textBytes = 96;
const outBytes = Math.max(textBytes, ...Object.values(layouts).map(({ sizeBytes }) => sizeBytes));
/** NVML_INIT_FLAG_NO_GPUS: without it a node whose GPUs are all taken away has no session. */
const initNoGpus = 1;

export function bindApi(library: Library): Api {
  const bind = (symbol: string, args: readonly ArgKind[]) =>
    library.bind(symbol, args) ?? functionNotFound;
  const memory = nativeMemory(outBytes);
  const { view, address, poison } = memory;

  const initWithFlags = bind("nvmlInitWithFlags", ["unsigned"]);
  const initV2 = bind("nvmlInit_v2", []);
  const countSymbol = "nvmlDeviceGetCount_v2";
  const count = bind(countSymbol, ["pointer"]);
  const handleSymbol = "nvmlDeviceGetHandleByIndex_v2";
  const handle = bind(handleSymbol, ["unsigned", "pointer"]);

  const text = (symbol: string, returnCode: number): CallReturn<string> => ({
    symbol,
    returnCode,
    value: returnCode === 0 ? readText(view, 0, textBytes) : undefined,
  });

  return {
    bind,
    memory,
    init: () => {
      const returnCode = initWithFlags(initNoGpus);
      return returnCode === 13
        ? { symbol: "nvmlInit_v2", returnCode: initV2() }
        : { symbol: "nvmlInitWithFlags", returnCode };
    },
    shutdown: bind("nvmlShutdown", []),
    fieldValues: bind("nvmlDeviceGetFieldValues", ["pointer", "int", "pointer"]),
    query: (symbol, outs) => {
      const pointers = outs === 1 ? [address] : [address, address + 4];
      const native = bind(symbol, ["pointer", ...pointers.map((): ArgKind => "pointer")]);
      const call = withArgs(native, pointers);
      return (device) => {
        poison(outBytes);
        return call(device);
      };
    },
    systemText: (symbol) => {
      const native = bind(symbol, ["pointer", "unsigned"]);
      return () => text(symbol, native(address, textBytes));
    },
    deviceText: (symbol) => {
      const native = bind(symbol, ["pointer", "pointer", "unsigned"]);
      return (device) => text(symbol, native(device, address, textBytes));
    },
    count: () => {
      const returnCode = count(address);
      const value = returnCode === 0 ? view.getUint32(0, true) : undefined;
      return { symbol: countSymbol, returnCode, value };
    },
    handle: (index) => {
      const returnCode = handle(index, address);
      const value = returnCode === 0 ? readU64(view, 0) : undefined;
      return { symbol: handleSymbol, returnCode, value };
    },
  };
}

/**
 * Calls with fixed arguments. A function that takes fewer ignores the rest; a rest argument would be
 * a new array on every call.
 */
export function withArgs(
  native: NativeFunction,
  [first = 0, second = 0, third = 0]: readonly number[],
): (device: number) => number {
  return (device) => native(device, first, second, third);
}
