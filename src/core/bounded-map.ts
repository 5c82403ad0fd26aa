/**
 * Sets an entry as the newest of a map, and drops the oldest ones while there are more than
 * `entriesMax`. A map keeps the order in which its keys were added, so whoever only writes through
 * this function finds the entries in the order in which they were last set.
 */
export function setNewest<Key, Value>(
  map: Map<Key, Value>,
  key: Key,
  value: Value,
  entriesMax: number,
): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= entriesMax) return;
    map.delete(oldest);
  }
}

export interface MapBounds {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/** A map of which the entries that were set longest ago make room for new ones. */
export interface ByteBoundedMap<Key, Value> extends Iterable<readonly [Key, Value]> {
  /** Sets an entry as the newest; one that has more bytes than all may have together is not kept. */
  readonly set: (key: Key, value: Value, bytes: number) => void;
  readonly get: (key: Key) => Value | undefined;
  readonly delete: (key: Key) => void;
}

/** For entries of very different sizes, which whoever sets them knows. */
export function byteBoundedMap<Key, Value>({
  entriesMax,
  bytesMax,
}: MapBounds): ByteBoundedMap<Key, Value> {
  const entries = new Map<Key, { readonly value: Value; readonly bytes: number }>();
  let totalBytes = 0;

  const remove = (key: Key) => {
    totalBytes -= entries.get(key)?.bytes ?? 0;
    entries.delete(key);
  };
  return {
    set: (key, value, bytes) => {
      remove(key);
      if (bytes > bytesMax) return;
      entries.set(key, { value, bytes });
      totalBytes += bytes;
      for (const oldest of entries.keys()) {
        if (entries.size <= entriesMax && totalBytes <= bytesMax) return;
        remove(oldest);
      }
    },
    get: (key) => entries.get(key)?.value,
    delete: remove,
    *[Symbol.iterator]() {
      for (const [key, { value }] of entries) yield [key, value] as const;
    },
  };
}
