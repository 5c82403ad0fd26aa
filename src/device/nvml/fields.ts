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
import { layouts, readF64, readI32, readI64, readU32, readU64 } from "./layout.ts";
import { nativeMemory } from "./memory.ts";
import { heed, isGone, type Pass, type Patient, type TakeAt } from "./pass.ts";
import { absenceOf } from "./return-code.ts";

interface Field {
  readonly id: number;
  readonly scope?: number;
  readonly makes: ReadingName;
  /** Read so whatever the driver says: R545 calls the memory's temperature a double. */
  readonly type?: number;
  /** The field counts this many units of the reading; the reading is its growth in a second. */
  readonly unitsPerCount?: number;
}

/** `scopeId` of NVLink's counters: the sum over all links. */
const allLinks = 0xffff_ffff;
/** The counters are in KiB, the readings in MB. */
const megabytesPerKib = 1024 / 1e6;

export const fields: readonly Field[] = [
  { id: 82, makes: "memoryTemperatureCelsius", type: 1 },
  { id: 83, makes: "energyMillijoules" },
  { id: 185, makes: "powerAverageMilliwatts" },
  { id: 186, makes: "powerInstantMilliwatts" },
  {
    id: 138,
    scope: allLinks,
    makes: "nvlinkTxMegabytesPerSecond",
    unitsPerCount: megabytesPerKib,
  },
  {
    id: 139,
    scope: allLinks,
    makes: "nvlinkRxMegabytesPerSecond",
    unitsPerCount: megabytesPerKib,
  },
];

const { at, sizeBytes } = layouts.fieldValue;
/** Left in `nvmlReturn` by a driver that does not fill an element in: no code of NVML. */
const untouched = -1;
const noData = 21;

/** `nvmlValueType_t`; undefined for a type that is newer than this table. */
export function fieldNumber(memory: DataView, valueAt: number, type: number): number | undefined {
  switch (type) {
    case 0:
      return readF64(memory, valueAt);
    case 1:
      return readU32(memory, valueAt);
    case 2:
    case 3:
      return readU64(memory, valueAt);
    case 4:
      return readI64(memory, valueAt);
    case 5:
      return readI32(memory, valueAt);
    case 6:
      return memory.getUint16(valueAt, true);
    default:
      return undefined;
  }
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
    pass: Pass,
  ): boolean => {
    const { field } = entry;
    if (returnCode === 0) {
      entry.worked = true;
      const type = field.type ?? readU32(view, base + at.valueType);
      admitField(draft, entry, fieldNumber(view, base + at.value, type), atMs);
      return true;
    }
    const verdict = heed(symbol, returnCode, entry.worked, patient, pass);
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
        if (!takeEntry(entry, base, returnCode, atMs, draft, patient, pass)) return false;
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

function admitField(draft: Draft, entry: Entry, value: number | undefined, atMs: number): void {
  const { makes, unitsPerCount = 1 } = entry.field;
  const isCount = value !== undefined && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
  if (entry.counter === undefined || !isCount) {
    entry.counter?.forget();
    admit(draft, makes, isCount ? value : Number.NaN);
    return;
  }
  const rate = entry.counter.rate(value, atMs);
  if (rate === undefined) refuse(draft, [makes], "pending");
  else admit(draft, makes, rate * unitsPerCount);
}
