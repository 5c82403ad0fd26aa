import type { Cancel, Clock } from "#core/clock.ts";
import { listeners } from "#core/listeners.ts";
import type { Subscribe } from "#rpc/streams.ts";

/**
 * Shares one subscription among all push streams, and passes on at most one change in `spacingMs`:
 * every node of a large fleet changes once a second, and each change would recompute the answer of
 * every stream. The first change after a quiet time is passed on at once, the last one always.
 */
export function throttled(subscribe: Subscribe, spacingMs: number, clock: Clock): Subscribe {
  const streams = listeners();
  let unsubscribe: Cancel | undefined;
  let cancelPause: Cancel | undefined;
  let changedInPause = false;

  const notify = () => {
    changedInPause = false;
    cancelPause = clock.after(spacingMs, () => {
      cancelPause = undefined;
      if (changedInPause) notify();
    });
    streams.notify();
  };
  const onChange = () => {
    if (cancelPause === undefined) notify();
    else changedInPause = true;
  };
  return (listener) => {
    if (streams.isEmpty()) unsubscribe = subscribe(onChange);
    const leave = streams.subscribe(listener);
    return () => {
      leave();
      if (!streams.isEmpty()) return;
      unsubscribe?.();
      cancelPause?.();
      cancelPause = undefined;
    };
  };
}
