/**
 * The readings and flags that come from one `nvmlDeviceGetFieldValues` a device.
 *
 * A field that the driver or the device does not know leaves the batch.
 *
 * @module
 */
import type { Absence, ReadingName } from "#metric/reading.ts";
import type { Api } from "./api.ts";
import { type DevicePass, madeReadings, type Source } from "./device-call.ts";
import { layouts, nativeMemory, readI32, readU32, readU64, unwrittenU32 } from "./layout.ts";
import { absenceOf, isGone, type Refusal, refusalOf } from "./return-code.ts";

interface Field {
  readonly id: number;
  readonly scope?: number;
  /** A reading, or a flag. */
  readonly makes?: ReadingName;
  readonly flag?: keyof DriverFlags;
  /** 64 bits and not 32. */
  readonly isWide: boolean;
  /** The field counts this many units of the reading; the reading is its growth in a second. */
  readonly unitsPerCount?: number;
}

/** What the driver says of a device beside its readings; absent where it has never said it. */
export interface DriverFlags {
  /** What it wants done: 0 is nothing; see `gpu-conditions.ts`. */
  readonly recoveryAction?: number;
  /** Rows of its memory that were replaced, since the GPU was made. */
  readonly remappedAfterCorrectable?: number;
  readonly remappedAfterUncorrectable?: number;
  /** 1: rows wait for a reset to be replaced; 1: one could not be replaced. */
  readonly remapPending?: number;
  readonly remapFailed?: number;
}

/** `scopeId` of NVLink's counters: the sum over all links. */
const allLinks = 0xffff_ffff;
/** The counters are in KiB, the readings in MB. */
const megabytesPerKib = 1024 / 1e6;

const fields: readonly Field[] = [
  { id: 82, makes: "memoryTemperatureCelsius", isWide: false },
  { id: 83, makes: "energyMillijoules", isWide: true },
  { id: 185, makes: "powerAverageMilliwatts", isWide: false },
  { id: 186, makes: "powerInstantMilliwatts", isWide: false },
  {
    id: 138,
    scope: allLinks,
    isWide: true,
    makes: "nvlinkTxMegabytesPerSecond",
    unitsPerCount: megabytesPerKib,
  },
  {
    id: 139,
    scope: allLinks,
    isWide: true,
    makes: "nvlinkRxMegabytesPerSecond",
    unitsPerCount: megabytesPerKib,
  },
  { id: 142, flag: "remappedAfterCorrectable", isWide: false },
  { id: 143, flag: "remappedAfterUncorrectable", isWide: false },
  { id: 144, flag: "remapPending", isWide: false },
  { id: 145, flag: "remapFailed", isWide: false },
  { id: 230, flag: "recoveryAction", isWide: false },
];

export const fieldReadings: readonly ReadingName[] = fields.flatMap(({ makes }) => makes ?? []);

const { at, sizeBytes } = layouts.fieldValue;
/** Left in `nvmlReturn` by a driver that does not fill an element in: no code of NVML. */
const untouched = -1;
const noData = 21;

/** `nvmlValueType_t` of values of 32 bits and less. */
const narrowTypes: readonly number[] = [1, 5, 6];

/**
 * Reads an element's value by what the field is known to be: R545 calls the memory's temperature a
 * double, and the bits of a small integer are a double of nearly 0. A wide field may come narrow.
 */
function elementValue(memory: DataView, base: number, isWide: boolean): number {
  return isWide && !narrowTypes.includes(readU32(memory, base + at.valueType))
    ? readU64(memory, base + at.value)
    : readU32(memory, base + at.value);
}

interface BatchField {
  readonly field: Field;
  /** In the outcomes; -1 of a flag. */
  readonly position: number;
  readonly counter: Counter | undefined;
  hasWorked: boolean;
  isSupported: boolean;
}

/** The fields of one device. */
export interface FieldsSource extends Source {
  readonly supports: (name: ReadingName) => boolean;
  /** As the driver last said them: one that it refuses once stands. */
  readonly flags: () => DriverFlags;
  /** Starts the counters again, after a gap. */
  readonly resetCounters: () => void;
}

const symbol = "nvmlDeviceGetFieldValues";
const makes = madeReadings(fields.flatMap((field) => field.makes ?? []));

export function fieldsSource(api: Api): FieldsSource {
  const { view, address } = nativeMemory(fields.length * sizeBytes);
  const all = fields.map(
    (field): BatchField => ({
      field,
      position: makes.findIndex(({ name }) => name === field.makes),
      counter: field.unitsPerCount === undefined ? undefined : counter(field.unitsPerCount),
      hasWorked: false,
      isSupported: true,
    }),
  );
  const outcomes: (number | Absence)[] = makes.map(() => "unsupported");
  const flags: { -readonly [Name in keyof DriverFlags]: DriverFlags[Name] } = {};
  let batch = all;

  /** Reads one element of the batch into the outcomes, unless it is refused. */
  const readElement = (entry: BatchField, base: number, batchCode: number, pass: DevicePass) => {
    const returnCode = elementCode(readI32(view, base + at.nvmlReturn), batchCode);
    if (returnCode === 0) {
      entry.hasWorked = true;
      const value = elementValue(view, base, entry.field.isWide);
      if (entry.field.flag === undefined)
        outcomes[entry.position] = outcomeOf(entry, value, pass.atMs);
      else if (value !== unwrittenU32) flags[entry.field.flag] = value;
      return undefined;
    }
    const refusal = refusalOf(symbol, returnCode, entry.hasWorked && !pass.isNewHandle);
    entry.isSupported = refusal.class !== "unsupported";
    if (entry.field.flag === undefined) outcomes[entry.position] = absenceOf(refusal);
    else if (!entry.isSupported) delete flags[entry.field.flag];
    return refusal;
  };

  const readBatch = (pass: DevicePass, batchCode: number): readonly Refusal[] => {
    const refusals: Refusal[] = [];
    let base = 0;
    for (const entry of batch) {
      const refusal = readElement(entry, base, batchCode, pass);
      base += sizeBytes;
      if (refusal === undefined) continue;
      refusals.push(refusal);
      if (isGone(refusal)) return refusals;
    }
    if (refusals.length > 0) batch = all.filter(({ isSupported }) => isSupported);
    return refusals;
  };

  return {
    read: (pass) => {
      if (batch.length === 0) return { makes, outcomes, answered: 0, refusals: [] };
      prepare(view, batch);
      const batchCode = api.fieldValues(pass.device, batch.length, address);
      const refusals = readBatch(pass, batchCode);
      return { makes, outcomes, answered: batchCode === 0 ? 1 : 0, refusals };
    },
    supports: (name) => all.some(({ field, isSupported }) => field.makes === name && isSupported),
    flags: () => flags,
    resetCounters: () => {
      for (const entry of all) entry.counter?.reset();
    },
  };
}

/** Writes the batch's elements, so that one which the driver does not fill in is known by it. */
function prepare(view: DataView, batch: readonly BatchField[]): void {
  let base = 0;
  for (const { field } of batch) {
    view.setUint32(base + at.fieldId, field.id, true);
    view.setUint32(base + at.scopeId, field.scope ?? 0, true);
    view.setInt32(base + at.nvmlReturn, untouched, true);
    view.setUint32(base + at.value, unwrittenU32, true);
    view.setUint32(base + at.value + 4, unwrittenU32, true);
    base += sizeBytes;
  }
}

/**
 * An element that the driver did not fill in shares the fate of the batch; one left out of a batch
 * that succeeded has no value.
 */
function elementCode(own: number, batch: number): number {
  if (own !== untouched) return own;
  return batch === 0 ? noData : batch;
}

function outcomeOf({ counter }: BatchField, value: number, atMs: number): number | Absence {
  if (value > Number.MAX_SAFE_INTEGER) {
    counter?.reset();
    return "implausible";
  }
  if (counter === undefined) return value;
  return counter.rate(value, atMs) ?? "pending";
}

/** Turns a counter that only grows into a rate. */
interface Counter {
  /**
   * @param atMs Monotonic milliseconds of `count`.
   * @returns Units in a second since the count before; undefined while there is none to compare
   * with: at first, and after the counter started again.
   */
  readonly rate: (count: number, atMs: number) => number | undefined;
  readonly reset: () => void;
}

function counter(unitsPerCount: number): Counter {
  let before: number | undefined;
  let beforeMs = 0;
  return {
    rate: (count, atMs) => {
      const grown = before === undefined ? -1 : count - before;
      const passedMs = atMs - beforeMs;
      before = count;
      beforeMs = atMs;
      return grown < 0 || passedMs <= 0 ? undefined : (grown / passedMs) * 1000 * unitsPerCount;
    },
    reset: () => {
      before = undefined;
    },
  };
}
