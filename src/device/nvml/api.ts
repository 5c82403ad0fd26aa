/**
 * NVML's functions as this room calls them. A symbol that the driver lacks answers 13,
 * NVML_ERROR_FUNCTION_NOT_FOUND, so that nothing else needs to know about it.
 *
 * All calls share one piece of native memory, because there is one thread and every result is read
 * before the next call.
 *
 * @module
 */
import { reportDevicesMax } from "#core/limits.ts";
import {
  layouts,
  type NativeMemory,
  nativeMemory,
  readText,
  readU64,
  unwrittenU32,
} from "./layout.ts";
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
  /**
   * Calls a function that leaves a handle at the address given last. One that succeeded and wrote none
   * answers 21, NVML_ERROR_NO_DATA: what lay there before would be a wild pointer.
   */
  readonly handleOf: (
    symbol: string,
    args: readonly ArgKind[],
  ) => (...args: number[]) => CallReturn<number>;
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
const noData = 21;
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
  const handleOf: Api["handleOf"] = (symbol, args) => {
    const native = bind(symbol, [...args, "pointer"]);
    return (...values) => {
      poison(outBytes);
      const returnCode = native(...values, address);
      const isWritten = view.getUint32(0, true) !== unwrittenU32 && readU64(view, 0) !== 0;
      if (returnCode === 0 && !isWritten) return { symbol, returnCode: noData, value: undefined };
      return { symbol, returnCode, value: returnCode === 0 ? readU64(view, 0) : undefined };
    };
  };

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
    ...bindTexts(bind, memory),
    count: () => {
      poison(outBytes);
      const returnCode = count(address);
      const value = view.getUint32(0, true);
      if (returnCode === 0 && value > reportDevicesMax)
        return { symbol: countSymbol, returnCode: noData, value: undefined };
      return { symbol: countSymbol, returnCode, value: returnCode === 0 ? value : undefined };
    },
    handleOf,
    handle: handleOf("nvmlDeviceGetHandleByIndex_v2", ["unsigned"]),
  };
}

function bindTexts(
  bind: Api["bind"],
  { view, address }: NativeMemory,
): Pick<Api, "systemText" | "deviceText"> {
  const textOf = (symbol: string, call: () => number): CallReturn<string> => {
    // Not the text of the call before, where this one writes none.
    view.setUint8(0, 0);
    const returnCode = call();
    const value = returnCode === 0 ? readText(view, 0, textBytes) : undefined;
    return value === ""
      ? { symbol, returnCode: noData, value: undefined }
      : { symbol, returnCode, value };
  };
  return {
    systemText: (symbol) => {
      const native = bind(symbol, ["pointer", "unsigned"]);
      return () => textOf(symbol, () => native(address, textBytes));
    },
    deviceText: (symbol) => {
      const native = bind(symbol, ["pointer", "pointer", "unsigned"]);
      return (device) => textOf(symbol, () => native(device, address, textBytes));
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
