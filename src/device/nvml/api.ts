/**
 * NVML's functions as this room calls them. A symbol that the driver lacks answers 13,
 * NVML_ERROR_FUNCTION_NOT_FOUND, so that nothing else need know about it.
 *
 * All calls share one piece of native memory, because there is one thread and every result is read
 * before the next call.
 *
 * @module
 */
import type { ReadingName } from "#metric/reading.ts";
import {
  type Call,
  type CallSymbol,
  eccCalls,
  fastCalls,
  pcieCalls,
  powerUsageCalls,
  slowCalls,
} from "./calls.ts";
import type { Draft } from "./draft.ts";
import { readText, readU64 } from "./layout.ts";
import type { ArgKind, Library, Native } from "./library.ts";
import { type NativeMemory, nativeMemory } from "./memory.ts";

interface BoundSymbol {
  readonly symbol: string;
  /** @returns An `nvmlReturn_t`. */
  readonly invoke: (device: number) => number;
  /** Reads what the last `invoke` left. */
  readonly read: (draft: Draft) => void;
}
export interface BoundCall {
  readonly makes: readonly ReadingName[];
  readonly symbols: readonly BoundSymbol[];
}

export interface Api {
  readonly bind: (symbol: string, args: readonly ArgKind[]) => Native;
  /** Where every call leaves its result. */
  readonly memory: NativeMemory;
  readonly fast: readonly BoundCall[];
  readonly slow: readonly BoundCall[];
  readonly ecc: readonly BoundCall[];
  readonly pcie: readonly BoundCall[];
  readonly powerAverage: BoundCall;
  readonly powerInstant: BoundCall;
  /** `nvmlInitWithFlags(NO_GPUS)`, or what comes nearest. */
  readonly init: () => { readonly symbol: string; readonly returnCode: number };
  readonly shutdown: () => number;
  readonly fieldValues: Native;
  /** Calls with memory for one struct, or two 32-bit numbers, which `memory` holds afterwards. */
  readonly query: (symbol: string, outs: 1 | 2) => (device: number) => number;
  /** Calls with a text buffer; the text when it succeeds. */
  readonly systemText: (symbol: string) => () => Answer<string>;
  readonly deviceText: (symbol: string) => (device: number) => Answer<string>;
  readonly handle: (index: number) => Answer<number>;
  readonly count: () => Answer<number>;
}

/** A value only when `returnCode` is 0. */
export interface Answer<T> {
  readonly symbol: string;
  readonly returnCode: number;
  readonly value: T | undefined;
}

const functionNotFound: Native = () => 13;
/** The longest text buffer that nvml.h asks for. */
const textBytes = 96;
const outBytes = 256;
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

  const boundAll = (calls: readonly Call[]) => calls.map((call) => boundCall(call, bind, memory));
  const text = (symbol: string, returnCode: number): Answer<string> => ({
    symbol,
    returnCode,
    value: returnCode === 0 ? readText(view, 0, textBytes) : undefined,
  });

  return {
    bind,
    memory,
    fast: boundAll(fastCalls),
    slow: boundAll(slowCalls),
    ecc: boundAll(eccCalls),
    pcie: boundAll(pcieCalls),
    powerAverage: boundCall(powerUsageCalls.average, bind, memory),
    powerInstant: boundCall(powerUsageCalls.instant, bind, memory),
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

function boundCall(
  { makes, symbols }: Call,
  bind: (symbol: string, args: readonly ArgKind[]) => Native,
  memory: NativeMemory,
): BoundCall {
  return { makes, symbols: symbols.map((row) => boundSymbol(row, bind, memory)) };
}

function boundSymbol(
  { symbol, args, sizeBytes, preset = [], read }: CallSymbol,
  bind: (symbol: string, args: readonly ArgKind[]) => Native,
  { view, address, poison }: NativeMemory,
): BoundSymbol {
  const kinds = args.map((arg): ArgKind => ("fixed" in arg ? "int" : "pointer"));
  const native = bind(symbol, ["pointer", ...kinds]);
  const numbers = args.map((arg) => ("fixed" in arg ? arg.fixed : address + arg.outAt));
  const call = withArgs(native, numbers);
  return {
    symbol,
    invoke: (device) => {
      poison(sizeBytes);
      for (const [at, value] of preset) view.setUint32(at, value, true);
      return call(device);
    },
    read: (draft) => read(view, draft),
  };
}

/** Without a rest argument, which would be a new array on every call. */
function withArgs(native: Native, args: readonly number[]): (device: number) => number {
  const [first = 0, second = 0, third = 0] = args;
  if (args.length === 1) return (device) => native(device, first);
  if (args.length === 2) return (device) => native(device, first, second);
  return (device) => native(device, first, second, third);
}
