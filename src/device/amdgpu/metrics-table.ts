/**
 * Reads one of the driver's binary tables, `gpu_metrics` of a card or `xcp_metrics` of a partition.
 *
 * Sources: docs.kernel.org, gpu/amdgpu/thermal ("gpu_metrics"), the header that `metrics-layout.ts`
 * names, and pm/swsmu/smu_cmn.h for the lists of attributes, which are packed.
 *
 * @module
 */
import {
  attributes,
  attributeVersions,
  cardLayouts,
  type Member,
  type Members,
  partitionLayouts,
  type QuantityName,
} from "./metrics-layout.ts";

/** A quantity's values, one for each engine that has it; none where the table has none. */
export type Quantities = { readonly [Name in QuantityName]?: readonly number[] };

export interface MetricsTable {
  readonly version: string;
  readonly quantities: Quantities;
  /** By the partition's number, as far as the table has them. */
  readonly partitions: readonly Quantities[];
}

/** Why a table says nothing: its version is unknown, or the bytes are not the whole of one table. */
export interface UnreadTable {
  readonly problem: "unknown" | "torn";
  readonly version?: string;
}

/**
 * @param kind Whose table it is: the versions of the two are counted apart.
 * @param bytes All of the file.
 */
export function parseMetricsTable(
  kind: "card" | "partition",
  bytes: Uint8Array,
): MetricsTable | UnreadTable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < tableHeaderBytes) return { problem: "torn" };
  // `struct metrics_table_header`: the size in two bytes, and the two parts of the version.
  const sizeBytes = view.getUint16(0, true);
  const version = `${view.getUint8(2)}.${view.getUint8(3)}`;
  if (sizeBytes !== view.byteLength) return { problem: "torn", version };
  if (version === attributeVersions[kind]) return attributeTable(view, version);
  const layouts = kind === "card" ? cardLayouts : partitionLayouts;
  const layout = Object.hasOwn(layouts, version) ? layouts[version] : undefined;
  if (layout?.sizeBytes !== sizeBytes) return { problem: "unknown", version };
  const quantities = quantitiesOf(view, 0, layout.members);
  const { partitions } = layout;
  const count = Math.min(quantities.partitionCount?.[0] ?? 0, partitions?.count ?? 0);
  return {
    version,
    quantities,
    partitions: Array.from({ length: count }, (_, number) =>
      partitions === undefined
        ? {}
        : quantitiesOf(
            view,
            partitions.offset + number * partitions.strideBytes,
            partitions.members,
          ),
    ),
  };
}

const tableHeaderBytes = 4;

function quantitiesOf(view: DataView, base: number, members: Members): Quantities {
  return Object.fromEntries(
    Object.entries(members).map(([name, member]) => [name, valuesOf(view, base, member)]),
  );
}

function valuesOf(view: DataView, base: number, member: Member): readonly number[] {
  const { offset, bytes, count, divisor } = member;
  const values = Array.from({ length: count }, (_, at) =>
    unsigned(view, base + offset + at * bytes, bytes),
  );
  return values.flatMap((value) => (value === undefined ? [] : [value / divisor]));
}

/** The driver fills a table with ones before it writes what it has. */
const allOnes = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff } as const;
const allOnes8 = 0xffff_ffff_ffff_ffffn;

/** @returns `undefined` where the driver wrote nothing. */
function unsigned(view: DataView, at: number, bytes: 1 | 2 | 4 | 8): number | undefined {
  if (bytes === 8) {
    const value = view.getBigUint64(at, true);
    return value === allOnes8 ? undefined : Number(value);
  }
  const value = bytes === 4 ? view.getUint32(at, true) : small(view, at, bytes);
  return value === allOnes[bytes] ? undefined : value;
}

function small(view: DataView, at: number, bytes: 1 | 2): number {
  return bytes === 2 ? view.getUint16(at, true) : view.getUint8(at);
}

/** Of an attribute's type: unsigned and signed by turns, of 1, 2, 4 and 8 bytes. */
const typeBytes = [1, 1, 2, 2, 4, 4, 8, 8] as const;
const encodingBytes = 8;

/**
 * After the header and the number of attributes, each attribute is eight bytes that say its unit, its
 * type, its id and its number of values, and then the values.
 */
function attributeTable(view: DataView, version: string): MetricsTable | UnreadTable {
  const torn = { problem: "torn", version } as const;
  const listAt = tableHeaderBytes + 4;
  if (view.byteLength < listAt) return torn;
  const quantities: { [Name in QuantityName]?: readonly number[] } = {};
  let at = listAt;
  for (let left = view.getInt32(tableHeaderBytes, true); left > 0; left -= 1) {
    if (at + encodingBytes > view.byteLength) return torn;
    const encoding = view.getUint32(at, true);
    const [unit, type] = [encoding >>> 24, (encoding >>> 20) & 0xf];
    const [id, count] = [(encoding >>> 10) & 0x3ff, encoding & 0x3ff];
    const bytes = typeBytes[type];
    // What follows an attribute of a type that is not known cannot be found.
    if (bytes === undefined) return { problem: "unknown", version };
    const valuesAt = at + encodingBytes;
    at = valuesAt + count * bytes;
    if (at > view.byteLength) return torn;
    const known = attributes.get(id);
    if (known === undefined || known.unit !== unit || type % 2 === 1) continue;
    quantities[known.quantity] = Array.from({ length: count }, (_, nth) =>
      unsigned(view, valuesAt + nth * bytes, bytes),
    ).filter((value) => value !== undefined);
  }
  return { version, quantities, partitions: [] };
}
