import type { Cancel, Clock } from "#core/clock.ts";
import { listeners } from "#core/listeners.ts";

type Subscribe = (listener: () => void) => Cancel;

/**
 * Shares one subscription among all push streams, and keeps a least time between two rounds over
 * them: every node of a large fleet changes once a second, and each change would recompute the answer
 * of every stream. The first change after a quiet time is passed on at once.
 */
export function spaced(subscribe: Subscribe, spacingMs: number, clock: Clock): Subscribe {
  const streams = listeners();
  let unsubscribe: Cancel | undefined;
  let endPause: Cancel | undefined;
  let missed = false;

  const round = () => {
    missed = false;
    endPause = clock.after(spacingMs, () => {
      endPause = undefined;
      if (missed) round();
    });
    streams.notify();
  };
  const changed = () => {
    if (endPause === undefined) round();
    else missed = true;
  };
  return (listener) => {
    if (streams.isEmpty()) unsubscribe = subscribe(changed);
    const leave = streams.subscribe(listener);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      leave();
      if (!streams.isEmpty()) return;
      unsubscribe?.();
      endPause?.();
      endPause = undefined;
    };
  };
}
