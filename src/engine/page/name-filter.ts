/**
 * The allow-list of metric names, matched on bytes so that a line nobody wants costs no string.
 *
 * Names are compared in canonical form: without a leading `ray_` and with `_` for `:`. vLLM's own
 * page, Ray's copy of it and older Dynamo's then share one table of names.
 *
 * @module
 */
const colon = 0x3a;
const underscore = 0x5f;
const rayBytes = Buffer.from("ray_");

/** The name under which all tables know a metric. */
export function canonicalName(name: string): string {
  return (name.startsWith("ray_") ? name.slice(4) : name).replaceAll(":", "_");
}

export interface NameFilter {
  readonly names: readonly string[];
  readonly has: (name: string) => boolean;
  /**
   * @param hash `hashName` of the same bytes.
   * @returns The canonical name at `bytes[start, end)` if it is wanted.
   */
  readonly find: (
    bytes: Uint8Array,
    start: number,
    end: number,
    hash: number,
  ) => string | undefined;
}

/** FNV-1a over one more byte of a canonical name. */
export function hashByte(hash: number, byte: number): number {
  return Math.imul(hash ^ (byte === colon ? underscore : byte), 0x01000193);
}
export const hashSeed = 0x811c9dc5 | 0;

/** Where a name's canonical part starts: behind `ray_` if it has that. */
export function canonicalStart(bytes: Uint8Array, start: number): number {
  return bytes[start] === rayBytes[0] &&
    bytes[start + 1] === rayBytes[1] &&
    bytes[start + 2] === rayBytes[2] &&
    bytes[start + 3] === rayBytes[3]
    ? start + 4
    : start;
}

/**
 * @param wanted Canonical sample names, so a histogram is named by its `_bucket`, `_sum`, `_count`.
 */
export function nameFilter(wanted: Iterable<string>): NameFilter {
  const names = [...new Set(wanted)];
  const known = new Set(names);
  const slots = 2 ** Math.ceil(Math.log2(Math.max(names.length, 1) * 4));
  const table: (Entry | undefined)[] = new Array(slots).fill(undefined);
  for (const name of names) {
    const entry = { name, bytes: Buffer.from(name), hash: hashOf(name) };
    let slot = entry.hash & (slots - 1);
    while (table[slot] !== undefined) slot = (slot + 1) & (slots - 1);
    table[slot] = entry;
  }
  return {
    names,
    has: (name) => known.has(name),
    find: (bytes, start, end, hash) => {
      let slot = hash & (slots - 1);
      for (let entry = table[slot]; entry !== undefined; entry = table[slot]) {
        if (entry.hash === hash && isSame(entry.bytes, bytes, start, end)) return entry.name;
        slot = (slot + 1) & (slots - 1);
      }
      return undefined;
    },
  };
}

/** Filters for the same names are one: most targets are asked for the same few signals. */
export function sharedFilters(): (names: ReadonlySet<string>) => NameFilter {
  const filters = new Map<string, NameFilter>();
  return (names) => {
    const key = [...names].sort().join(" ");
    const filter = filters.get(key) ?? nameFilter(names);
    filters.delete(key);
    filters.set(key, filter);
    const [oldest] = filters.keys();
    if (filters.size > sharedFiltersMax && oldest !== undefined) filters.delete(oldest);
    return filter;
  };
}
/** There are some twenty engines, and a dozen sets of signals that triggers ask for. */
const sharedFiltersMax = 256;

interface Entry {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly hash: number;
}

function hashOf(name: string): number {
  let hash = hashSeed;
  for (const byte of Buffer.from(name)) hash = hashByte(hash, byte);
  return hash;
}

/** The hash only narrows the choice: bytes decide. */
function isSame(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  const from = canonicalStart(bytes, start);
  if (end - from !== name.length) return false;
  for (let at = 0; at < name.length; at += 1) {
    const byte = bytes[from + at];
    if ((byte === colon ? underscore : byte) !== name[at]) return false;
  }
  return true;
}
