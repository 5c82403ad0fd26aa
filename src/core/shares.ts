/**
 * Who holds how much of what there is only so much of.
 *
 * @module
 */

/** What peers hold, each in the order in which it took it. */
export interface Shares<Item> {
  readonly size: () => number;
  /** Counts an item in. */
  readonly add: (peer: string, item: Item) => void;
  readonly remove: (peer: string, item: Item) => void;
  /** What the peer with the most holds; of several such peers the one that came first. */
  readonly largest: () => ReadonlySet<Item>;
  readonly of: (peer: string) => ReadonlySet<Item>;
}

const nothing: ReadonlySet<never> = new Set();

export function shares<Item>(): Shares<Item> {
  const byPeer = new Map<string, Set<Item>>();
  let size = 0;
  return {
    size: () => size,
    add: (peer, item) => {
      const held = byPeer.get(peer);
      if (held === undefined) byPeer.set(peer, new Set([item]));
      else held.add(item);
      size += 1;
    },
    remove: (peer, item) => {
      const held = byPeer.get(peer);
      if (held?.delete(item) !== true) return;
      size -= 1;
      if (held.size === 0) byPeer.delete(peer);
    },
    largest: () => {
      let most: ReadonlySet<Item> = nothing;
      for (const held of byPeer.values()) if (held.size > most.size) most = held;
      return most;
    },
    of: (peer) => byPeer.get(peer) ?? nothing,
  };
}
