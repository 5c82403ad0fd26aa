import type { Clock } from "#core/clock.ts";
import { demandHoldMs } from "#core/limits.ts";
import type { Demand } from "./collector.ts";

/**
 * Holds a demand for `demandHoldMs` after it was last asked for, and tells when it changes. Asking
 * is cheap: only the first ask and the end of the last one cross to the sampling thread.
 */
export function demandHolder(clock: Clock, changed: (demand: Demand) => void) {
  let heldUntilMs: number | undefined;
  let cancel = () => {};

  const check = (untilMs: number) => {
    const nowMs = clock.monotonicMs();
    if (nowMs < untilMs) {
      cancel = clock.after(untilMs - nowMs, () => check(heldUntilMs ?? nowMs));
      return;
    }
    heldUntilMs = undefined;
    changed({ pcieThroughput: false });
  };

  return {
    current: (): Demand => ({ pcieThroughput: heldUntilMs !== undefined }),
    ask: ({ pcieThroughput }: Demand) => {
      if (!pcieThroughput) return;
      const begins = heldUntilMs === undefined;
      heldUntilMs = clock.monotonicMs() + demandHoldMs;
      if (!begins) return;
      changed({ pcieThroughput: true });
      check(heldUntilMs);
    },
    close: () => cancel(),
  };
}
