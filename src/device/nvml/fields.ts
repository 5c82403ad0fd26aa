/**
 * The readings that come from one `nvmlDeviceGetFieldValues` a device.
 *
 * A field that the driver or the device does not know leaves the batch.
 *
 * @module
 */
import type { ReadingName } from "#metric/reading.ts";
import type { Api } from "./api.ts";
import { type Counter, counter } from "./counter.ts";
import { admit, type Draft, refuse } from "./draft.ts";
import { layouts, readI32, readU32, readU64 } from "./layout.ts";
import { nativeMemory, unwrittenU32 } from "./memory.ts";
import { heed, isGone, type Patient, type TakeAt } from "./pass.ts";
import { absenceOf } from "./return-code.ts";

interface Field {
  readonly id: number;
  readonly scope?: number;
  readonly makes: ReadingName;
  /** 64 bits and not 32. */
  readonly isWide: boolean;
  /** The field counts this many units of the reading; the reading is its growth in a second. */
  readonly unitsPerCount?: number;
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
];

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

interface Entry {
  readonly field: Field;
  readonly counter: Counter | undefined;
  worked: boolean;
  supported: boolean;
}

/** The fields of one device. */
export interface Fields {
  /** @returns False when the device is gone. */
  readonly take: TakeAt;
  readonly supports: (name: ReadingName) => boolean;
  /** Starts the counters again, after a gap. */
  readonly forget: () => void;
}

const symbol = "nvmlDeviceGetFieldValues";

export function deviceFields(api: Api): Fields {
  const { view, address } = nativeMemory(fields.length * sizeBytes);
  const entries = fields.map(
    (field): Entry => ({
      field,
      counter: field.unitsPerCount === undefined ? undefined : counter(),
      worked: false,
      supported: true,
    }),
  );
  let batch = entries;
  let unsupported: readonly ReadingName[] = [];

  const prepare = () => {
    let base = 0;
    for (const { field } of batch) {
      view.setUint32(base + at.fieldId, field.id, true);
      view.setUint32(base + at.scopeId, field.scope ?? 0, true);
      view.setInt32(base + at.nvmlReturn, untouched, true);
      view.setUint32(base + at.value, unwrittenU32, true);
      view.setUint32(base + at.value + 4, unwrittenU32, true);
      base += sizeBytes;
    }
  };

  /** Judges one element of the batch. @returns False when the device is gone. */
  const takeEntry = (
    entry: Entry,
    base: number,
    returnCode: number,
    atMs: number,
    draft: Draft,
    patient: Patient,
  ): boolean => {
    const { field } = entry;
    if (returnCode === 0) {
      entry.worked = true;
      admitField(draft, entry, elementValue(view, base, field.isWide), atMs);
      return true;
    }
    const verdict = heed(symbol, returnCode, entry.worked, patient);
    entry.supported = verdict !== "unsupported";
    refuse(draft, [field.makes], absenceOf(verdict));
    return !isGone(verdict);
  };

  return {
    take: (device, atMs, draft, patient, pass) => {
      refuse(draft, unsupported, "unsupported");
      if (batch.length === 0) return true;
      prepare();
      const batchCode = api.fieldValues(device, batch.length, address);
      if (batchCode === 0) pass.answered += 1;
      let base = 0;
      for (const entry of batch) {
        const returnCode = elementCode(readI32(view, base + at.nvmlReturn), batchCode);
        if (!takeEntry(entry, base, returnCode, atMs, draft, patient)) return false;
        base += sizeBytes;
      }
      if (batch.every(({ supported }) => supported)) return true;
      batch = entries.filter(({ supported }) => supported);
      unsupported = entries.filter(({ supported }) => !supported).map(({ field }) => field.makes);
      return true;
    },
    supports: (name) => !unsupported.includes(name),
    forget: () => {
      for (const entry of entries) entry.counter?.forget();
    },
  };
}

/**
 * An element that the driver did not fill in shares the fate of the batch; one left out of a batch
 * that succeeded has no value.
 */
function elementCode(own: number, batch: number): number {
  if (own !== untouched) return own;
  return batch === 0 ? noData : batch;
}

function admitField(draft: Draft, entry: Entry, value: number, atMs: number): void {
  const { makes, unitsPerCount = 1 } = entry.field;
  const isCount = value <= Number.MAX_SAFE_INTEGER;
  if (entry.counter === undefined || !isCount) {
    entry.counter?.forget();
    admit(draft, makes, isCount ? value : Number.NaN);
    return;
  }
  const rate = entry.counter.rate(value, atMs);
  if (rate === undefined) refuse(draft, [makes], "pending");
  else admit(draft, makes, rate * unitsPerCount);
}
