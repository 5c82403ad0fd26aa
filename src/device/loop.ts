import { assert } from "#core/assert.ts";
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import type { Collector, Demand } from "./collector.ts";
import { faultData, type Report } from "./messages.ts";

export interface LoopSettings {
  readonly collector: Collector;
  readonly sampleIntervalMs: number;
  /** Until another one comes. */
  readonly demand: Demand;
  readonly clock: Clock;
  readonly post: (report: Report) => void;
}
export interface Loop {
  /** Holds from the next pass on. */
  readonly demand: (demand: Demand) => void;
  /** Ends the passes and lets go of the driver. */
  readonly close: () => void;
}

/**
 * Collects now and then at every whole interval since now, whatever each pass costs: passes do not
 * drift, and a pass that takes longer than the interval leaves samples out instead of queueing them.
 * A `Fault` is reported and the next pass tries again; any other error is a bug and ends the thread.
 */
export function startLoop(settings: LoopSettings): Loop {
  const { collector, sampleIntervalMs, clock, post } = settings;
  assert(sampleIntervalMs > 0, `sampleIntervalMs is above 0, got ${sampleIntervalMs}`);
  const startMs = clock.monotonicMs();
  let { demand } = settings;
  let tick = 0;
  let skipped = 0;

  const pass = () => {
    const takenAtMs = clock.monotonicMs();
    const outcome = collectOnce(collector, demand);
    const nowMs = clock.monotonicMs();
    post({ ...outcome, takenAtMs, tookMs: nowMs - takenAtMs, skipped });
    // A timer may fire a fraction early, so the next tick is never the one that just ran.
    const next = Math.max(tick + 1, Math.floor((nowMs - startMs) / sampleIntervalMs) + 1);
    skipped = next - tick - 1;
    tick = next;
    cancel = clock.after(startMs + next * sampleIntervalMs - nowMs, pass);
  };
  let cancel = clock.after(0, pass);

  return {
    demand: (asked) => {
      demand = asked;
    },
    close: () => {
      cancel();
      collector.close();
    },
  };
}

function collectOnce(collector: Collector, demand: Demand) {
  try {
    return { kind: "collection", collection: collector.collect(demand) } as const;
  } catch (error) {
    if (error instanceof Fault) return { kind: "fault", fault: faultData(error) } as const;
    throw error;
  }
}
