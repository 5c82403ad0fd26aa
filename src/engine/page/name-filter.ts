/**
 * Metric names: which spellings are one metric, and the allow-list of a page.
 *
 * Everywhere else a name is spelled as its engine prints it. Engines print one metric in several
 * ways: vLLM's `vllm:num_requests_waiting` is `vllm_num_requests_waiting` behind some gateways and
 * `ray_vllm_num_requests_waiting` on Ray's page. So names are compared in a canonical form, without
 * a leading `ray_` and with `_` for `:`, and this room alone knows that form.
 *
 * The allow-list is matched on bytes, so that a line nobody reads costs no string.
 *
 * @module
 */
import { setNewest } from "#core/bounded-map.ts";
import { nameFiltersMax } from "#core/limits.ts";

const colon = 0x3a;
const underscore = 0x5f;
const rayPrefix = "ray_";
const rayBytes = Buffer.from(rayPrefix);

/** The form in which two spellings of one metric are equal. */
export function canonicalName(name: string): string {
  const plain = name.startsWith(rayPrefix) ? name.slice(rayPrefix.length) : name;
  // Twice as fast as replaceAll(), and it runs for each name that a query reads.
  return plain.split(":").join("_");
}

export interface NameFilter {
  /** @param name In any spelling. */
  readonly has: (name: string) => boolean;
  /**
   * @param hash `hashByte` over the name's canonical bytes.
   * @returns The canonical name at `bytes[start, end)` if it is on the list.
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
    ? start + 4 // A literal: with a variable the parser takes a third longer.
    : start;
}

/**
 * @param allowed Sample names in any spelling; a histogram is named by its `_bucket`, `_sum` and
 *   `_count`.
 */
export function nameFilter(allowed: Iterable<string>): NameFilter {
  const spellings = new Set(allowed);
  const names = new Set([...spellings].map(canonicalName));
  const slots = 2 ** Math.ceil(Math.log2(Math.max(names.size, 1) * 4));
  const table: (Entry | undefined)[] = new Array(slots).fill(undefined);
  for (const name of names) {
    const bytes = Buffer.from(name);
    const hash = bytes.reduce(hashByte, hashSeed);
    let slot = hash & (slots - 1);
    while (table[slot] !== undefined) slot = (slot + 1) & (slots - 1);
    table[slot] = { name, bytes, hash };
  }
  return {
    has: (name) => spellings.has(name) || names.has(canonicalName(name)),
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

/** Filters for the same names are one object: most targets are read for the same few signals. */
export function sharedFilters(): (names: ReadonlySet<string>) => NameFilter {
  const filters = new Map<string, NameFilter>();
  return (names) => {
    const key = [...names].sort().join(" ");
    const filter = filters.get(key) ?? nameFilter(names);
    setNewest(filters, key, filter, nameFiltersMax);
    return filter;
  };
}

interface Entry {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly hash: number;
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
