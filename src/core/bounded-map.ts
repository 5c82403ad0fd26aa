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
