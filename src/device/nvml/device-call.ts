/**
 * One source of readings of one device, and what reading it gives.
 *
 * @module
 */
import { type Absence, type Range, type ReadingName, readingRanges } from "#metric/reading.ts";
import { type Api, withArgs } from "./api.ts";
import {
  type CallSymbol,
  eccCalls,
  fastCalls,
  memoryCall,
  type NvmlCall,
  pcieCalls,
  powerUsageCalls,
  slowCalls,
} from "./calls.ts";
import { readU32 } from "./layout.ts";
import type { ArgKind } from "./library.ts";
import { absenceOf, isGone, type Refusal, refusalOf } from "./return-code.ts";

/** One pass over one device. */
export interface DevicePass {
  /** The driver's handle. */
  readonly device: number;
  /** By the monotonic clock. */
  readonly atMs: number;
  /** The handle was fetched in this pass, so it cannot be what is invalid. */
  readonly isNewHandle: boolean;
}

/** A reading that a source makes, with its range at hand: a pass checks some two hundred values. */
export interface MadeReading extends Range {
  readonly name: ReadingName;
}
export const madeReadings = (names: readonly ReadingName[]): readonly MadeReading[] =>
  names.map((name) => ({ name, ...readingRanges[name] }));

/** What one source gave. Its arrays may be used again when the source is read again. */
export interface SourceResult {
  readonly makes: readonly MadeReading[];
  /**
   * One for each of `makes`: its value, believable or not, or why there is none. `undefined`: what
   * another source says of it stands.
   */
  readonly outcomes: readonly (number | Absence | undefined)[];
  /** Calls that succeeded. */
  readonly answered: number;
  /** What the driver said of the device instead of a value. */
  readonly refusals: readonly Refusal[];
}

export interface Source {
  /** @throws {Fault} `library-failed` when the session is over. */
  readonly read: (pass: DevicePass) => SourceResult;
}

export interface DeviceCall extends Source {
  readonly makes: readonly MadeReading[];
  /** False once the device has refused every symbol of the call as unsupported. */
  readonly isSupported: () => boolean;
}

/** Makes the call for one device, which falls to its own symbol. */
export type CallFactory = () => DeviceCall;

interface BoundSymbol extends CallSymbol {
  /** @returns An `nvmlReturn_t`. */
  readonly invoke: (device: number) => number;
}

/** The calls of `calls.ts`, bound. */
export interface BoundCalls {
  readonly fast: readonly CallFactory[];
  readonly slow: readonly CallFactory[];
  readonly pcie: readonly CallFactory[];
  readonly memory: CallFactory;
  readonly powerAverage: CallFactory;
  readonly powerInstant: CallFactory;
  readonly ecc: () => Source;
}

export function bindCalls(api: Api): BoundCalls {
  const bind = (call: NvmlCall): CallFactory => {
    const symbols = call.symbols.map((row) => boundSymbol(row, api));
    const makes = madeReadings(call.makes);
    return () => deviceCall(makes, symbols, api.memory.view);
  };
  const ecc = eccCalls.map(bind);
  const eccMode = api.query(eccModeSymbol, 2);
  return {
    fast: fastCalls.map(bind),
    slow: slowCalls.map(bind),
    pcie: pcieCalls.map(bind),
    memory: bind(memoryCall),
    powerAverage: bind(powerUsageCalls.average),
    powerInstant: bind(powerUsageCalls.instant),
    ecc: () => {
      const counts = ecc.map((create) => create());
      return eccSource(counts, eccMode, api.memory.view);
    },
  };
}

function boundSymbol(row: CallSymbol, { bind, memory }: Api): BoundSymbol {
  const { symbol, args, sizeBytes, preset = [] } = row;
  const { view, address, poison } = memory;
  const kinds = args.map((arg): ArgKind => ("fixed" in arg ? "int" : "pointer"));
  const native = bind(symbol, ["pointer", ...kinds]);
  const numbers = args.map((arg) => ("fixed" in arg ? arg.fixed : address + arg.outAt));
  const call = withArgs(native, numbers);
  return {
    ...row,
    invoke: (device) => {
      poison(sizeBytes);
      for (const [at, value] of preset) view.setUint32(at, value, true);
      return call(device);
    },
  };
}

const noRefusals: readonly Refusal[] = [];

function deviceCall(
  makes: readonly MadeReading[],
  symbols: readonly BoundSymbol[],
  memory: DataView,
): DeviceCall {
  const outcomes: (number | Absence)[] = makes.map(() => "unsupported");
  // Made once: a pass reads every source of every device.
  const success: SourceResult = { makes, outcomes, answered: 1, refusals: noRefusals };
  const unsupported: SourceResult = { makes, outcomes, answered: 0, refusals: noRefusals };
  let position = 0;
  let hasWorked = false;

  return {
    makes,
    isSupported: () => position < symbols.length,
    read: ({ device, isNewHandle }) => {
      for (; position < symbols.length; position += 1) {
        const bound = symbols[position] as BoundSymbol;
        const returnCode = bound.invoke(device);
        if (returnCode === 0) {
          hasWorked = true;
          decodeInto(outcomes, bound, memory);
          return success;
        }
        const refusal = refusalOf(bound.symbol, returnCode, hasWorked && !isNewHandle);
        if (refusal.class !== "unsupported") return refusedSource(makes, refusal);
        hasWorked = false;
      }
      outcomes.fill("unsupported");
      return unsupported;
    },
  };
}

function decodeInto(outcomes: (number | Absence)[], { decode }: BoundSymbol, memory: DataView) {
  let at = 0;
  for (const read of decode) {
    outcomes[at] = read(memory);
    at += 1;
  }
}

/** What a source gave that the driver refused. */
function refusedSource(makes: readonly MadeReading[], refusal: Refusal): SourceResult {
  const absence = absenceOf(refusal);
  return { makes, outcomes: makes.map(() => absence), answered: 0, refusals: [refusal] };
}

const eccModeSymbol = "nvmlDeviceGetEccMode";

/** The error counts, which are there only while ECC is on. */
function eccSource(
  counts: readonly DeviceCall[],
  mode: (device: number) => number,
  memory: DataView,
): Source {
  const makes = counts.flatMap((call) => call.makes);
  return {
    read: (pass) => {
      const returnCode = mode(pass.device);
      if (returnCode !== 0) return refusedSource(makes, refusalOf(eccModeSymbol, returnCode));
      if (readU32(memory, 0) !== 1)
        return { makes, outcomes: makes.map(() => "unsupported"), answered: 1, refusals: [] };
      const results = readAll(counts, pass);
      return {
        makes,
        outcomes: results.flatMap(({ outcomes }) => outcomes),
        answered: results.reduce((sum, { answered }) => sum + answered, 1),
        refusals: results.flatMap(({ refusals }) => refusals),
      };
    },
  };
}

/** Reads sources up to the first that finds the device gone. */
export function readAll(sources: readonly Source[], pass: DevicePass): readonly SourceResult[] {
  const results: SourceResult[] = [];
  for (const source of sources) {
    const result = source.read(pass);
    results.push(result);
    if (result.refusals.some(isGone)) break;
  }
  return results;
}
