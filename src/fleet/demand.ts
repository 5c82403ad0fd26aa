/**
 * Which costly readings agents are to take: those that some trigger may be answered with.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { askedForMs, demandCheckMs } from "#core/limits.ts";
import { listeners } from "#core/listeners.ts";
import { costlyReadings, type ReadingName } from "#metric/reading.ts";

export interface ReadingDemand {
  /** Demands those of the readings that cost, for `askedForMs`. */
  readonly request: (readings: readonly ReadingName[]) => void;
  readonly current: () => readonly ReadingName[];
  /** Runs `listener` after every change of `current`; returns the way to stop it. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly stop: () => void;
}

export function readingDemand(clock: Pick<Clock, "monotonicMs" | "every">): ReadingDemand {
  const changes = listeners();
  const requestedAtMs = new Map<ReadingName, number>();
  let current: readonly ReadingName[] = [];

  const publish = () => {
    current = [...requestedAtMs.keys()].toSorted();
    changes.notify();
  };
  const stop = clock.every(demandCheckMs, () => {
    const nowMs = clock.monotonicMs();
    for (const [reading, atMs] of requestedAtMs)
      if (nowMs - atMs > askedForMs) requestedAtMs.delete(reading);
    if (requestedAtMs.size < current.length) publish();
  });
  return {
    request: (readings) => {
      for (const reading of readings)
        if (costlyReadings.has(reading)) requestedAtMs.set(reading, clock.monotonicMs());
      if (requestedAtMs.size > current.length) publish();
    },
    current: () => current,
    subscribe: changes.subscribe,
    stop,
  };
}
