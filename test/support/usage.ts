/**
 * Hours of a workload, made up minute by minute.
 *
 * @module
 */
import { type UsageHistory, type UsageSample, usageStore } from "#observe/advice/usage-store.ts";
import { manualClock } from "./manual-clock.ts";

export const minuteMs = 60_000;
const object = { namespace: "ml", name: "llm" };

export function spread(mean: number, least = mean, most = mean) {
  return { least, mean, most };
}

/** Two ready replicas of one to nine, of which nothing more is known. */
export function usageSample(changes: Partial<UsageSample> = {}): UsageSample {
  return {
    replicas: 2,
    readyReplicas: 2,
    minReplicas: 1,
    maxReplicas: 9,
    startingPods: [],
    readyAfterMs: new Map(),
    ...changes,
  };
}

/** @param sampleAt Of each minute; `undefined` where nothing was observed. */
export function usageHistory(
  minutes: number,
  sampleAt: (minute: number) => Partial<UsageSample> | undefined,
): UsageHistory {
  const clock = manualClock();
  const store = usageStore(clock);
  for (let minute = 0; minute < minutes; minute += 1) {
    const sample = sampleAt(minute);
    if (sample !== undefined) store.record(object, usageSample(sample));
    clock.advance(minuteMs);
  }
  const history = store.of(object);
  if (history === undefined) throw new Error("No minute was recorded");
  return history;
}
