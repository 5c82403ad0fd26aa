import type { Cancel } from "./clock.ts";

/** Those who want to hear that something has changed. */
export interface Listeners {
  /** Runs every listener that is there now; one that leaves meanwhile is not run any more. */
  readonly notify: () => void;
  readonly subscribe: (listener: () => void) => Cancel;
  readonly isEmpty: () => boolean;
}

export function listeners(): Listeners {
  const subscribed = new Set<() => void>();
  return {
    notify: () => {
      for (const listener of [...subscribed]) if (subscribed.has(listener)) listener();
    },
    subscribe: (listener) => {
      // Wrapped, so that the same function can listen twice and stop once.
      const own = () => listener();
      subscribed.add(own);
      return () => {
        subscribed.delete(own);
      };
    },
    isEmpty: () => subscribed.size === 0,
  };
}
