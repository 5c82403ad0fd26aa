import type { Cancel, Clock } from "#core/clock.ts";

type Subscribe = (listener: () => void) => Cancel;

/**
 * Shares one subscription among all push streams, and keeps a least time between two rounds over
 * them: every node of a large fleet changes once a second, and each change would recompute the answer
 * of every stream. The first change after a quiet time is passed on at once.
 */
export function spaced(subscribe: Subscribe, spacingMs: number, clock: Clock): Subscribe {
  const listeners = new Set<() => void>();
  let unsubscribe: Cancel | undefined;
  let endPause: Cancel | undefined;
  let missed = false;

  const round = () => {
    missed = false;
    endPause = clock.after(spacingMs, () => {
      endPause = undefined;
      if (missed) round();
    });
    for (const listener of listeners) listener();
  };
  const changed = () => {
    if (endPause === undefined) round();
    else missed = true;
  };
  return (listener) => {
    if (listeners.size === 0) unsubscribe = subscribe(changed);
    listeners.add(listener);
    return () => {
      if (!listeners.delete(listener) || listeners.size > 0) return;
      unsubscribe?.();
      endPause?.();
      endPause = undefined;
    };
  };
}
