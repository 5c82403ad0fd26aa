export interface Counts<Key> {
  /** 0 for what was never counted. */
  readonly of: (key: Key) => number;
  readonly change: (key: Key, by: number) => void;
}

/** How many there are of each key; a key of which there is none takes no memory. */
export function counts<Key>(): Counts<Key> {
  const numbers = new Map<Key, number>();
  const of = (key: Key) => numbers.get(key) ?? 0;
  return {
    of,
    change: (key, by) => {
      const now = of(key) + by;
      if (now === 0) numbers.delete(key);
      else numbers.set(key, now);
    },
  };
}
